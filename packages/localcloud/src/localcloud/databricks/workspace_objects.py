"""The workspace tree: folders, notebooks and files by path.

Paths are as the API shows them, without the /Workspace prefix that it also accepts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.databricks import errors
from localcloud.databricks.clock import now_ms
from localcloud.databricks.store import Documents

ROOTS = ("/", "/Users", "/Shared", "/Repos")
MAX_CONTENT = 10 * 1024 * 1024
"""The limit of an import is 10 MB (Workspace API reference)."""
HEADERS = {"PYTHON": b"# Databricks notebook source", "SQL": b"-- Databricks notebook source"}
EXTENSIONS = {".py": "PYTHON", ".sql": "SQL", ".scala": "SCALA", ".r": "R"}


def normalize(path: str) -> str:
    """Raise INVALID_PARAMETER_VALUE when it is not absolute or has . or .. parts."""
    if not path.startswith("/"):
        raise errors.invalid(f"Path ({path}) doesn't start with '/'")
    parts = [part for part in path.split("/") if part]
    if any(part in (".", "..") for part in parts):
        raise errors.invalid(f"Path ({path}) must not contain '.' or '..' parts.")
    if parts and parts[0] == "Workspace":
        parts = parts[1:]
    return "/" + "/".join(parts)


def parent(path: str) -> str:
    return path.rsplit("/", 1)[0] or "/"


def acl_type(item: Json) -> str:
    return {"DIRECTORY": "directories", "NOTEBOOK": "notebooks", "FILE": "files"}[item["object_type"]]


def ensure_roots(documents: Documents) -> None:
    """Make the folders that every workspace has. All users can manage /Shared until an administrator changes that."""
    if documents.get("object", "/") is not None:
        return
    for path in ROOTS:
        item = _new(documents, path, "DIRECTORY")
        if path == "/Shared":
            documents.put("acl", f"directories/{item['object_id']}", {"levels": {"group_name:users": "CAN_MANAGE"}})


def ensure_home(documents: Documents, name: str) -> None:
    path = f"/Users/{name}"
    if documents.get("object", path) is None:
        item = _new(documents, path, "DIRECTORY")
        key = f"service_principal_name:{name}"
        documents.put("acl", f"directories/{item['object_id']}", {"levels": {key: "CAN_MANAGE"}})


def find(documents: Documents, path: str) -> Json | None:
    return documents.get("object", path)


def require(documents: Documents, path: str) -> Json:
    """Raise RESOURCE_DOES_NOT_EXIST."""
    item = find(documents, path)
    if item is None:
        raise errors.missing(f"Path ({path}) doesn't exist.")
    return item


def by_id(documents: Documents, object_id: int) -> Json | None:
    row = documents.database.row(
        "SELECT key FROM databricks_documents WHERE workspace = ? AND kind = 'object'"
        " AND json_extract(body, '$.object_id') = ?",
        (documents.workspace, object_id),
    )
    return None if row is None else documents.get("object", row["key"])


def ancestors(documents: Documents, path: str) -> list[Json]:
    """Return the folders above, nearest first; of a path that is not there, the folders that are."""
    result: list[Json] = []
    while path != "/":
        path = parent(path)
        item = find(documents, path)
        if item is not None:
            result.append(item)
    return result


def children(documents: Documents, path: str) -> list[Json]:
    prefix = "" if path == "/" else path
    return [item for item in documents.below("object", prefix) if item["path"] != "/" and parent(item["path"]) == path]


def make_directories(documents: Documents, path: str, creator: str) -> None:
    """Raise RESOURCE_ALREADY_EXISTS when a part of the path is not a folder."""
    chain = [path, *(item for item in _parents(path))]
    for part in chain:
        item = find(documents, part)
        if item is not None and item["object_type"] != "DIRECTORY":
            raise errors.exists(f"Node named '{part}' already exists and is not a folder.")
    for part in reversed(chain):
        if find(documents, part) is None:
            _new(documents, part, "DIRECTORY", creator=creator)


def write(
    documents: Documents, path: str, content: bytes, *, type_: str, language: str | None, overwrite: bool, creator: str
) -> Json:
    """Create or replace a notebook or file, with the refusals of the import call."""
    if len(content) > MAX_CONTENT:
        raise ServiceError(
            400,
            "MAX_NOTEBOOK_SIZE_EXCEEDED",
            f"File size imported is ({len(content)} bytes), exceeded max size ({MAX_CONTENT} bytes)",
        )
    folder = find(documents, parent(path))
    if folder is None:
        raise errors.missing(f"The parent folder ({parent(path)}) does not exist.")
    if folder["object_type"] != "DIRECTORY":
        raise errors.invalid(f"The parent ({parent(path)}) is not a folder.")
    existing = find(documents, path)
    if existing is not None:
        if not overwrite:
            raise errors.exists(f"{path} already exists. Please pass overwrite as true to overwrite it.")
        if existing["object_type"] != type_:
            raise errors.invalid(
                f"Cannot overwrite the asset at {path} due to type mismatch"
                f" (asked: {type_}, actual: {existing['object_type']})"
            )
    with documents.database.transaction():
        item = existing or _new(documents, path, type_, creator=creator)
        item["modified_at"] = now_ms()
        item["size"] = len(content)
        if language is not None:
            item["language"] = language
        documents.put("object", path, item)
        documents.put_content(item["object_id"], content)
    return item


def remove(documents: Documents, path: str, recursive: bool) -> None:
    """Raise RESOURCE_DOES_NOT_EXIST, DIRECTORY_NOT_EMPTY, or BAD_REQUEST for a root folder."""
    item = require(documents, path)
    if path in ROOTS:
        raise errors.bad_request(f"Cannot delete root folder ({path}).")
    below = documents.below("object", path)
    if below and not recursive:
        raise ServiceError(400, "DIRECTORY_NOT_EMPTY", f"Folder ({path}) is not empty")
    with documents.database.transaction():
        for removed in [item, *below]:
            documents.delete("object", removed["path"])
            documents.delete_content(removed["object_id"])
            documents.delete("acl", f"{acl_type(removed)}/{removed['object_id']}")


def detect_language(content: bytes) -> str | None:
    """Return the language of a notebook in source format, by its first line; None for anything else."""
    first = content.lstrip(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip()
    for language, header in HEADERS.items():
        if first == header:
            return language
    if first == b"// Databricks notebook source":
        return "SCALA"
    return None


def materialize(documents: Documents, folder: Path, readable: Callable[[Json], bool]) -> None:
    """Write the readable objects below `folder`, clusters' /Workspace. Notebooks have no extension there."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in documents.all("object"):
        if not readable(item):
            continue
        target = folder / item["path"].lstrip("/")
        if item["object_type"] == "DIRECTORY":
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(documents.content(item["object_id"]))


def check_name(path: str) -> None:
    name = path.rsplit("/", 1)[-1]
    if not name or re.search(r"[\x00-\x1f]", name):
        raise errors.invalid(f"Path ({path}) has no valid object name.")


def _parents(path: str) -> list[str]:
    result = []
    while path != "/":
        path = parent(path)
        result.append(path)
    return result


def _new(documents: Documents, path: str, type_: str, *, creator: str = "") -> Json:
    moment = now_ms()
    item: Json = {
        "object_id": documents.next_id(),
        "object_type": type_,
        "path": path,
        "created_at": moment,
        "modified_at": moment,
        "creator": creator,
    }
    documents.put("object", path, item)
    return item
