"""The tool cache: whole tools or none, one install at a time, failures with their reason."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from localcloud.core.errors import LocalcloudError
from localcloud.engine.install import install, run


def test_a_tool_is_installed_once(tmp_path: Path) -> None:
    folders: list[Path] = []

    def make(folder: Path) -> None:
        folders.append(folder)
        (folder / "tool").write_text("it")

    first = install(tmp_path, "tool-1", make)
    second = install(tmp_path, "tool-1", make)

    assert first == second == tmp_path / "tool-1"
    assert (first / "tool").read_text() == "it"
    assert len(folders) == 1


def test_a_failed_install_leaves_nothing_and_can_be_run_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise LocalcloudError("no network")

    with pytest.raises(LocalcloudError, match="no network"):
        install(tmp_path, "tool-1", fail)
    assert not (tmp_path / "tool-1").exists()
    assert not list(tmp_path.glob("*.part"))
    assert install(tmp_path, "tool-1", lambda folder: (folder / "whole").touch()).joinpath("whole").exists()


def _make_forever(cache: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "half").touch()
        time.sleep(600)

    install(cache, "tool-1", make)


def test_a_killed_install_leaves_no_half_tool(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_make_forever, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 30
    while not (tmp_path / "tool-1.part" / "half").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()

    assert not (tmp_path / "tool-1").exists(), "a killed install is not taken for a tool"
    home = install(tmp_path, "tool-1", lambda folder: (folder / "whole").touch())
    assert [file.name for file in home.iterdir()] == ["whole"], "what the killed one left is gone"


def _make_and_count(cache: Path) -> None:
    def make(folder: Path) -> None:
        (cache / f"maker-{os.getpid()}").touch()
        time.sleep(0.3)
        (folder / "tool").touch()

    install(cache, "tool-1", make)


def test_two_simultaneous_installs_make_one_tool(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_make_and_count, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(tmp_path.glob("maker-*"))) == 1
    assert (tmp_path / "tool-1" / "tool").exists()


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    with pytest.raises(LocalcloudError, match=r"tool cache .*/file/cache cannot be created .* Set LOCALCLOUD_CACHE"):
        install(blocked / "cache", "tool-1", lambda folder: None)


def test_a_failed_command_shows_itself_and_its_last_lines() -> None:
    script = "print('first'); [print(f'line {i}') for i in range(50)]; raise SystemExit(3)"
    with pytest.raises(LocalcloudError) as caught:
        run("Widget 1.0", [sys.executable, "-c", script])
    text = str(caught.value)
    assert text.startswith("Widget 1.0 could not be installed: `")
    assert "ended with exit code 3. Its last lines:\n" in text
    assert text.endswith("line 49") and "first\n" not in text


def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(LocalcloudError, match=r"Widget could not be installed: `/no/such/tool` did not start"):
        run("Widget", ["/no/such/tool"])


def test_lines_are_reported_as_they_arrive() -> None:
    lines: list[str] = []
    assert run("Widget", [sys.executable, "-c", "print('a'); print('b')"], on_line=lines.append) == "a\nb\n"
    assert lines == ["a", "b"]
