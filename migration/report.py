"""The report of a plan, as Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any

from migration.plan import Difference, Match, Plan
from migration.terraform import CONTENTS, Content


def render(plan: Plan, stack: str, import_file: str) -> str:
    """Return the report: imported resources, the others with the reason, and the next commands."""
    imported = [match for match in plan.matches if match.imported]
    managed = [match for match in plan.matches if match.target.managed]
    lines = [f"# From Terraform to the stack {stack}", ""]
    lines += _section(
        "Terraform would still delete",
        "Stop the pipeline that runs Terraform, and change its configuration until `terraform plan` deletes and "
        "replaces nothing (for an account with a hierarchical namespace: `is_hns_enabled = true`). An apply before "
        "that loses data.",
        (f"- `{address}`" for address in plan.destroyed),
    )
    lines += _imported(imported)
    lines += _section(
        "Would be replaced: not imported",
        "Deploying the stack would delete these and make new ones. Change the setting, where one is named, and run "
        "this again; else move their data first.",
        (line for match in plan.blocked for line in _why(match, match.replacing)),
    )
    lines += _section(
        "Azure refuses the change: not imported",
        "These properties cannot be changed any more. Set the stack to the existing values, and run this again.",
        (line for match in plan.blocked for line in _why(match, match.refused)),
    )
    lines += _section(
        "No counterpart in the stack",
        "The stack declares nothing of that name. They stay unchanged, and stay with Terraform.",
        (
            f"- `{source.address}` ({id_}): the stack declares {_list(names) or 'nothing'} of its type."
            for source, id_, names in plan.without
        ),
    )
    lines += _contents(plan.contents)
    lines += _section("Left out", "As you asked.", (f"- `{address}`" for address in plan.left_out))
    lines += _section("In the stack already", "", (f"- `{match.source.address}` ({match.id})" for match in managed))
    if imported:
        lines += [
            "## Next", "",
            "```", f"pulumi import --stack {stack} --file {import_file} --generate-code=false --protect=false --yes",
            f"pulumi preview --stack {stack} --diff", "```", "",
        ]  # fmt: skip
    return "\n".join(lines)


def _contents(contents: list[Content]) -> list[str]:
    lines = _section(
        "Remove from Terraform's state",
        "Blobs, secrets, keys and certificates stay where they are, and role assignments in force, but the stack does "
        "not declare them. Terraform would delete them with its next destroy, and can no longer read contents when "
        "account keys and access policies are off. Its state holds values of secrets in the clear: delete its old "
        "versions, and change those secrets.",
        (f"- `{content.address}`, {CONTENTS[content.type]}" for content in contents),
    )
    if not contents:
        return []
    commands = [f"terraform state rm {shlex.quote(content.address)}" for content in contents]
    return [*lines, "```", *commands, "```", ""]


def _imported(matches: list[Match]) -> list[str]:
    lines = ["## Imported", ""]
    if not matches:
        return [*lines, "Nothing.", ""]
    lines += ["| Terraform | Pulumi | changed by the next deployment |", "|---|---|---|"]
    for match in matches:
        changes = "; ".join(_render(difference) for difference in match.changing) or "-"
        lines.append(f"| `{match.source.address}` | `{match.target.logical_name}` | {changes} |")
    return [*lines, ""]


def _section(title: str, text: str, lines: Iterable[str]) -> list[str]:
    items = list(lines)
    if not items:
        return []
    return [f"## {title}", "", *([text, ""] if text else []), *items, ""]


def _why(match: Match, differences: Iterable[Difference]) -> list[str]:
    return [f"- `{match.source.address}` ({match.id}): {_render(difference)}" for difference in differences]


def _render(difference: Difference) -> str:
    setting = f" (setting {difference.setting})" if difference.setting else ""
    way = f": {difference.way}" if difference.way and difference.declared is True else ""
    return f"{difference.path} is {_value(difference.there)}, the stack has {_value(difference.declared)}{setting}{way}"


def _value(value: Any) -> str:
    return {True: "on", False: "off"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _list(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
