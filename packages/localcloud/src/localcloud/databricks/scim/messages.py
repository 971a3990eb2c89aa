"""SCIM messages by scim2-models: bodies, patches, searches, and refusals as RFC 7644 has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    ListResponse,
    PatchOp,
    Resource,
    ResponseParameters,
    SCIMException,
    ScimPolicy,
    SearchRequest,
)  # fmt: skip

from localcloud.core.json import Json
from localcloud.databricks import groups
from localcloud.databricks.errors import ScimError
from localcloud.databricks.request import Call
from localcloud.databricks.store import Documents

AnyResource = TypeVar("AnyResource", bound=Resource[Any])
_PAGE = 100
"""Default number of resources of a page."""
_BODIES = ScimPolicy(unknown=ScimPolicy.Unknown.ignore)
"""Databricks drops fields that it does not know."""
_PATCHES = ScimPolicy(remove_value_as_filter=ScimPolicy.RemoveValue.apply)
"""The vendor's provider removes entitlements by their values, without a filter (scim/resource_entitlement.go)."""
_COMPARISON = re.compile(r"""\b(eq|ne|co|sw|ew|gt|ge|lt|le)\s+(?:'([^']*)'|([^\s"'()\[\]]+))""", re.IGNORECASE)
"""A comparison whose value is in single quotes or in none; RFC 7644 has double quotes alone."""
_LITERALS = re.compile(r"true|false|null|-?\d+(\.\d+)?", re.IGNORECASE)


def body(call: Call, model: type[AnyResource], context: Context) -> AnyResource:
    """Return the request's body. Raises ScimError for values of other types and missing ones.

    Values of multi-valued attributes that are empty objects are dropped: the vendor's provider sends `[{}]` for no
    entitlements at all (scim/scim.go: readEntitlementsFromData).
    """
    with _refusals():
        return model.model_validate(dict(call.parameters), scim_ctx=context, scim_policy=_BODIES)


def patch(call: Call, resource: AnyResource) -> None:
    """Apply the request's operations to the resource: all or none. Raises ScimError."""
    schemas = call.parameters.get("schemas") or [PatchOp.__schema__]
    operations = [_operation(operation) for operation in call.parameters.get("Operations") or []]
    with _refusals():
        request = PatchOp[type(resource)].model_validate(  # type: ignore[misc]
            {"schemas": schemas, "Operations": operations},
            scim_ctx=Context.RESOURCE_PATCH_REQUEST,
            scim_policy=_PATCHES,
        )
        request.patch(resource, scim_policy=_PATCHES)


def rendered(call: Call, resource: Resource[Any]) -> Json:
    """Return the resource with the requested attributes."""
    with _refusals():
        parameters = ResponseParameters[type(resource)].model_validate(  # type: ignore[misc]
            _query(call, "attributes", "excludedAttributes")
        )
        return resource.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=parameters)


def listed(call: Call, model: type[AnyResource], resources: Sequence[AnyResource]) -> Json:
    """Return the page of resources that match the request's filter, in its order."""
    query = _query(call, "filter", "sortBy", "sortOrder", "startIndex", "count", "attributes", "excludedAttributes")
    if "filter" in query:
        query["filter"] = _COMPARISON.sub(_quoted, str(query["filter"]))
    with _refusals():
        search = SearchRequest[model].model_validate(query)  # type: ignore[valid-type]
        matches = [item for item in resources if search.filter is None or search.filter.match(item)]
        start = search.start_index or 1
        size = _PAGE if search.count is None else search.count
        page = search.sort(matches)[start - 1 : start - 1 + size]
        response = ListResponse[model](  # type: ignore[valid-type]
            total_results=len(matches), start_index=start, items_per_page=len(page), resources=page
        )
        page_body: Json = response.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=search)
        return page_body


def values(items: Sequence[Any] | None) -> list[str]:
    """Return the values of a multi-valued attribute, each once."""
    return list(dict.fromkeys(str(item.value) for item in items or () if item.value))


def checked_entitlements(items: Sequence[Any] | None) -> list[str]:
    """Return the entitlements' names. Raises ScimError for others than Databricks has."""
    names = values(items)
    unknown = [name for name in names if name not in groups.ENTITLEMENTS]
    if unknown:
        raise ScimError(
            400, f"Unknown entitlement {unknown[0]}; known are {', '.join(groups.ENTITLEMENTS)}.", "invalidValue"
        )
    return names


def forget(documents: Documents, name: str) -> None:
    """Drop a principal that was deleted from every access control list."""
    rows = documents.database.query(
        "SELECT key FROM databricks_documents WHERE workspace = ? AND kind = 'acl'", (documents.workspace,)
    )
    for row in rows:
        acl = documents.get("acl", row["key"])
        if acl is not None and name in acl["levels"]:
            del acl["levels"][name]
            documents.put("acl", row["key"], acl)


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn scim2-models' errors into Databricks' answers."""
    try:
        yield
    except ValidationError as error:
        raise _refusal(Error.from_validation_error(error.errors()[0])) from None
    except SCIMException as error:
        raise _refusal(error.to_error()) from None


def _refusal(error: Error) -> ScimError:
    return ScimError(error.status or 400, error.detail or "The request is not understood.", error.scim_type)


def _operation(operation: Json) -> Json:
    """Unwrap `active`, which the vendor's provider sends as a list of one value (disable_as_user_deletion)."""
    value = operation.get("value")
    if operation.get("path") == "active" and isinstance(value, list) and len(value) == 1:
        return operation | {"value": value[0].get("value") if isinstance(value[0], dict) else value[0]}
    return operation


def _query(call: Call, *names: str) -> Json:
    return {name: call.parameters[name] for name in names if call.parameters.get(name) not in (None, "")}


def _quoted(match: re.Match[str]) -> str:
    operator, quoted, bare = match.groups()
    if bare is not None and _LITERALS.fullmatch(bare):
        return match.group()
    return f'{operator} "{bare if quoted is None else quoted}"'
