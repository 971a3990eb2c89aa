"""Permission that a blob request needs: the table of "Authorize with Microsoft Entra ID" of the Blob REST API.

Source: learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
("Permissions for calling data operations").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.storage.addresses import Target

_SERVICE = "Microsoft.Storage/storageAccounts/blobServices"
_CONTAINERS = f"{_SERVICE}/containers"
_BLOBS = f"{_CONTAINERS}/blobs"


@dataclass(frozen=True)
class Need:
    """Permission of which any of `actions` suffices; `data`: they are dataActions."""

    actions: tuple[str, ...]
    data: bool


def attributes_of(target: Target) -> dict[str, dict[str, list[str]]]:
    """Return the attributes that conditions on role assignments can use: the container's name and the blob's path."""
    values = {f"{_CONTAINERS}:name": target.container, f"{_BLOBS}:path": target.blob}
    return {"resource": {name.lower(): [value] for name, value in values.items() if value}}


def need_of(method: str, target: Target, query: Mapping[str, str], headers: Mapping[str, str]) -> Need:
    """Return the permission that a request needs. Raises ServiceError 501 for operations that are not emulated."""
    if not target.container:
        return _service_need(method, query)
    if not target.blob:
        return _container_need(method, query)
    return _blob_need(method, query, headers)


def _service_need(method: str, query: Mapping[str, str]) -> Need:
    comp = query.get("comp", "")
    table = {
        ("GET", "list"): f"{_CONTAINERS}/read",
        ("GET", "properties"): f"{_CONTAINERS}/read" if query.get("restype") == "account" else f"{_SERVICE}/read",
        ("HEAD", "properties"): f"{_CONTAINERS}/read",
        ("PUT", "properties"): f"{_SERVICE}/write",
        ("POST", "userdelegationkey"): f"{_SERVICE}/generateUserDelegationKey/action",
    }
    if (method, comp) in table:
        return Need((table[method, comp],), data=False)
    if (method, comp) == ("GET", "blobs"):
        return Need((f"{_BLOBS}/filter/action",), data=True)
    raise not_emulated(f"the blob service operation {method} /?comp={comp} with a bearer token")


def _container_need(method: str, query: Mapping[str, str]) -> Need:
    comp = query.get("comp", "")
    data = {
        ("GET", "list"): f"{_BLOBS}/read",
        ("GET", "blobs"): f"{_BLOBS}/filter/action",
    }
    if (method, comp) in data:
        return Need((data[method, comp],), data=True)
    verbs = {
        "GET": {"": "read", "metadata": "read", "acl": "getAcl/action"},
        "HEAD": {"": "read", "metadata": "read", "acl": "getAcl/action"},
        "PUT": {"": "write", "metadata": "write", "lease": "write", "acl": "setAcl/action"},
        "DELETE": {"": "delete"},
    }
    verb = verbs.get(method, {}).get(comp)
    if verb is None:
        raise not_emulated(f"the container operation {method} comp={comp}")
    return Need((f"{_CONTAINERS}/{verb}",), data=False)


def _blob_need(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Need:
    comp = query.get("comp", "")
    if comp == "tags" and method in {"GET", "PUT"}:
        return Need((f"{_BLOBS}/tags/{'write' if method == 'PUT' else 'read'}",), data=True)
    if comp != "tags" and (method in {"GET", "HEAD"} or (method == "POST" and comp == "query")):
        return Need((f"{_BLOBS}/read",), data=True)
    if method == "DELETE" and not comp:
        return Need((f"{_BLOBS}/delete",), data=True)
    if method == "PUT":
        # New blobs, blocks and appends may be written with add alone; overwriting needs write. A conditional create
        # is the only PUT that is certain to add.
        creates = comp == "appendblock" or (comp == "" and headers.get("if-none-match") == "*")
        actions = (f"{_BLOBS}/write", f"{_BLOBS}/add/action") if creates else (f"{_BLOBS}/write",)
        return Need(actions, data=True)
    if method in {"GET", "HEAD", "POST", "DELETE"}:
        raise not_emulated(f"the blob operation {method} comp={comp}")
    raise ServiceError(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
