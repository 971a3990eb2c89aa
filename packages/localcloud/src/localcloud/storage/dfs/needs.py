"""Operation of a request and the permissions that it needs.

Sources: learn.microsoft.com/rest/api/storageservices/data-lake-storage-gen2; the permissions:
learn.microsoft.com/azure/role-based-access-control/permissions/storage and
learn.microsoft.com/azure/storage/blobs/storage-auth-abac-attributes (move, modifyPermissions, manageOwnership).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from localcloud.storage.addresses import Target, decoded, lake_path
from localcloud.storage.authorization import Demand
from localcloud.storage.dfs.errors import refused
from localcloud.storage.operations import Need

_CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"
_BLOBS = f"{_CONTAINERS}/blobs"
ACL = Need((f"{_BLOBS}/modifyPermissions/action", f"{_BLOBS}/runAsSuperUser/action"), data=True)
OWNERSHIP = Need((f"{_BLOBS}/manageOwnership/action", f"{_BLOBS}/runAsSuperUser/action"), data=True)


class Operation(Enum):
    """Operation of the dfs endpoint."""

    LIST_FILESYSTEMS = "list filesystems"
    CREATE_FILESYSTEM = "create filesystem"
    SET_FILESYSTEM_PROPERTIES = "set filesystem properties"
    GET_FILESYSTEM_PROPERTIES = "get filesystem properties"
    DELETE_FILESYSTEM = "delete filesystem"
    LIST_PATHS = "list paths"
    CREATE = "create"
    RENAME = "rename"
    READ = "read"
    PROPERTIES = "get properties"
    LEASE = "lease"
    UPDATE = "update"
    DELETE = "delete"


_FILESYSTEM = {
    "PUT": Operation.CREATE_FILESYSTEM,
    "PATCH": Operation.SET_FILESYSTEM_PROPERTIES,
    "HEAD": Operation.GET_FILESYSTEM_PROPERTIES,
    "DELETE": Operation.DELETE_FILESYSTEM,
    "GET": Operation.LIST_PATHS,
}
_PATH = {
    "PUT": Operation.CREATE,
    "GET": Operation.READ,
    "HEAD": Operation.PROPERTIES,
    "POST": Operation.LEASE,
    "PATCH": Operation.UPDATE,
    "DELETE": Operation.DELETE,
}
_VERBS = {
    Operation.LIST_FILESYSTEMS: (f"{_CONTAINERS}/read", False),
    Operation.CREATE_FILESYSTEM: (f"{_CONTAINERS}/write", False),
    Operation.SET_FILESYSTEM_PROPERTIES: (f"{_CONTAINERS}/write", False),
    Operation.GET_FILESYSTEM_PROPERTIES: (f"{_CONTAINERS}/read", False),
    Operation.DELETE_FILESYSTEM: (f"{_CONTAINERS}/delete", False),
    Operation.LIST_PATHS: (f"{_BLOBS}/read", True),
    Operation.READ: (f"{_BLOBS}/read", True),
    Operation.PROPERTIES: (f"{_BLOBS}/read", True),
    Operation.LEASE: (f"{_BLOBS}/write", True),
    Operation.DELETE: (f"{_BLOBS}/delete", True),
}


def operation_of(method: str, target: Target, query: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
    """Return the operation of a request. Raises ServiceError 400 or 405."""
    resource = query.get("resource", "").lower()
    if resource == "account" and not target.container and method == "GET":
        return Operation.LIST_FILESYSTEMS
    if not target.container:
        raise refused("InvalidQueryParameterValue", "Without a filesystem there is GET /?resource=account alone.")
    if resource == "filesystem" and not target.blob:
        if method not in _FILESYSTEM:
            raise refused("UnsupportedHttpVerb")
        return _FILESYSTEM[method]
    if method not in _PATH:
        raise refused("UnsupportedHttpVerb")
    if method == "PUT" and "x-ms-rename-source" in headers:
        return Operation.RENAME
    return _PATH[method]


def demands_of(
    operation: Operation, target: Target, query: Mapping[str, str], headers: Mapping[str, str]
) -> list[Demand]:
    """Return the permissions that a bearer token's principal needs."""
    if operation is Operation.RENAME:
        source = renamed(headers)
        return [
            Demand(source, Need((f"{_BLOBS}/move/action",), data=True)),
            Demand(target, Need((f"{_BLOBS}/write",), data=True)),
        ]
    if operation is Operation.CREATE:
        adds = headers.get("if-none-match") == "*"
        return [Demand(target, Need((f"{_BLOBS}/write", *([f"{_BLOBS}/add/action"] if adds else [])), data=True))]
    if operation is Operation.UPDATE:
        # The owner of a path may change its ACL: access control is decided where the path is known.
        control = query.get("action", "").lower().startswith("setaccesscontrol")
        return [Demand(target, Need((f"{_BLOBS}/{'read' if control else 'write'}",), data=True))]
    action, data = _VERBS[operation]
    return [Demand(target, Need((action,), data))]


def renamed(headers: Mapping[str, str]) -> Target:
    """Return the source that x-ms-rename-source names: /FILESYSTEM/PATH, percent-encoded. Raises ServiceError 400."""
    text = headers["x-ms-rename-source"].partition("?")[0]
    filesystem, _, path = decoded(text).removeprefix("/").partition("/")
    path = lake_path(path)
    if not text.startswith(("/", "%2F", "%2f")) or not filesystem or not path:
        raise refused("InvalidSourceUri", f"x-ms-rename-source: {text!r} is not /FILESYSTEM/PATH.")
    return Target(filesystem, path)
