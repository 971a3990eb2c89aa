"""Localcloud takes a working interpreter for jobs and notebooks from the places where machines keep them."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from localcloud.core.errors import LocalcloudError
from localcloud.engine import python_runtime
from localcloud.engine.progress import Silent


def program(file: Path, script: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the interpreters of PATH, pyenv and uv."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(tmp_path / "uv"))


def test_a_working_program_on_the_path_is_used(tmp_path: Path) -> None:
    expected = program(tmp_path / "bin" / "python3.9", "echo cpython 3.9.18")

    assert python_runtime.find(tmp_path / "cache", "3.9") == expected


def test_a_shim_that_runs_nothing_is_passed_over_for_pyenv_s_own_version(tmp_path: Path) -> None:
    program(tmp_path / "bin" / "python3.9", "echo pyenv: python3.9: command not found >&2; exit 127")
    expected = program(tmp_path / "pyenv" / "versions" / "3.9.18" / "bin" / "python3.9", "echo cpython 3.9.18")

    assert python_runtime.find(tmp_path / "cache", "3.9") == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("echo pypy 3.9.18", "another implementation"),
        ("echo cpython 3.90.1", "another version"),
        ("echo cpython 3.9.18; exit 1", "a module is missing"),
    ],
)
def test_an_unsuitable_interpreter_is_not_used(tmp_path: Path, answer: str, reason: str) -> None:
    program(tmp_path / "bin" / "python3.9", answer)

    assert python_runtime.find(tmp_path / "cache", "3.9") is None, reason


def test_a_uv_that_does_not_answer_in_time_manages_no_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_runtime, "_UV", [str(program(tmp_path / "slow-uv", "exec /bin/sleep 30"))])
    monkeypatch.setattr(python_runtime, "_UV_SECONDS", 0.2)

    assert python_runtime.find(tmp_path / "cache", "3.9") is None


def test_the_interpreter_that_runs_localcloud_comes_first(tmp_path: Path) -> None:
    own = "{}.{}".format(*sys.version_info[:2])
    program(tmp_path / "bin" / f"python{own}", f"echo cpython {own}.0")

    assert python_runtime.find(tmp_path / "cache", own) == Path(sys.executable)


def test_both_remedies_are_named_without_a_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_runtime, "find", lambda cache, version="": None)
    monkeypatch.setattr(python_runtime, "_UV", [str(program(tmp_path / "uv", "echo no route to GitHub; exit 1"))])
    program(tmp_path / "java" / "bin" / "java", "echo UNRESOLVED DEPENDENCIES; exit 1")

    with pytest.raises(
        LocalcloudError, match=r"(?s)apt-get install python3\.12.*no route to GitHub.*UNRESOLVED DEPEND"
    ):
        python_runtime.ensure(tmp_path / "cache", tmp_path / "java", Silent())
