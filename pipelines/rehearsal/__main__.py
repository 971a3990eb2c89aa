"""Rehearse: the checked-out commit goes to prod, a second one follows, and its model lives there.

`make rehearse` runs `python -m pipelines.rehearsal`. Each part can be played again: builds publish new versions, and a
life leaves nothing behind. The exit code is 1 when a stage failed, which the last line names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pipeline_runner import command_line
from pipeline_runner.errors import RunnerError
from pipeline_runner.workspace import git
from rich.console import Console

from pipelines.rehearsal import life
from pipelines.rehearsal.agent import play_command
from pipelines.rehearsal.cloud import check_shell
from pipelines.rehearsal.life_table import Outcome, Row, show
from pipelines.rehearsal.next_commit import commit_on_top

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def rehearse(
    yes: Annotated[bool, typer.Option("--yes", help="Grant every approval.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Write the output of steps to the logs only.")] = False,
    life_only: Annotated[
        bool, typer.Option("--life-only", help="Play the life of the last rehearsal's release, and no builds.")
    ] = False,
) -> None:
    """Play the builds of two commits and the life of the second one's model; print one table."""
    check_shell()
    root, home = Path.cwd(), Path(os.environ["LOCALCLOUD_HOME"]).resolve() / "rehearsal"
    console, copy = Console(width=None if sys.stdout.isatty() else 140), home / "next"
    rows = [] if life_only else _Builds(root, copy, home, yes, quiet).play()
    if not any(row.failed for row in rows):
        rows += _live(copy, home, console, yes=yes)
    show(rows, "Rehearsal: from a commit to a rollback in prod", console)
    failed = next((row for row in rows if row.failed), None)
    if failed is not None:
        raise RunnerError(f"The rehearsal failed in the stage {failed.stage}: {failed.outcome.text}")


@dataclass(frozen=True)
class _Builds:
    """The builds of two commits: of the checkout, and of its copy with one more."""

    root: Path
    copy: Path
    home: Path
    yes: bool
    quiet: bool

    def play(self) -> list[Row]:
        """Play both, the second one if the first succeeded."""
        rows = [life.timed("commit", lambda: self._build(self.root))]
        if not rows[0].failed:
            rows.append(life.timed("next commit", self._next))
        return rows

    def _next(self) -> Outcome:
        # The builds share this machine's tools.
        subprocess.run([sys.executable, "-m", "localcloud.engine"], check=True)
        return self._build(commit_on_top(self.root, self.copy))

    def _build(self, repository: Path) -> Outcome:
        command = play_command(self.home, "azure-pipelines.yml", repository, yes=self.yes, quiet=self.quiet)
        if subprocess.call(command):
            raise RunnerError("the build did not succeed: its table is above")
        commit = git("rev-parse", "HEAD", cwd=repository)[:10]
        return Outcome(f"{commit}: verified, to dev, trained in staging, promoted to prod")


def _live(copy: Path, home: Path, console: Console, *, yes: bool) -> list[Row]:
    try:
        with life.opened(copy, home, yes=yes) as opened:
            return life.play(opened, console)
    except life.FAILURES as error:
        return [Row("prod", Outcome(str(error)), 0.0, failed=True)]


def main() -> None:
    """Run the command line."""
    command_line.run(app)


if __name__ == "__main__":
    main()
