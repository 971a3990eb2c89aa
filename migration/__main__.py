"""Take resources of the Terraform sample over: write the file for `pulumi import`, and a report on the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from migration import declared, report
from migration.errors import MigrationError
from migration.plan import import_file, make_plan
from migration.terraform import read_state
from migration.terraform_plan import destroyed_by

# A traceback with local variables would show the state, and with it the keys that Terraform keeps there.
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
_out, _err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
_ROOT = Path(__file__).resolve().parents[1]


@app.command(help=__doc__)
def migrate(
    state: Annotated[Path, typer.Argument(help="Output of `terraform state pull`, not named terraform.tfstate.")],
    stack: Annotated[str, typer.Option(help="Stack that adopts the resources.")],
    output: Annotated[Path, typer.Option(help="Where to write the import file.")] = Path("import.json"),
    report_file: Annotated[Path, typer.Option("--report", help="Where to write the report.")] = Path("migration.md"),
    leave_out: Annotated[list[str] | None, typer.Option(help="Address of a resource to leave with Terraform.")] = None,
    terraform_plan: Annotated[
        Path | None,
        typer.Option(help="Terraform's own next plan: `terraform show -json FILE` of `terraform plan -out`."),
    ] = None,
    project: Annotated[Path, typer.Option(help="Folder of Pulumi.yaml.", file_okay=False)] = _ROOT,
) -> None:
    """Write both files. Exit with 2 when the report names a resource that cannot be taken over or is in danger."""
    left = leave_out or []
    terraform = read_state(state, left)
    destroyed = [] if terraform_plan is None else destroyed_by(terraform_plan)
    declaration = declared.preview(project, stack)
    plan = make_plan(terraform, declaration, left, destroyed)
    content = import_file(plan, declaration)
    text = report.render(plan, stack, str(output))
    output.write_text(json.dumps(content, indent=2) + "\n")
    report_file.write_text(text + "\n")
    imported = sum(match.imported for match in plan.matches)
    _out.print(
        f"{imported} of {len(terraform.resources)} resources can be imported: {output}. The report: {report_file}."
    )
    for match in plan.blocked:
        _err.print(f"not imported: {match.source.address}", style="yellow", markup=False)
    for source, _, _ in plan.without:
        _err.print(f"no counterpart: {source.address}", style="yellow", markup=False)
    for managed in plan.contents:
        _err.print(f"remove from Terraform's state: {managed.address}", style="yellow", markup=False)
    for address in plan.destroyed:
        _err.print(f"Terraform would still delete: {address}", style="red", markup=False)
    if plan.blocked or plan.without or plan.destroyed:
        raise typer.Exit(2)


def main() -> None:
    """Run the command. Print a MigrationError as text and exit with 1."""
    try:
        app()
    except MigrationError as error:
        _err.print(str(error), style="red", markup=False)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
