"""Command that makes the resources which exist once, before the first stack. Running it again changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from bootstrap.engine import Backend, BootstrapError, Engine, PulumiError
from bootstrap.naming import Names
from bootstrap.resource_providers import registrations
from bootstrap.settings import Settings

_FOLDER = Path(__file__).resolve().parent
_ROOT = _FOLDER.parent

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
_out = Console()
Folder = Annotated[Path, typer.Option(help="Folder with Pulumi.yaml and the settings.", file_okay=False)]
Stack = Annotated[str, typer.Option(help="Name of the settings file: Pulumi.STACK.yaml.")]


@app.command()
def up(
    dry_run: Annotated[bool, typer.Option(help="Show the changes, and make none.")] = False,
    folder: Folder = _FOLDER,
    stack: Stack = "main",
) -> None:
    """Register resource providers, make missing resources, then move the bootstrap's own state into its container."""
    engine = Engine(folder, stack)
    settings = engine.settings()
    moved = engine.remote_has_state(settings)
    _register(engine, settings, dry_run=dry_run)
    if dry_run:
        _preview(engine, settings, moved=moved)
        return
    backend = engine.remote(settings) if moved else engine.local()
    if not moved:
        _out.print("The state is on this machine until its container exists.")
        engine.pulumi(backend, "stack", "select", "--create", stack, quiet=True)
    engine.pulumi(backend, "up", "--stack", stack, "--yes", "--skip-preview", "--suppress-permalink=true")
    if not moved:
        _out.print("Moving the state into its container, sealed by the vault's key.")
        backend = engine.move(settings, backend)
    _show(engine, backend)


def _register(engine: Engine, settings: Settings, *, dry_run: bool) -> None:
    for registration in registrations(settings, engine.subscription()):
        names = ", ".join(registration.missing) or "none is missing"
        phase = "to register" if dry_run else "registering"
        _out.print(f"Resource providers of subscription {registration.subscription_id}, {phase}: {names}.")
        if not dry_run:
            registration.complete()


def _preview(engine: Engine, settings: Settings, *, moved: bool) -> None:
    words = ("preview", "--stack", engine.stack, "--suppress-permalink=true")
    if moved:
        engine.pulumi(engine.remote(settings), *words)
    elif engine.local_state.exists():
        engine.pulumi(engine.local(), *words)
    else:
        with engine.temporary() as backend:
            engine.pulumi(backend, "stack", "init", engine.stack, quiet=True)
            engine.pulumi(backend, *words)


def _show(engine: Engine, backend: Backend) -> None:
    outputs = json.loads(engine.pulumi(backend, "stack", "output", "--stack", engine.stack, "--json", quiet=True))
    for name, environment in outputs["environments"].items():
        _out.print(
            f"Stack {name}: {environment['backend']}\n  sealed by {environment['secrets_provider']}", soft_wrap=True
        )
    _out.print(f"The bootstrap's own state: {outputs['own_backend']}", soft_wrap=True)
    if not engine.settings().azure_devops.enabled:
        _show_connections(engine.settings(), outputs)
    _out.print("Next: `python -m bootstrap stacks` makes the platform's stacks in their containers.")


def _show_connections(settings: Settings, outputs: dict[str, Any]) -> None:
    """Print the manual work in the project: the connections that have no federated credential yet."""
    missing = {name: connection for name, connection in outputs["connections"].items() if not connection["federated"]}
    if missing:
        _out.print(
            "Make these service connections in Azure DevOps (managed identity, workload identity federation) and save "
            f"them as drafts; tenant {outputs['tenant_id']}:",
            soft_wrap=True,
        )
        for name, connection in missing.items():
            _out.print(
                f"  {name}: client {connection['client_id']}, subscription {connection['subscription_id']}",
                soft_wrap=True,
            )
        _out.print(
            "Then put the issuer and the subject that each one shows into azure_devops.connections of the settings "
            "and run this again: it lets them sign in.",
            soft_wrap=True,
        )
    for name, presented in settings.azure_devops.connections.items():
        if presented.retires:
            _out.print(f"{name}: Azure DevOps retires its issuer on 2027-07-01. Convert it.", soft_wrap=True)


@app.command()
def stacks(
    folder: Folder = _FOLDER,
    stack: Stack = "main",
    project: Annotated[Path, typer.Option(help="Folder of the platform's Pulumi.yaml.", file_okay=False)] = _ROOT,
) -> None:
    """Make a stack for every environment that has none, in its container and sealed by its key.

    Pulumi writes the sealed data key into Pulumi.ENVIRONMENT.yaml: commit that.
    """
    settings = Engine(folder, stack).settings()
    names = Names(settings.base_name)
    for environment in settings.names:
        engine = Engine(project, environment)
        backend = Backend(f"azblob://{names.container(environment)}?storage_account={names.account}", {})
        created = engine.ensure_stack(backend, names.secrets_provider(environment))
        _out.print(f"Stack {environment} {'is made' if created else 'is there already'}: {backend.url}")


def main() -> None:
    """Run the command line; an error is printed as one clear text, with exit code 1."""
    try:
        app()
    except PulumiError as error:
        _fail(f"{error} Run it again when that is corrected: it goes on from here.")
    except BootstrapError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    """Print an error unchanged: Pulumi's messages may have brackets, which are no markup."""
    Console(stderr=True).print(text, style="red", markup=False, highlight=False, soft_wrap=True)
    raise SystemExit(1) from None


if __name__ == "__main__":
    main()
