"""`python -m pipeline_runner`: play a pipeline, or check all of them."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline_runner.errors import RehearsalError

app = typer.Typer(
    name="rehearsal", no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False
)
ROOT = Path.cwd()
Words = Annotated[list[str], typer.Option(help="May be repeated.")]


@app.command()
def check() -> None:
    """Every pipeline, compiled for every reason: the schema, the order of stages, the inline scripts by shellcheck."""
    from pipeline_runner.checking import problems

    found = problems(ROOT)
    for line in found:
        typer.echo(line, err=True)
    if found:
        raise typer.Exit(1)


@app.command()
def play(
    pipeline: Annotated[Path, typer.Argument(help="The pipeline's YAML file.")] = Path("azure-pipelines.yml"),
    yes: Annotated[bool, typer.Option("--yes", help="Grant every approval.")] = False,
    reason: Annotated[str, typer.Option(help="Build.Reason, such as PullRequest or Schedule.")] = "IndividualCI",
    branch: Annotated[str, typer.Option(help="Build.SourceBranch.")] = "refs/heads/main",
    parameter: Words = [],  # noqa: B006 - Typer reads it, nobody writes it
    variable: Words = [],  # noqa: B006
    unset: Words = [],  # noqa: B006
    stage: Words = [],  # noqa: B006
    expire: Words = [],  # noqa: B006
    reject: Words = [],  # noqa: B006
    repository: Annotated[Path, typer.Option(help="The repository whose commit is played.")] = ROOT,
    commit: Annotated[str, typer.Option(help="The commit to play.")] = "HEAD",
    lock_seconds: Annotated[float, typer.Option(help="Wait so long for an exclusive lock.")] = 3600,
    quiet: Annotated[bool, typer.Option(help="Keep the steps' output to the logs.")] = False,
) -> None:
    """Play a pipeline of a commit in a shell that leads to a cloud: `eval "$(make env)"`.

    --parameter NAME=VALUE and --variable GROUP.NAME=VALUE set values, --unset GROUP.NAME takes a group's variable
    away, --stage NAME chooses stages; --expire and --reject ENVIRONMENT say how an approval ends.
    """
    from pipeline_runner.playing import Request, run

    request = Request(
        file=pipeline, repository=repository.resolve(), commit=commit, reason=reason, branch=branch,
        parameters=dict(_pair(one) for one in parameter), variables=dict(_pair(one) for one in variable),
        unset=tuple(unset), stages=frozenset(stage), yes=yes, expired=frozenset(expire), rejected=frozenset(reject),
        lock_seconds=lock_seconds, quiet=quiet, home=home(), started=datetime.now(UTC),
    )  # fmt: skip
    raise typer.Exit(run(request, Console(width=None if sys.stdout.isatty() else 140)))


@app.command("next")
def next_(
    yes: Annotated[bool, typer.Option("--yes", help="Grant every approval.")] = False,
    quiet: Annotated[bool, typer.Option(help="Keep the steps' output to the logs.")] = False,
    stage: Words = [],  # noqa: B006
    repository: Annotated[Path, typer.Option(help="The repository that the commit is added to a copy of.")] = ROOT,
) -> None:
    """One more commit, in a copy of the repository: another regularization of the model; and play it."""
    from pipeline_runner.following import commit_on_top

    copy = commit_on_top(repository.resolve(), home() / "next")
    play(yes=yes, quiet=quiet, repository=copy, stage=stage)


def home() -> Path:
    """Where builds are kept: with the localcloud that they play against."""
    return Path(os.environ.get("LOCALCLOUD_HOME") or ROOT / ".localcloud") / "rehearsal"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise RehearsalError(f"{text!r} should be NAME=VALUE.")
    return name, value


def main() -> None:
    """Exit 1 with one message for every known error."""
    try:
        app()
    except RehearsalError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
