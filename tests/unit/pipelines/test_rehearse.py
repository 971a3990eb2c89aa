"""`make rehearse`: builds and life in their order, one table, and the failed stage in the last line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pipeline_runner.errors import RunnerError

from pipelines.rehearsal import __main__ as rehearsal
from pipelines.rehearsal import life
from pipelines.rehearsal.life_table import Outcome, Row

_LIFE = [Row("score", Outcome("200 rows", "2"), 3.0), Row("roll back", Outcome("make rollback", "1"), 1.0)]


class Machine:
    """The commands of a rehearsal, with the exit codes of its builds, and its life."""

    def __init__(self, patch: pytest.MonkeyPatch, home: Path) -> None:
        self.codes, self.rows, self.commands = [0, 0], _LIFE, list[str]()
        self.problem: RunnerError | None = None
        patch.setenv("LOCALCLOUD_HOME", str(home))
        patch.setenv("LOCALCLOUD_CACHE", str(home / "cache"))
        patch.setattr(rehearsal, "check_shell", lambda: None)
        patch.setattr(rehearsal, "commit_on_top", lambda repository, copy: copy)
        patch.setattr(rehearsal, "git", lambda *words, cwd: "0123456789abcdef")
        patch.setattr(subprocess, "call", self._play)
        patch.setattr(subprocess, "run", lambda *words, **options: None)
        patch.setattr(life, "opened", self._opened)
        patch.setattr(life, "play", lambda opened, console: self.rows)

    def _play(self, command: list[str]) -> int:
        self.commands.append(" ".join(command[1:]))
        return self.codes[len(self.commands) - 1]

    @contextmanager
    def _opened(self, copy: Path, home: Path, *, yes: bool) -> Iterator[Any]:
        self.commands.append(f"life of {copy.relative_to(home)}, {yes}")
        if self.problem is not None:
            raise self.problem
        yield None


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return Machine(monkeypatch, tmp_path.resolve())


def test_two_builds_and_a_life_end_with_one_table(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    rehearsal.rehearse(yes=True)

    first, second, lived = machine.commands
    assert first.startswith("play azure-pipelines.yml") and first.endswith("--reason IndividualCI --yes")
    assert f"--repository {Path.cwd()} " in first
    assert "/rehearsal/next --reason" in second
    assert lived == "life of next, True"
    table = capsys.readouterr().out
    stages = [line.split("│")[1].strip() for line in table.splitlines() if line.startswith("│")]
    assert stages == ["commit", "next commit", "score", "roll back"]


def test_a_life_alone_plays_no_builds(machine: Machine) -> None:
    rehearsal.rehearse(yes=True, life_only=True)

    assert machine.commands == ["life of next, True"]


@pytest.mark.parametrize(
    ("codes", "number", "stage"), [([1, 0], 1, "commit"), ([0, 1], 2, "next commit")], ids=["first", "second"]
)
def test_a_build_that_fails_ends_the_rehearsal(machine: Machine, codes: list[int], number: int, stage: str) -> None:
    machine.codes = codes

    with pytest.raises(RunnerError, match=rf"^The rehearsal failed in the stage {stage}: the build did not succeed"):
        rehearsal.rehearse(yes=True)

    assert len(machine.commands) == number


def test_a_stage_of_the_life_that_fails_is_named_below_the_table(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.rows = [_LIFE[0], Row("gate", Outcome("refused"), 1.0, failed=True)]

    with pytest.raises(RunnerError, match=r"^The rehearsal failed in the stage gate: refused$"):
        rehearsal.rehearse(yes=True, life_only=True)

    assert "failed: refused" in capsys.readouterr().out


def test_a_life_without_a_release_is_named(machine: Machine) -> None:
    machine.problem = RunnerError("next names no webhook: play the whole rehearsal first.")

    with pytest.raises(RunnerError, match=r"^The rehearsal failed in the stage prod: next names no webhook"):
        rehearsal.rehearse(yes=True, life_only=True)
