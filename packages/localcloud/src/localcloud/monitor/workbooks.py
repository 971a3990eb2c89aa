"""Microsoft.Insights/workbooks: shared workbooks, whose content is stored and has to be JSON.

Source: azure-mgmt-applicationinsights 4 (Workbook) and azure-rest-api-specs, workbooks_API.json of 2022-04-01. A GET
always returns the content, as if canFetchContent were true.
"""

from __future__ import annotations

import uuid

from localcloud.arm.resource_types import NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json, parsed
from localcloud.core.resource import Resource, now

TYPE = "Microsoft.Insights/workbooks"
_GUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_VERSION = "Notebook/1.0"


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Raise ServiceError 400 for a kind but shared, and content that is not a workbook's JSON."""
    properties = resource.properties
    resource.kind = resource.kind or "shared"
    if resource.kind != "shared":
        raise _bad(f"The kind '{resource.kind}' of workbook '{resource.name}' is not valid: use shared.")
    text = properties["serializedData"]
    content = _content(text)
    if content is None:
        raise _bad(f"The serializedData of workbook '{resource.name}' is not a text that holds a JSON object.")
    if not isinstance(content.get("items"), list) or content.get("version") != _VERSION:
        raise _bad(
            f"The serializedData of workbook '{resource.name}' has no items, or a version other than {_VERSION}."
        )
    source = properties.get("sourceId")
    if source and str(source).startswith("/") and ctx.resources.get(str(source)) is None:
        raise ServiceError(404, "ResourceNotFound", f"The source '{source}' of '{resource.name}' was not found.")
    properties["sourceId"] = str(source or "azure monitor").lower()
    properties.setdefault("version", _VERSION)
    properties["timeModified"] = now()
    properties["userId"] = (existing.properties.get("userId") if existing else None) or str(uuid.uuid4())
    resource.system_data = None


def _content(text: object) -> Json | None:
    if not isinstance(text, str):
        return None
    try:
        content = parsed(text.encode())
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _bad(message: str) -> ServiceError:
    return ServiceError(400, "BadRequest", message)


def register(ctx: Context) -> None:
    """Register the type."""
    ctx.types.register(
        ResourceType(
            type=TYPE,
            api_versions=(
                "2015-05-01", "2018-06-17-preview", "2020-02-12", "2020-10-20", "2021-03-08", "2021-08-01",
                "2022-04-01", "2023-06-01",
            ),
            name=NameRule(_GUID, "The workbook name '{name}' is invalid: it must be a UUID.", "BadRequest"),
            tracked=True,
            required=("properties.displayName", "properties.category", "properties.serializedData"),
            complete=_complete,
            provisioning_state=False,
        )
    )  # fmt: skip
