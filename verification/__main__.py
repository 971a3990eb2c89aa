"""python -m verification: ask a deployed stack about the platform's beliefs on Azure."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from mlops.environment import load_outputs
from mlops.errors import MlopsError
from verification.asking import UnknownProbeError, ask, chosen
from verification.probes import PROBES
from verification.report import Report, read_others
from verification.target import Target

_FOLDER = Path(__file__).resolve().parents[1] / "docs" / "parity"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.command()
def verify(
    stack: Annotated[str, typer.Option(help="Pulumi stack to check.", envvar="STACK")] = "dev",
    outputs: Annotated[Path | None, typer.Option(help="File with the output of `pulumi stack output --json`.")] = None,
    name: Annotated[str, typer.Option("--as", help="Name of the platform that answers: column and file.")] = "azure",
    only: Annotated[list[str] | None, typer.Option(help="A probe to ask; may be repeated. Default: all.")] = None,
    allow_changes: Annotated[
        bool, typer.Option("--allow-changes", help="Ask probes that change something for a moment of prod, too.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Folder of the files.", file_okay=False)] = _FOLDER,
) -> None:
    """Ask, print a table, and write the answers down. Exit code 1 when a belief is contradicted.

    The caller needs the rights of a deployer of the stack. Probes that change something put it back.
    """
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(
            f"{name!r}: give lowercase letters, digits and hyphens, such as azure", param_hint="--as"
        )
    for library in ("azure", "msal", "azure.ai.ml"):
        logging.getLogger(library).setLevel(logging.ERROR)
    errors, console = Console(stderr=True), Console()
    try:
        probes = chosen(PROBES, only or [])
        others = read_others(folder, name)
        target = Target(load_outputs(stack, outputs))
    except (MlopsError, UnknownProbeError, ValueError) as error:
        errors.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    with errors.status("") as status:
        answers = ask(target, probes, allow_changes=allow_changes, tell=lambda probe: status.update(f"asking {probe}"))
    report = Report(name, datetime.now(UTC).date(), target.outputs.environment, probes, answers, others)
    console.print(report.table())
    for file in report.write(folder):
        errors.print(f"Written: {file}", markup=False, highlight=False, soft_wrap=True)
    if report.contradicted:
        errors.print(f"Contradicted: {', '.join(report.contradicted)}.", style="red", soft_wrap=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    app()
