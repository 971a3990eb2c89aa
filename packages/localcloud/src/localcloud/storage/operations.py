"""Which permission a blob request needs: the table of "Authorize with Microsoft Entra ID" of the Blob REST API.

Source: learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
("Permissions for calling data operations").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.core.errors import ServiceError, not_emulated

_SERVICE = "Microsoft.Storage/storageAccounts/blobServices"
_CONTAINERS = f"{_SERVICE}/containers"
_BLOBS = f"{_CONTAINERS}/blobs"


@dataclass(frozen=True)
class Target:
    """What a request is about. `blob` is empty for a container, both are for the service."""

    container: str
    blob: str


@dataclass(frozen=True)
class Need:
    """Any of `actions` suffices; `data` says that they are dataActions."""

    actions: tuple[str, ...]
    data: bool


def target_of(path: str, query: Mapping[str, str]) -> Target:
    """`path` is the decoded path. A single segment without restype=container is a blob of $root."""
    container, _, blob = path.lstrip("/").partition("/")
    if container and not blob and query.get("restype") != "container":
        return Target("$root", container)
    return Target(container, blob)


def attributes_of(target: Target) -> dict[str, dict[str, list[str]]]:
    """What conditions on role assignments see of a request: the container's name and the blob's path."""
    values = {f"{_CONTAINERS}:name": target.container, f"{_BLOBS}:path": target.blob}
    return {"resource": {name.lower(): [value] for name, value in values.items() if value}}


def need_of(method: str, target: Target, query: Mapping[str, str], headers: Mapping[str, str]) -> Need:
    """Raises ServiceError 501 for what is not emulated, 403 for what Entra cannot authorize on Azure either."""
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
    if comp == "list":
        return Need((f"{_BLOBS}/read",), data=True)
    if comp == "blobs":
        return Need((f"{_BLOBS}/filter/action",), data=True)
    if comp == "acl":
        action = "setAcl/action" if method == "PUT" else "getAcl/action"
        return Need((f"{_CONTAINERS}/{action}",), data=False)
    verb = {"GET": "read", "HEAD": "read", "PUT": "write", "DELETE": "delete"}.get(method)
    if verb is None:
        raise not_emulated(f"the container operation {method} comp={comp}")
    return Need((f"{_CONTAINERS}/{verb}",), data=False)


def _blob_need(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Need:
    comp = query.get("comp", "")
    if comp == "tags":
        return Need((f"{_BLOBS}/tags/{'write' if method == 'PUT' else 'read'}",), data=True)
    if method in {"GET", "HEAD"} or (method == "POST" and comp == "query"):
        return Need((f"{_BLOBS}/read",), data=True)
    if method == "DELETE":
        versioned = "versionid" in query
        return Need((f"{_BLOBS}/deleteBlobVersion/action" if versioned else f"{_BLOBS}/delete",), data=True)
    if method == "PUT":
        # New blobs, blocks and appends may be written with add alone; overwriting asks for write. A conditional create
        # is the only PUT that is certain to add.
        creates = comp == "appendblock" or (comp == "" and headers.get("if-none-match") == "*")
        actions = (f"{_BLOBS}/write", f"{_BLOBS}/add/action") if creates else (f"{_BLOBS}/write",)
        return Need(actions, data=True)
    raise ServiceError(405, "UnsupportedHttpVerb", "The resource doesn't support specified Http Verb.")
