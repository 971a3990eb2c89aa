"""`pulumi stack export | python -m infra.graph docs/platform.md`: the stack's resources, grouped by component.

The page shows the engine's own graph, the resources of its state with their components and dependencies, as Mermaid
text, which GitHub and Azure DevOps draw. Components follow the order of deployment.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any


@dataclass
class Box:
    """A component: its class, its own resources as (type, name), and the URNs of the components that it needs."""

    urn: str
    name: str
    title: str
    resources: list[tuple[str, str]] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)


def boxes(state: Mapping[str, Any]) -> list[Box]:
    """Return the components of an exported stack that have resources of their own, in the order of their needs."""
    resources = {resource["urn"]: resource for resource in state["deployment"].get("resources") or []}
    components: dict[str, Box] = {}
    owners = {urn: _owner(urn, resources) for urn in resources}
    for urn, resource in resources.items():
        owner = owners[urn]
        if owner is None or not resource.get("custom"):
            continue
        box = components.setdefault(owner, _box(owner))
        box.resources.append((_short(resource["type"]), _name(urn)))
        for target in _targets(resource):
            other = owners.get(target)
            if other is not None and other != owner:
                box.needs.add(other)
    for box in components.values():
        box.needs &= set(components)
        box.resources.sort()
    return _in_order(components)


def _owner(urn: str, resources: Mapping[str, Any]) -> str | None:
    """Return the component that a resource, or a component itself, belongs to."""
    current: str | None = urn
    while current is not None and current in resources:
        if not resources[current].get("custom") and resources[current].get("parent"):
            return current
        current = resources[current].get("parent")
    return None


def _targets(resource: Mapping[str, Any]) -> Iterator[str]:
    yield from resource.get("dependencies") or []
    for urns in (resource.get("propertyDependencies") or {}).values():
        yield from urns or []
    if provider := resource.get("provider"):
        yield provider.rsplit("::", 1)[0]


def _box(urn: str) -> Box:
    _, _, kind = urn.split("::")[2].rsplit("$", 1)[-1].split(":")
    return Box(urn, _name(urn), kind)


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _short(type_: str) -> str:
    """Return StorageAccount for azure-native:storage:StorageAccount; providers go by their package."""
    kind = type_.rsplit(":", 1)[-1]
    return f"Provider {kind}" if type_.startswith("pulumi:providers:") else kind.replace("RoleAssignment", "Role")


def _in_order(components: Mapping[str, Box]) -> list[Box]:
    """Sort components by need, and leave out needs that others imply.

    Components can need each other, such as a network and the accounts that it connects. In such a circle the need of
    the component that was declared first is ignored.
    """
    declared = {urn: index for index, urn in enumerate(components)}
    while True:
        sorter = TopologicalSorter({urn: sorted(box.needs) for urn, box in components.items()})
        try:
            order = list(sorter.static_order())
            break
        except CycleError as error:
            circle: list[str] = error.args[1]  # each is needed by the next
            for need, urn in pairwise(circle):
                if declared[need] > declared[urn]:
                    components[urn].needs.discard(need)
    reachable: dict[str, set[str]] = {}
    for urn in order:
        needs = components[urn].needs
        implied = set().union(*(reachable[need] for need in needs))
        reachable[urn] = needs | implied
        needs -= implied
    return [components[urn] for urn in order]


def mermaid(drawn: Sequence[Box]) -> str:
    """Return the flowchart. The same stack has the same text."""
    ids = {box.urn: f"c{index}" for index, box in enumerate(drawn)}
    lines = ["flowchart LR"]
    for box in drawn:
        rows = [f"<b>{escape(box.title)}</b> {escape(box.name)}"]
        rows += [f"{escape(name)} <i>{escape(kind)}</i>" for kind, name in box.resources]
        lines.append(f'  {ids[box.urn]}["{"<br/>".join(rows)}"]')
    lines += [f"  {ids[need]} --> {ids[box.urn]}" for box in drawn for need in sorted(box.needs, key=ids.__getitem__)]
    return "\n".join(lines) + "\n"


def page(drawn: Sequence[Box]) -> str:
    """Return the page with the flowchart."""
    count = sum(len(box.resources) for box in drawn)
    return (
        "# The platform's resources\n\n"
        f"The {count} resources of the local stack by component; an arrow leads to a component that needs another.\n"
        "`make graph` draws it from the engine's state.\n\n"
        f"```mermaid\n{mermaid(drawn)}```\n"
    )


def main() -> None:
    """Read an exported stack from standard input, write the page to the file on the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: pulumi stack export --stack STACK | python -m infra.graph FILE.md")
    try:
        state = json.load(sys.stdin)
        drawn = boxes(state)
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"This is not an exported stack: {error!r}. Pass the output of `pulumi stack export`.")
    if not drawn:
        sys.exit("The stack has no resources: deploy it first, with `make up`.")
    Path(sys.argv[1]).write_text(page(drawn), encoding="utf-8")
    count = sum(len(box.resources) for box in drawn)
    sys.stdout.write(f"{sys.argv[1]} shows {count} resources in {len(drawn)} components.\n")


if __name__ == "__main__":
    main()
