"""The commands, and how their errors reach the user: one message on standard error, exit code 1."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import load_settings

_app = typer.Typer(
    name="localcloud", help="Azure's control planes on one machine.", no_args_is_help=True, add_completion=False
)


@_app.command()
def start() -> None:
    """Start it in the background and wait until it is ready; does nothing when it is running this code already."""
    from localcloud.cli.start import start as run

    run(load_settings())


@_app.command()
def stop() -> None:
    """Stop it and everything it started; keep all state."""
    from localcloud.cli.stop import stop as run

    run(load_settings())


@_app.command()
def status() -> None:
    """Say whether it runs, with its processes, ports and memory. Exit code 1 when it does not."""
    from localcloud.cli.status import status as run

    run(load_settings())


@_app.command()
def logs(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option(help="How many lines of each log to begin with.")] = 20,
) -> None:
    """Show the logs of the gateway, Azurite and MLflow."""
    from localcloud.cli.logs import show

    show(load_settings(), follow=follow, lines=lines)


@_app.command()
def env() -> None:
    """Print the variables of a shell that uses it: eval "$(python -m localcloud env)"."""
    from localcloud.cli.env import exports

    sys.stdout.write(exports(load_settings()))


@_app.command()
def clean(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Stop it and delete everything it keeps: accounts, state, models."""
    from localcloud.cli.stop import clean as run

    settings = load_settings()
    if not yes and not typer.confirm(f"Delete everything in {settings.home}?"):
        raise typer.Exit(1)
    run(settings)


@_app.command(hidden=True)
def serve() -> None:
    """Run in the foreground."""
    from localcloud.gateway.server import run

    run(load_settings())


def main() -> None:
    """Run the command line."""
    try:
        _app()
    except LocalcloudError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
