"""The heap of a driver follows the machine's memory, a container's limit, and the variable; its collector, the user."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from localcloud.core.errors import ConfigurationError
from localcloud.databricks import driver_memory, launch

GIB = 2**30


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the file of a container's limit, which is not there yet."""
    file = tmp_path / "memory.max"
    monkeypatch.delenv(driver_memory.VARIABLE, raising=False)
    monkeypatch.setattr(driver_memory, "_CONTAINER_LIMITS", (file,))
    return file


@pytest.mark.parametrize(("gib", "heap"), [(4, "1024m"), (16, "2048m"), (24, "3072m"), (128, "4096m")])
def test_it_is_a_part_of_the_machine_s_memory(
    gib: int, heap: str, limit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=gib * GIB))
    assert driver_memory.heap() == heap
    limit.write_text("max\n")
    assert driver_memory.heap() == heap


def test_it_is_a_part_of_a_container_s_memory(limit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(total=64 * GIB))
    limit.write_text(f"{16 * GIB}\n")
    assert driver_memory.heap() == "2048m"


def test_the_variable_says_another_one(limit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(driver_memory.VARIABLE, "6g")
    assert driver_memory.heap() == "6g"


@pytest.mark.parametrize("text", ["lots", "6", "0g", "1.5g", "2g -XX:OnError=x"])
def test_another_form_is_refused(text: str, limit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(driver_memory.VARIABLE, text)
    with pytest.raises(ConfigurationError, match="write a number of MiB or GiB, such as 2048m or 2g") as refused:
        driver_memory.heap()
    assert repr(text) in str(refused.value)


def test_a_user_may_choose_another_collector() -> None:
    assert launch.collector("-XX:TieredStopAtLevel=1") == ["-XX:+UseParallelGC"]
    assert launch.collector("-Xss4m -XX:+UseG1GC") == []
    assert launch.collector("-XX:+UseZGC") == [], "with two collectors, a JVM does not start"
