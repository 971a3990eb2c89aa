"""Debug messages of programs: sent to engines that may show them, and to no other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from localcloud.engine.language_host import debug_messages

WAITS = "import sys; print('started', flush=True); sys.stdin.read()"

PROGRAM = """
import pulumi
pulumi.log.debug("hidden.")
pulumi.log.info("visible.")
"""


def are_shown(program: str, *options: str) -> bool:
    """Ask about a running process with this command line."""
    with subprocess.Popen(
        [program, "-c", WAITS, *options], executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as engine:
        assert engine.stdout is not None and engine.stdout.readline() == b"started\n"
        return debug_messages.are_shown(engine.pid)


@pytest.mark.parametrize(
    "options",
    [
        ("preview", "--debug"), ("preview", "-d"), ("up", "-yd"), ("-v=9", "preview"), ("up", "--verbose", "9"),
        ("up", "--logtostderr"), ("up", "--event-log", "/dev/fd/3"), ("preview", "--json"), ("preview", "-j"),
    ],
)  # fmt: skip
def test_an_engine_that_may_show_them_gets_them(options: tuple[str, ...]) -> None:
    assert are_shown("pulumi", *options)


@pytest.mark.parametrize("options", [("preview", "--stack", "debug"), ("up", "--yes", "-s", "dev", "--diff")])
def test_an_engine_that_leaves_them_out_gets_none(options: tuple[str, ...]) -> None:
    assert not are_shown("/usr/bin/pulumi", *options)


def test_debug_messages_of_an_unknown_command_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert debug_messages.are_shown(2**31 - 1), "there is no such process"
    assert are_shown("my-platform", "deploy"), "another program that has the engine inside"
    monkeypatch.setenv("PULUMI_OPTION_DEBUG", "true")
    assert are_shown("pulumi", "preview")


def test_the_event_log_of_a_preview_has_them_and_its_output_has_not(
    pulumi: Callable[..., subprocess.CompletedProcess[str]],
    pulumi_environment: dict[str, str],
    program: Callable[..., Path],
    tmp_path: Path,
) -> None:
    pulumi_environment["PULUMI_DEBUG_COMMANDS"] = "true"
    folder = program(PROGRAM)
    pulumi(folder, "stack", "init", "one")
    log = tmp_path / "events"

    preview = pulumi(folder, "preview", "--event-log", str(log))

    assert "visible." in preview.stdout and "hidden." not in preview.stdout, preview.stderr
    assert "hidden." in log.read_text()
    assert "hidden." in pulumi(folder, "preview", "-d").stdout
