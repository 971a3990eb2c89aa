"""Play Azure DevOps pipelines on this machine, or check them."""

from __future__ import annotations

import hashlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from pipeline_runner import command_line
from pipeline_runner import organisation as organisations
from pipeline_runner.errors import RunnerError

app = typer.Typer(
    name="pipeline-runner", no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False
)
_Repository = Annotated[Path, typer.Option(help="The folder of the Git repository.")]
_Organisation = Annotated[
    Path | None,
    typer.Option(
        envvar="PIPELINE_RUNNER_ORGANISATION",
        help="YAML file with variable groups, environments, the cloud; see the README.",
    ),
]
_Parameters = Annotated[
    list[str], typer.Option(help="NAME=VALUE of a parameter; [a, b] and {a: b} are YAML. May be repeated.")
]


@app.command()
def check(
    pipelines: Annotated[list[str] | None, typer.Argument(help="YAML files; default: all of the organisation.")] = None,
    reason: Annotated[list[str], typer.Option(help="Build.Reason of the files. May be repeated.")] = ["IndividualCI"],  # noqa: B006 - Typer reads it, and nothing changes it
    parameter: _Parameters = [],  # noqa: B006
    repository: _Repository = Path(),
    organisation: _Organisation = None,
) -> None:
    """Check pipelines without playing them: schema, inputs of tasks, order, output variables, inline scripts."""
    try:
        from pipeline_runner.validation import problems
    except ModuleNotFoundError as error:
        raise RunnerError(f"`check` needs {error.name}: install pipeline-runner with its extra `check`.") from error

    known = organisations.read(organisation)
    files = pipelines or ([] if known.pipelines else ["azure-pipelines.yml"])
    parameters = dict(_pair(text) for text in parameter)
    starts = [organisations.Start(file=file, reason=name, parameters=parameters) for file in files for name in reason]
    lines = problems(repository, known, starts or None)
    for line in lines:
        typer.echo(line, err=True)
    if lines:
        raise typer.Exit(1)


@app.command()
def play(
    pipeline: Annotated[Path, typer.Argument(help="YAML file in the repository.")] = Path("azure-pipelines.yml"),
    yes: Annotated[bool, typer.Option("--yes", help="Grant every approval.")] = False,
    reason: Annotated[str, typer.Option(help="Build.Reason, such as PullRequest or Schedule.")] = "IndividualCI",
    branch: Annotated[str, typer.Option(help="Build.SourceBranch.")] = "refs/heads/main",
    parameter: _Parameters = [],  # noqa: B006
    variable: Annotated[list[str], typer.Option(help="GROUP.NAME=VALUE of a variable. May be repeated.")] = [],  # noqa: B006
    unset: Annotated[list[str], typer.Option(help="GROUP.NAME of a variable to remove. May be repeated.")] = [],  # noqa: B006
    stage: Annotated[list[str], typer.Option(help="Play only this stage. May be repeated.")] = [],  # noqa: B006
    expire: Annotated[list[str], typer.Option(help="Environment whose approval expires. May be repeated.")] = [],  # noqa: B006
    reject: Annotated[list[str], typer.Option(help="Environment whose approval is rejected. May be repeated.")] = [],  # noqa: B006
    repository: _Repository = Path(),
    commit: Annotated[str, typer.Option(help="The commit to play.")] = "HEAD",
    organisation: _Organisation = None,
    home: Annotated[
        Path | None,
        typer.Option(
            envvar="PIPELINE_RUNNER_HOME", help="Folder of builds and locks; in the user's state folder by default."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            envvar="PIPELINE_RUNNER_CACHE", help="Folder that all Cache@2 steps use; one for each key by default."
        ),
    ] = None,
    lock_seconds: Annotated[float, typer.Option(help="Maximum wait for an exclusive lock.")] = 3600,
    quiet: Annotated[bool, typer.Option(help="Write the output of steps to the logs only.")] = False,
) -> None:
    """Play a pipeline of a commit on this machine; uncommitted changes are left out."""
    from pipeline_runner.build import Request, run

    root = repository.resolve()
    request = Request(
        file=pipeline, repository=root, commit=commit, organisation=organisations.read(organisation), reason=reason,
        branch=branch, parameters=dict(_pair(text) for text in parameter),
        variables=dict(_pair(text) for text in variable), unset=tuple(unset), stages=frozenset(stage), yes=yes,
        expired=frozenset(expire), rejected=frozenset(reject), lock_seconds=lock_seconds, quiet=quiet,
        home=(home or default_home(root)).resolve(), cache=cache, started=datetime.now(UTC),
    )  # fmt: skip
    raise typer.Exit(run(request, Console(width=None if sys.stdout.isatty() else 140)))


def default_home(repository: Path) -> Path:
    """Return the folder of a repository's builds in the user's state folder (XDG base directory specification)."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    digest = hashlib.sha256(str(repository).encode()).hexdigest()[:8]
    return state / "pipeline-runner" / f"{repository.name}-{digest}"


def _pair(text: str) -> tuple[str, Any]:
    """Return name and value of a parameter. A value that begins with [ or { is YAML, for parameters of type object."""
    name, equals, value = text.partition("=")
    if not equals:
        raise RunnerError(f"{text!r} should be NAME=VALUE.")
    if not value.startswith(("[", "{")):
        return name, value
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise RunnerError(f"The parameter {name} begins as YAML and is none: {error}") from error


def main() -> None:
    """Run the command line."""
    command_line.run(app)


if __name__ == "__main__":
    main()
