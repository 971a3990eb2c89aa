"""Microsoft.Resources/tags: the tags of a subscription, a group or a resource as a thing of their own."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm import bodies, ids, resource_types, rules
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

TYPE = "Microsoft.Resources/tags"
_VERSIONS = (
    "2019-10-01", "2020-06-01", "2020-08-01", "2020-10-01", "2021-01-01", "2021-04-01", "2022-09-01", "2023-07-01",
    "2024-03-01", "2024-07-01", "2024-11-01", "2025-03-01", "2025-04-01",
)  # fmt: skip


def _holder(ctx: Context, scope: str) -> Resource:
    """What keeps the tags of a scope: the resource itself, and for a subscription a row of its own."""
    rid = ids.parse(scope)
    if rid is None:
        id_ = f"{scope}/providers/{TYPE}/default"
        return ctx.resources.get(id_) or Resource(id=id_, type=TYPE, name="default", tags={})
    type_ = resource_types.of(ctx).get(rid.type)
    if type_ is None or not type_.tracked:
        raise not_emulated(f"tags of {rid.type} ({scope})")
    rules.check_group(ctx, rid)
    found = ctx.resources.get(scope)
    if found is None:
        raise rules.not_found(rid)
    return found


def _shown(holder: Resource, scope: str) -> Json:
    at = scope if holder.type == TYPE else holder.id
    return {
        "id": f"{at}/providers/{TYPE}/default", "name": "default", "type": TYPE,
        "properties": {"tags": dict(holder.tags or {})},
    }  # fmt: skip


def _given(body: Json) -> dict[str, str]:
    """The tags of a body. Raises ServiceError 400 when there are none or they cannot be tags."""
    tags = rules.value_at(body, "properties.tags")
    if not isinstance(tags, dict):
        raise bodies.invalid_content("Required property 'properties.tags' not found in JSON.")
    bodies.check_tags(tags)
    return tags


def _keep(ctx: Context, scope: str, tags: dict[str, str]) -> Json:
    bodies.check_tags(tags)
    holder = _holder(ctx, scope)
    rules.check_locks(ctx, scope, "write")
    holder.tags = tags
    ctx.resources.put(holder)
    return _shown(holder, scope)


async def _get(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return _shown(_holder(ctx, parameters["scope"]), parameters["scope"])


async def _put(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return _keep(ctx, parameters["scope"], _given(body))


async def _patch(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """`operation`: Merge adds, Replace replaces, Delete takes away those of the same name and value."""
    given, before = _given(body), dict(_holder(ctx, parameters["scope"]).tags or {})
    operation = str(body.get("operation"))
    if operation == "Merge":
        tags = before | given
    elif operation == "Replace":
        tags = given
    elif operation == "Delete":
        tags = {name: value for name, value in before.items() if given.get(name) not in {value, ""}}
    else:
        raise ServiceError(
            400, "InvalidTagPatchOperation", f"The operation '{operation}' is not one of Merge, Replace and Delete."
        )
    return _keep(ctx, parameters["scope"], tags)


async def _delete(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> None:
    _keep(ctx, parameters["scope"], {})


def register(ctx: Context) -> None:
    template = "{scope...}/providers/Microsoft.Resources/tags/default"
    ctx.types.register_routes(
        *(
            ProviderRoute(
                method=method, template=template, permission=f"{TYPE}/{verb}", handler=handler, api_versions=_VERSIONS
            )
            for method, verb, handler in (
                ("GET", "read", _get), ("PUT", "write", _put), ("PATCH", "write", _patch), ("DELETE", "delete", _delete)
            )
        )
    )  # fmt: skip
