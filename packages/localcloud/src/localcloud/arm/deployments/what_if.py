"""Changes that a deployment would make (what-if), compared with existing resources; nothing is deployed.

Results: learn.microsoft.com/azure/azure-resource-manager/templates/deploy-what-if. Properties that a template leaves
out are predicted to stay; omitted tags are predicted to be removed, as tags are replaced as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localcloud.arm import resource_types
from localcloud.arm.deployments.scope import NeededError
from localcloud.arm.deployments.template import DEPLOYMENT, Planned, Template
from localcloud.arm.resources import Resources
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_HIDDEN = {"systemData", "etag"}
Nested = Callable[[str, Json], Template]
"""Makes the template of a nested deployment from its id and properties."""


class WhatIf:
    """A prediction. `full` is for resultFormat FullResourcePayloads; else only ids are shown."""

    def __init__(self, ctx: Context, resources: Resources, nested: Nested, *, full: bool) -> None:
        self._ctx = ctx
        self._resources = resources
        self._nested = nested
        self._full = full

    async def changes(self, template: Template, group: str | None) -> list[Json]:
        """Return the changes of a template's resources, then the resources of its group that it does not name."""
        changes = await self._template_changes(template)
        named = {str(change["resourceId"]).lower() for change in changes}
        return [*changes, *(self._ignored(group, named) if group is not None else [])]

    async def _template_changes(self, template: Template) -> list[Json]:
        changes: list[Json] = []
        for planned in template.resources:
            body = self._body(planned)
            if body is None:
                changes.append(
                    {
                        "resourceId": planned.id,
                        "changeType": "Unsupported",
                        "unsupportedReason": "Changes to the resource depend on a function that needs other resources "
                        "at run time.",
                    }
                )
            elif planned.type.lower() == DEPLOYMENT.lower():
                changes += await self._template_changes(self._nested(planned.id, body["properties"]))
            else:
                changes.append(self._change(planned, body, await self._resources.find(planned.id)))
        return changes

    @staticmethod
    def _body(planned: Planned) -> Json | None:
        """Return the evaluated body; None where it refers to a resource that a deployment would make first."""
        try:
            return planned.body({})
        except NeededError:
            return None

    def _change(self, planned: Planned, body: Json, existing: Resource | None) -> Json:
        envelope = {"apiVersion": planned.api_version, "id": planned.id, "name": planned.name, "type": planned.type}
        if not self._full:
            return {"resourceId": planned.id, "changeType": "Deploy"}
        if existing is None:
            return {"resourceId": planned.id, "changeType": "Create", "after": envelope | body}
        before = self._render(existing) | {"apiVersion": planned.api_version}
        type_ = resource_types.of(self._ctx).get(planned.type)
        secret = frozenset() if type_ is None else frozenset(type_.write_only)
        delta = [change for key, value in body.items() for change in _differences(key, before.get(key), value, secret)]
        tags = body.get("tags") or {}
        if type_ is not None and type_.tracked:
            delta += [
                {"path": f"tags.{name}", "propertyChangeType": "Delete", "before": value}
                for name, value in (existing.tags or {}).items()
                if name not in tags
            ]
        after = _merged(before, body) | ({"tags": tags} if type_ is not None and type_.tracked else {})
        kind = "Modify" if delta else "NoChange"
        return {"resourceId": existing.id, "changeType": kind, "before": before, "after": after, "delta": delta}

    def _ignored(self, group: str, named: set[str]) -> list[Json]:
        """Return the group's other resources, which an incremental deployment leaves unchanged."""
        changes = []
        for resource in self._ctx.resources.list(scope=group):
            type_ = resource_types.of(self._ctx).get(resource.type)
            if type_ is None or not type_.tracked or resource.id.lower() in named:
                continue
            states = {"before": self._render(resource), "after": self._render(resource)} if self._full else {}
            changes.append({"resourceId": resource.id, "changeType": "Ignore", **states})
        return changes

    def _render(self, resource: Resource) -> Json:
        api_version = resource.private.get("apiVersion")
        body = {key: value for key, value in self._resources.render(resource).items() if key not in _HIDDEN}
        return body if api_version is None else {"apiVersion": api_version, **body}


def _differences(path: str, before: Any, after: Any, secret: frozenset[str]) -> list[Json]:
    """Return the changes at and below a path; values that are never shown cannot be compared."""
    if path in secret or _same(path, before, after):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            change
            for key, value in after.items()
            for change in _differences(f"{path}.{key}", before.get(key), value, secret)
        ]
    if isinstance(before, list) and isinstance(after, list):
        children = [
            _item(index, before[index : index + 1], after[index : index + 1])
            for index in range(max(len(before), len(after)))
            if before[index : index + 1] != after[index : index + 1]
        ]
        return [{"path": path, "propertyChangeType": "Array", "children": children}]
    if before is None:
        return [{"path": path, "propertyChangeType": "Create", "after": after}]
    return [{"path": path, "propertyChangeType": "Modify", "before": before, "after": after}]


def _item(index: int, before: list[Any], after: list[Any]) -> Json:
    """Return the change of one item of a list; a side without the item is empty."""
    kind = "Modify" if before and after else "Create" if after else "Delete"
    sides = {name: side[0] for name, side in (("before", before), ("after", after)) if side}
    return {"path": str(index), "propertyChangeType": kind, **sides}


def _same(path: str, before: Any, after: Any) -> bool:
    if path == "location":
        return str(before).replace(" ", "").lower() == str(after).replace(" ", "").lower()
    return bool(before == after)


def _merged(before: Json, after: Json) -> Json:
    merged = dict(before)
    for key, value in after.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged
