"""`pulumi stack export | python -m infra.graph docs/platform.svg`: the stack's resources, grouped by component.

What is drawn is the engine's own graph: the resources of its state, their components and dependencies. Columns follow
the order of deployment, so that every component needs only what stands to its left. Drawn here, since Graphviz is no
Python package and not on every machine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

_BOX, _LINE, _HEAD, _PAD = 330, 16, 28, 10  # pixels: width of a box, height of a line and of a title, margin inside
_GAP_X, _GAP_Y, _MARGIN = 90, 22, 24
_FITS = 50  # characters of a line
_COLOURS = {
    "access": "#b5651d", "databricks": "#d9432f", "identity": "#8a6d3b", "keyvault": "#7a4fb5", "network": "#00838f",
    "machinelearning": "#1565c0", "monitoring": "#2e7d32", "platform": "#455a64", "protection": "#ad1457",
    "registry": "#5e35b1", "storage": "#00695c",
}  # fmt: skip
_STYLE = (
    "text{font-family:system-ui,Roboto,Arial,'DejaVu Sans',sans-serif;font-size:11px;fill:#1f2933}"
    ".title{font-size:13px;font-weight:600;fill:#fff}.kind{fill:#616e7c}.edge{fill:none;stroke:#9aa5b1;stroke-width:1.4}"
)


@dataclass
class Box:
    """One component: its class, its area, its own resources as (type, name), and the components that it needs."""

    urn: str
    name: str
    title: str
    area: str
    resources: list[tuple[str, str]] = field(default_factory=list)
    needs: set[str] = field(default_factory=set)
    column: int = 0
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        return _HEAD + 2 * _PAD + _LINE * len(self.resources)

    @property
    def middle(self) -> int:
        return self.y + self.height // 2


def boxes(state: Mapping[str, Any]) -> list[Box]:
    """Components of an exported stack that have resources of their own, in the order of their columns."""
    resources = {each["urn"]: each for each in state["deployment"].get("resources") or []}
    found: dict[str, Box] = {}
    owners = {urn: _owner(urn, resources) for urn in resources}
    for urn, resource in resources.items():
        owner = owners[urn]
        if owner is None or not resource.get("custom"):
            continue
        box = found.setdefault(owner, _box(owner))
        box.resources.append((_short(resource["type"]), _name(urn)))
        for target in _targets(resource):
            other = owners.get(target)
            if other is not None and other != owner:
                box.needs.add(other)
    for box in found.values():
        box.needs &= set(found)
        box.resources.sort()
    return _in_columns(found)


def _owner(urn: str, resources: Mapping[str, Any]) -> str | None:
    """The component that a resource, or a component itself, belongs to."""
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
    _, area, kind = urn.split("::")[2].rsplit("$", 1)[-1].split(":")
    return Box(urn, _name(urn), kind, area)


def _name(urn: str) -> str:
    return urn.rsplit("::", 1)[-1]


def _short(type_: str) -> str:
    """azure-native:storage:StorageAccount is StorageAccount; providers go by their package."""
    kind = type_.rsplit(":", 1)[-1]
    return f"Provider {kind}" if type_.startswith("pulumi:providers:") else kind.replace("RoleAssignment", "Role")


def _in_columns(found: dict[str, Box]) -> list[Box]:
    """Columns by the longest way; a need that closes a circle (a network and what it connects) does not count."""
    for urn in found:
        _break_circles(urn, found, [])
    for urn in found:
        found[urn].column = _depth(urn, found)
    for box in found.values():
        indirect = {far for near in box.needs for far in _all_needs(near, found)}
        box.needs -= indirect
    return sorted(found.values(), key=lambda box: (box.column, box.area, box.name))


def _break_circles(urn: str, found: Mapping[str, Box], path: Sequence[str]) -> None:
    for need in sorted(found[urn].needs):
        if need == urn or need in path:
            found[urn].needs.discard(need)
        else:
            _break_circles(need, found, [*path, urn])


def _depth(urn: str, found: Mapping[str, Box]) -> int:
    return max((_depth(need, found) + 1 for need in found[urn].needs), default=0)


def _all_needs(urn: str, found: Mapping[str, Box]) -> set[str]:
    return {far for near in found[urn].needs for far in {near, *_all_needs(near, found)}}


def svg(drawn: Sequence[Box], title: str) -> str:
    """The picture. The same stack gives the same text."""
    width, height = _place(drawn)
    root = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", role="img")
    root.set("width", str(width))
    root.set("height", str(height))
    ElementTree.SubElement(root, "title").text = title
    ElementTree.SubElement(root, "style").text = _STYLE
    ElementTree.SubElement(root, "rect", width="100%", height="100%", fill="#ffffff")
    by_urn = {box.urn: box for box in drawn}
    for box in drawn:
        for need in sorted(box.needs):
            _edge(root, by_urn[need], box)
    for box in drawn:
        _draw(root, box)
    ElementTree.indent(root, " ")
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _place(drawn: Sequence[Box]) -> tuple[int, int]:
    """Columns from left to right, each in the middle of the tallest; what needs the same stands together."""
    columns: dict[int, list[Box]] = {}
    for box in drawn:
        columns.setdefault(box.column, []).append(box)
    heights = {index: sum(box.height + _GAP_Y for box in column) - _GAP_Y for index, column in columns.items()}
    tallest = max(heights.values(), default=0)
    by_urn = {box.urn: box for box in drawn}
    for index in sorted(columns):
        column = sorted(columns[index], key=lambda box: (_pull(box.needs, by_urn), box.name))
        y = _MARGIN + (tallest - heights[index]) // 2
        for box in column:
            box.x, box.y = _MARGIN + index * (_BOX + _GAP_X), y
            y += box.height + _GAP_Y
    return _MARGIN * 2 + len(columns) * (_BOX + _GAP_X) - _GAP_X, tallest + 2 * _MARGIN


def _pull(needs: Iterable[str], by_urn: Mapping[str, Box]) -> float:
    middles = [by_urn[need].middle for need in needs]
    return sum(middles) / len(middles) if middles else 0.0


def _edge(root: ElementTree.Element, left: Box, right: Box) -> None:
    start, end = left.x + _BOX, right.x
    bend = (end - start) // 2
    way = f"M{start},{left.middle} C{start + bend},{left.middle} {end - bend},{right.middle} {end},{right.middle}"
    path = ElementTree.SubElement(root, "path", {"class": "edge"}, d=way)
    ElementTree.SubElement(path, "title").text = f"{right.title} needs {left.title}"


def _draw(root: ElementTree.Element, box: Box) -> None:
    colour = _COLOURS.get(box.area, "#455a64")
    group = ElementTree.SubElement(root, "g", transform=f"translate({box.x},{box.y})")
    ElementTree.SubElement(
        group, "rect", width=str(_BOX), height=str(box.height), rx="6", fill="#f8fafc", stroke=colour
    )
    ElementTree.SubElement(group, "rect", width=str(_BOX), height=str(_HEAD), rx="6", fill=colour)
    ElementTree.SubElement(group, "text", {"class": "title"}, x=str(_PAD), y="19").text = box.title
    for index, (kind, name) in enumerate(box.resources):
        line = ElementTree.SubElement(group, "text", x=str(_PAD), y=str(_HEAD + _PAD + 12 + index * _LINE))
        line.text = _fitting(name.removeprefix(f"{box.name}-"), _FITS - len(kind))
        ElementTree.SubElement(line, "tspan", {"class": "kind"}, dx="6").text = kind
        ElementTree.SubElement(line, "title").text = f"{kind} {name}"


def _fitting(text: str, most: int) -> str:
    """Both ends of a text that is too long: the beginning says where, the end says who."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - half]}…{text[-half:]}"


def main() -> None:
    """Read an exported stack from standard input, write the picture to the file that is named."""
    if len(sys.argv) != 2:
        sys.exit("usage: pulumi stack export --stack STACK | python -m infra.graph FILE.svg")
    try:
        state = json.load(sys.stdin)
        drawn = boxes(state)
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"This is not an exported stack: {error!r}. Give what `pulumi stack export` prints.")
    if not drawn:
        sys.exit("The stack has no resources: deploy it first, with `make up`.")
    Path(sys.argv[1]).write_text(svg(drawn, "Resources of the stack, by component"), encoding="utf-8")
    count = sum(len(box.resources) for box in drawn)
    sys.stdout.write(f"{sys.argv[1]} shows {count} resources in {len(drawn)} components.\n")


if __name__ == "__main__":
    main()
