"""The commands, and how their errors reach the user: one message on standard error, exit code 1.

Two of them run before every verb of the Makefile: a command imports only the modules that it needs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import load_settings

if TYPE_CHECKING:
    from localcloud.cli.unchanged import Subject

Command = Callable[[argparse.Namespace], int]


def start(options: argparse.Namespace) -> int:
    """Start it in the background and wait until it is ready; does nothing when it is running this code already."""
    from localcloud.cli.start import start as run

    run(load_settings(), _namespaces(options.register))
    return 0


def stop(_: argparse.Namespace) -> int:
    """Stop it and everything it started; keep all state."""
    from localcloud.cli.stop import stop as run

    run(load_settings())
    return 0


def status(_: argparse.Namespace) -> int:
    """Say whether it runs, with its processes, ports and memory. Exit code 1 when it does not."""
    from localcloud.cli.status import status as run

    return 0 if run(load_settings()) else 1


def logs(options: argparse.Namespace) -> int:
    """Show the logs of the gateway, Azurite and MLflow."""
    from localcloud.cli.logs import show

    show(load_settings(), follow=options.follow, lines=options.lines)
    return 0


def env(_: argparse.Namespace) -> int:
    """Print the variables of a shell that uses it: eval "$(python -m localcloud env)"."""
    from localcloud.cli.env import exports

    sys.stdout.write(exports(load_settings()))
    return 0


def open_(_: argparse.Namespace) -> int:
    """Print a link that signs a browser in to the pages of runs, jobs and MLflow."""
    from localcloud.cli.open import open_pages

    open_pages(load_settings())
    return 0


def unchanged(options: argparse.Namespace) -> int:
    """Check whether all inputs of a command are the same as at its last success, or record a success.

    Exit code 1: no.
    """
    from pathlib import Path

    from localcloud.cli.unchanged import check, record

    settings, key = load_settings(), Path(options.key_file)
    if options.step == "record":
        return 0 if record(settings, key, _subject(options)) else 1
    if not check(settings, key, _subject(options), force=options.force):
        return 1
    sys.stdout.write(options.message + "\n")
    return 0


def enter(options: argparse.Namespace) -> int:
    """Do the work of `python -m localcloud.engine`, start, env and unchanged in one process: a verb's beginning."""
    from pathlib import Path

    from localcloud.cli.enter import enter as run

    namespaces = _namespaces(options.register)
    key, subject = Path(options.key_file), _subject(options)
    if run(load_settings(), namespaces, key, subject, force=options.force, descriptor=options.shell):
        sys.stdout.write(f"{options.message}\n")
    return 0


def _subject(options: argparse.Namespace) -> Subject:
    from localcloud.cli.unchanged import Subject

    return Subject(
        paths=options.paths,
        variables=options.variables,
        programs=options.programs,
        blobs=options.blobs,
        passing=options.passing,
    )


def _namespaces(text: str) -> list[str]:
    from localcloud.arm import registrations

    return [*registrations.parse(text), *registrations.from_environment()]


def clean(options: argparse.Namespace) -> int:
    """Stop it and delete everything it keeps: accounts, state, models."""
    from localcloud.cli.stop import clean as run

    settings = load_settings()
    if not options.yes and not _confirmed(f"Delete everything in {settings.home}? [y/N]: "):
        return 1
    run(settings)
    return 0


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:  # there is no terminal to prompt
        sys.stdout.write("\n")
        return False


def serve(_: argparse.Namespace) -> int:
    """Run in the foreground, like `start` in the background."""
    from localcloud.arm import registrations
    from localcloud.gateway.server import run

    settings = load_settings()
    registrations.ensure(settings.database, registrations.from_environment())
    run(settings)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="localcloud", description="Azure's control planes on one machine.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    commands_by_name: dict[str, argparse.ArgumentParser] = {}
    for command in (start, stop, status, logs, env, open_, unchanged, enter, clean, serve):
        name = command.__name__.rstrip("_")
        parser_of_command = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        parser_of_command.set_defaults(command=command)
        commands_by_name[name] = parser_of_command
    options = commands_by_name["logs"].add_argument
    options("-f", "--follow", action="store_true", help="Go on until Ctrl-C.")
    options("--lines", type=int, default=20, help="How many lines of each log to begin with.")
    options = commands_by_name["unchanged"].add_argument
    options("step", choices=("check", "record"), help="check before the command, record after it has succeeded.")
    for name in ("start", "enter"):
        commands_by_name[name].add_argument(
            "--register", metavar="NAMESPACES", default="",
            help="Resource providers to register, separated by commas; LOCALCLOUD_RESOURCE_PROVIDERS adds more.",
        )  # fmt: skip
    commands_by_name["enter"].add_argument(
        "--shell", metavar="DESCRIPTOR", type=int, required=True,
        help="File for the shell's eval: the variables, and unchanged=yes if nothing has changed.",
    )  # fmt: skip
    for name in ("unchanged", "enter"):
        _add_subject(commands_by_name[name].add_argument)
    commands_by_name["clean"].add_argument("--yes", action="store_true", help="Do not ask.")
    return parser


def _add_subject(options: Callable[..., object]) -> None:
    """Add the options that name a command's inputs."""
    options("--key-file", required=True, help="File with the inputs of the command's last success.")
    options("--paths", nargs="*", default=(), help="Files, folders and glob patterns that the command reads.")
    options(
        "--variables", nargs="*", default=(), help="Patterns of variables; of NAME_FILE the file's content counts too."
    )
    options("--programs", nargs="*", default=(), help="Programs on PATH that it runs.")
    options("--blobs", nargs="*", default=(), metavar="ACCOUNT/CONTAINER/NAME", help="Blobs that it reads.")
    options(
        "--passing",
        nargs="*",
        default=(),
        metavar="'TYPE [FIELD]'",
        help="Resources, or their fields, that others set.",
    )
    options("--force", action="store_true", help="check as if something had changed.")
    options("--message", default="Nothing has changed.", help="Message when the command has nothing to do.")


def main() -> None:
    """Run the command line."""
    options = _parser().parse_args()
    command: Command = options.command
    try:
        sys.exit(command(options))
    except LocalcloudError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
