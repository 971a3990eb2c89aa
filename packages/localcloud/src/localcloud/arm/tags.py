"""Microsoft.Resources/tags: the tags of a subscription, a group or a resource as a thing of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from localcloud.arm import bodies, ids, resource_types, rules
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.arm.wire import page
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID

TYPE = "Microsoft.Resources/tags"
_VERSIONS = (
    "2019-10-01", "2020-06-01", "2020-08-01", "2020-10-01", "2021-01-01", "2021-04-01", "2022-09-01", "2023-07-01",
    "2024-03-01", "2024-07-01", "2024-11-01", "2025-03-01", "2025-04-01",
)  # fmt: skip


def _holder(ctx: Context, scope: str) -> Resource:
    """Return the resource that keeps the tags of a scope; a subscription has a row for them alone."""
    rid = ids.parse(scope)
    if rid is None:
        id_ = f"{scope}/providers/{TYPE}/default"
        return ctx.resources.get(id_) or Resource(id=id_, type=TYPE, name="default", tags={})
    type_ = resource_types.of(ctx).get(rid.type)
    if type_ is None or not type_.tracked:
        raise not_emulated(f"tags of {rid.type} ({scope})")
    rules.check_group(ctx, rid)
    holder = ctx.resources.get(scope)
    if holder is None:
        raise rules.not_found(rid)
    return holder


def _render(holder: Resource, scope: str) -> Json:
    at = scope if holder.type == TYPE else holder.id
    return {
        "id": f"{at}/providers/{TYPE}/default", "name": "default", "type": TYPE,
        "properties": {"tags": dict(holder.tags or {})},
    }  # fmt: skip


def _requested_tags(body: Json) -> dict[str, str]:
    """Return the tags of a body. Raises ServiceError 400 for a body without or with invalid tags."""
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
    return _render(holder, scope)


async def _get(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return _render(_holder(ctx, parameters["scope"]), parameters["scope"])


async def _put(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    return _keep(ctx, parameters["scope"], _requested_tags(body))


async def _patch(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """`operation`: Merge adds, Replace replaces, Delete removes tags of the same name and value."""
    changes, before = _requested_tags(body), dict(_holder(ctx, parameters["scope"]).tags or {})
    operation = str(body.get("operation"))
    if operation == "Merge":
        tags = before | changes
    elif operation == "Replace":
        tags = changes
    elif operation == "Delete":
        tags = {name: value for name, value in before.items() if changes.get(name) not in {value, ""}}
    else:
        raise ServiceError(
            400, "InvalidTagPatchOperation", f"The operation '{operation}' is not one of Merge, Replace and Delete."
        )
    return _keep(ctx, parameters["scope"], tags)


async def _delete(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> None:
    _keep(ctx, parameters["scope"], {})


async def _names(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Return the tags in use below the subscription, with the number of their resources."""
    subscription = f"/subscriptions/{SUBSCRIPTION_ID}"
    counts: dict[str, Counter[str]] = {}
    for resource in ctx.resources.list(scope=subscription):
        for name, value in (resource.tags or {}).items():
            counts.setdefault(name, Counter())[value] += 1
    tags = [_tag_details(f"{subscription}/tagNames/{name}", name, counts[name]) for name in sorted(counts)]
    return page(tags, call.query, f"{call.base_url}{subscription}/tagNames")


def _tag_details(id_: str, name: str, values: Counter[str]) -> Json:
    return {
        "id": id_,
        "tagName": name,
        "count": {"type": "Total", "value": values.total()},
        "values": [
            {"id": f"{id_}/tagValues/{value}", "tagValue": value, "count": {"type": "Total", "value": count}}
            for value, count in sorted(values.items())
        ],
    }


def register(ctx: Context) -> None:
    """Register the operations on tags."""
    template = "{scope...}/providers/Microsoft.Resources/tags/default"
    ctx.types.register_routes(
        ProviderRoute(
            method="GET",
            template="/subscriptions/{subscription}/tagNames",
            permission="Microsoft.Resources/subscriptions/tagNames/read",
            handler=_names,
            api_versions=_VERSIONS,
        ),
        *(
            ProviderRoute(
                method=method, template=template, permission=f"{TYPE}/{verb}", handler=handler, api_versions=_VERSIONS
            )
            for method, verb, handler in (
                ("GET", "read", _get), ("PUT", "write", _put), ("PATCH", "write", _patch), ("DELETE", "delete", _delete)
            )
        )
    )  # fmt: skip
