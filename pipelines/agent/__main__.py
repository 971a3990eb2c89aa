"""`python -m pipelines.agent VERB`: called by pipelines/targets.mk."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from pipelines.agent import configure as configuring
from pipelines.agent import devops, image
from pipelines.agent import drift as drifting
from pipelines.agent import release as releases

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def path() -> None:
    """Put the tools on the PATH of the job's next steps."""
    from localcloud.core.settings import load_settings
    from localcloud.engine import toolchain

    tools = toolchain.find(load_settings())
    entries = [] if tools is None else [str(entry) for entry in tools.path_entries]
    for entry in (str(Path(sys.executable).parent), *entries):
        typer.echo(f"##vso[task.prependpath]{entry}")


@app.command()
def configure(stack: str) -> None:
    """Write the variable group's settings into the stack's settings file."""
    for where, value in configuring.configure(stack, os.environ, Path.cwd()).items():
        typer.echo(f"{where}: {value}")


@app.command()
def release(folder: Path) -> None:
    """Write down the content of a release."""
    release = releases.write(folder)
    typer.echo(f"Released: commit {release.commit}, lock {release.lock[:16]}, version {release.version}.")


@app.command()
def check(folder: Path) -> None:
    """Refuse a release unless it passed."""
    release = releases.check(folder)
    typer.echo(f"The same as passed: commit {release.commit}, lock {release.lock[:16]}, version {release.version}.")


@app.command()
def drift(stack: str, file: Path) -> None:
    """Compare the stack with its resources; write the differences into a file, and fail if there are any."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        comparison = drifting.compare(drifting.preview(stack, Path.cwd()))
    except drifting.DriftError as error:
        file.write_text(f"{error}\n", encoding="utf-8")
        raise
    report = comparison.report(stack)
    file.write_text(f"{report}\n", encoding="utf-8")
    typer.echo(report)
    if comparison.drift:
        raise typer.Exit(1)


@app.command()
def comment(stack: str, file: Path) -> None:
    """Post a preview to the pull request."""
    typer.echo(devops.comment(stack, file))


@app.command()
def work_item(stack: str, file: Path) -> None:
    """Open a work item about drift."""
    typer.echo(devops.work_item(stack, file))


@app.command()
def work_items(file: Path) -> None:
    """Open a work item for each episode that has none."""
    addresses = devops.work_items(file)
    for address in addresses:
        typer.echo(address)
    if not addresses:
        typer.echo("There is no episode to open a work item for.")


@app.command()
def image_tag() -> None:
    """Print the CI image's tag."""
    typer.echo(image.tag())


def main() -> None:
    """Exit 1 with one message for every known error."""
    try:
        app()
    except (releases.ReleaseError, devops.DevOpsError, configuring.ConfigureError, drifting.DriftError) as error:
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
