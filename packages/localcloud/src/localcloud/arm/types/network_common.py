"""Common parts of types of Microsoft.Network: versions, name rule, references, children shown inside their parent."""

from __future__ import annotations

import hashlib

from localcloud.arm.resource_types import NameRule
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

VERSIONS = (
    "2015-05-01-preview", "2015-06-15", "2016-03-30", "2016-06-01", "2016-09-01", "2016-12-01", "2017-03-01",
    "2017-06-01", "2017-08-01", "2017-09-01", "2017-10-01", "2017-11-01", "2018-01-01", "2018-02-01", "2018-04-01",
    "2018-06-01", "2018-07-01", "2018-08-01", "2018-10-01", "2018-11-01", "2018-12-01", "2019-02-01", "2019-04-01",
    "2019-06-01", "2019-07-01", "2019-08-01", "2019-09-01", "2019-11-01", "2019-12-01", "2020-03-01", "2020-04-01",
    "2020-05-01", "2020-06-01", "2020-07-01", "2020-08-01", "2020-11-01", "2021-02-01", "2021-03-01", "2021-05-01",
    "2021-08-01", "2022-01-01", "2022-05-01", "2022-07-01", "2022-09-01", "2022-11-01", "2023-02-01", "2023-04-01",
    "2023-05-01", "2023-06-01", "2023-09-01", "2023-11-01", "2024-01-01", "2024-03-01", "2024-05-01", "2024-07-01",
    "2024-10-01", "2025-01-01", "2025-03-01", "2025-05-01", "2025-07-01",
    "2025-09-01", "2026-01-01", "2026-03-01",
)  # fmt: skip

NAME = NameRule(
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,78}[A-Za-z0-9_])?",
    "Resource name {name} is invalid. The name can be up to 80 characters long. It must begin with a word character, "
    "and it must end with a word character or with '_'. The name may contain word characters or '.', '-', '_'.",
)


def bad_request(code: str, message: str) -> ServiceError:
    return ServiceError(400, code, message)


def since(version: str) -> tuple[str, ...]:
    """Return the versions from one on."""
    return tuple(known for known in VERSIONS if known >= version)


def etag(resource: Resource) -> str:
    """Return a tag that changes with the content, as Azure's weak tags do."""
    return f'W/"{hashlib.sha256(repr(resource.properties).encode()).hexdigest()[:32]}"'


def render_child(resource: Resource) -> Json:
    """Return a child as its parent embeds it."""
    body = resource.to_json()
    return {
        "name": body["name"],
        "id": body["id"],
        "etag": etag(resource),
        "properties": body["properties"],
        "type": body["type"],
    }


def reference(ctx: Context, owner: Resource, value: object, type_: str) -> Resource | None:
    """Return the resource of {"id": …} in `owner`'s body; None when the value is empty.

    Raises ServiceError 400 InvalidResourceReference when it does not exist or is of another type.
    """
    id_ = value.get("id") if isinstance(value, dict) else None
    if not id_:
        return None
    resource = ctx.resources.get(str(id_))
    if resource is None or resource.type.lower() != type_.lower():
        raise bad_request(
            "InvalidResourceReference",
            f"Resource {id_} referenced by resource {owner.id} was not found. Please make sure that the referenced "
            "resource exists, and that both resources are in the same region.",
        )
    return resource


def refers_to(value: object, id_: str) -> bool:
    """Whether {"id": …} names `id_`."""
    return isinstance(value, dict) and str(value.get("id", "")).lower() == id_.lower()


def sync_children(ctx: Context, parent: Resource, type_: str, collection: str, bodies: list[Json]) -> None:
    """Make the children of `parent` exactly the list in its body."""
    kept = set()
    for body in bodies:
        id_ = f"{parent.id}/{collection}/{body['name']}"
        kept.add(id_.lower())
        child = Resource(id=id_, type=type_, name=body["name"], properties=dict(body.get("properties") or {}))
        child.properties["provisioningState"] = "Succeeded"
        ctx.resources.put(child)
    for child in ctx.resources.children(parent.id, type_):
        if child.id.lower() not in kept:
            ctx.resources.delete(child.id)


def inline_children(resource: Resource, collection: str, type_: str) -> list[Resource] | None:
    """Return the children in a body's list, as resources; None when the body has no such list.

    Raises ServiceError 400 InvalidRequestFormat when one has no name.
    """
    bodies = resource.properties.pop(collection, None)
    if bodies is None:
        return None
    result = []
    for body in bodies:
        if not isinstance(body, dict) or not body.get("name"):
            raise bad_request("InvalidRequestFormat", f"Cannot parse the request: one of {collection} has no name.")
        result.append(
            Resource(
                id=f"{resource.id}/{collection}/{body['name']}",
                type=type_,
                name=body["name"],
                properties=dict(body.get("properties") or {}),
            )
        )
    return result
