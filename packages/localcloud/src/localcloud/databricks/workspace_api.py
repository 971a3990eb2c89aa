"""/api/2.0/workspace: import, export, get-status, list, mkdirs, delete."""

from __future__ import annotations

import base64
import binascii
from types import ModuleType

from starlette.responses import Response

from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors, permissions, workspace_objects
from localcloud.databricks.request import Call

_LANGUAGES = ("PYTHON", "SQL", "SCALA", "R")


def import_(call: Call) -> Json:
    """Import a notebook or file from JSON with base64 `content`, or from a form (the SDK's `upload`)."""
    path = workspace_objects.normalize(call.text("path"))
    workspace_objects.check_name(path)
    format_ = call.optional_text("format") or "SOURCE"
    content = _content(call)
    language = call.optional_text("language")
    if language is not None and language not in _LANGUAGES:
        raise errors.invalid(f"Language {language} is not supported; choose one of {', '.join(_LANGUAGES)}.")
    if format_ == "SOURCE":
        if language is None:
            raise errors.invalid("Missing required fields: language. It is needed to import format SOURCE.")
        type_ = "NOTEBOOK"
    elif format_ == "AUTO":
        # A recognised extension with a notebook header makes a notebook, whose name has no extension.
        suffix = "." + path.rsplit(".", 1)[-1].lower() if "." in path.rsplit("/", 1)[-1] else ""
        detected = workspace_objects.detect_language(content)
        if suffix in workspace_objects.EXTENSIONS and detected == workspace_objects.EXTENSIONS[suffix]:
            type_, language, path = "NOTEBOOK", detected, path[: -len(suffix)]
        elif suffix == ".ipynb":
            language, content = _jupyter().to_source(content)
            type_, path = "NOTEBOOK", path[: -len(suffix)]
        else:
            type_, language = "FILE", None
    elif format_ == "RAW":
        type_, language = "FILE", None
    elif format_ == "JUPYTER":
        language, content = _jupyter().to_source(content)
        type_ = "NOTEBOOK"
    elif format_ in ("HTML", "DBC", "R_MARKDOWN"):
        raise not_emulated(f"workspace/import of format {format_} (of SOURCE, JUPYTER, AUTO and RAW it does)")
    else:
        raise errors.invalid(f"Unsupported format {format_}; choose one of SOURCE, AUTO, RAW, JUPYTER, HTML, DBC.")
    existing = workspace_objects.find(call.documents, path)
    target = existing or next(iter(workspace_objects.ancestors(call.documents, path)))
    _require(call, target, "CAN_EDIT" if existing else "CAN_MANAGE")
    workspace_objects.write(
        call.documents,
        path,
        content,
        type_=type_,
        language=language,
        overwrite=call.flag("overwrite"),
        creator=call.caller.name,
    )
    return {}


def export(call: Call) -> Json | Response:
    path = workspace_objects.normalize(call.text("path"))
    item = _readable(call, path)
    format_ = call.optional_text("format") or "SOURCE"
    as_jupyter = format_ == "JUPYTER" and item["object_type"] == "NOTEBOOK"
    if item["object_type"] == "DIRECTORY" or not (as_jupyter or format_ in ("SOURCE", "AUTO", "RAW")):
        raise not_emulated(
            f"workspace/export of a {item['object_type']} as {format_} (notebooks and files as SOURCE it does, "
            "notebooks as JUPYTER too)"
        )
    content = call.documents.content(item["object_id"])
    if as_jupyter:
        content = _jupyter().from_source(content, item["language"], path.rsplit("/", 1)[-1])
    if call.flag("direct_download"):
        return Response(content, media_type="application/octet-stream")
    types = {"PYTHON": "py", "SQL": "sql", "SCALA": "scala", "R": "r"}
    file_type = "ipynb" if as_jupyter else types.get(item.get("language", ""), "file")
    return {"content": base64.b64encode(content).decode(), "file_type": file_type}


def get_status(call: Call) -> Json:
    return _render(_readable(call, workspace_objects.normalize(call.text("path"))))


def list_(call: Call) -> Json:
    """Return a folder's children, or the object itself, as far as the caller can read them."""
    path = workspace_objects.normalize(call.text("path"))
    item = workspace_objects.require(call.documents, path)
    items = workspace_objects.children(call.documents, path) if item["object_type"] == "DIRECTORY" else [item]
    since = call.number("notebooks_modified_after", 0)
    listed = [_render(item) for item in items if _can_see(call, item) and item["modified_at"] >= since]
    return {"objects": listed} if listed else {}


def mkdirs(call: Call) -> Json:
    path = workspace_objects.normalize(call.text("path"))
    item = workspace_objects.find(call.documents, path)
    if item is None or item["object_type"] != "DIRECTORY":
        if item is None:
            _require(call, next(iter(workspace_objects.ancestors(call.documents, path))), "CAN_MANAGE")
        workspace_objects.make_directories(call.documents, path, call.caller.name)
    return {}


def delete(call: Call) -> Json:
    path = workspace_objects.normalize(call.text("path"))
    _require(call, workspace_objects.require(call.documents, path), "CAN_MANAGE")
    workspace_objects.remove(call.documents, path, call.flag("recursive"))
    return {}


def _jupyter() -> ModuleType:
    """Import the conversion on use: nbformat takes 0.3 s."""
    from localcloud.databricks import jupyter

    return jupyter


def _content(call: Call) -> bytes:
    if "content" in call.files:
        return call.files["content"]
    text = call.parameters.get("content")
    if text is None:
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise errors.invalid("Field 'content' is not valid base64.") from None


def _can_see(call: Call, item: Json) -> bool:
    return item["path"] in workspace_objects.ROOTS or permissions.allows(
        call.documents, call.caller, workspace_objects.acl_type(item), str(item["object_id"]), "CAN_READ"
    )


def _readable(call: Call, path: str) -> Json:
    item = workspace_objects.find(call.documents, path)
    if item is None or not _can_see(call, item):
        # Databricks does not distinguish the two, lest names leak.
        raise errors.missing(f"Path ({path}) doesn't exist.")
    return item


def _require(call: Call, item: Json, level: str) -> None:
    permissions.require(
        call.documents, call.caller, workspace_objects.acl_type(item), str(item["object_id"]), level, f"{item['path']}"
    )


def _render(item: Json) -> Json:
    result: Json = {
        "object_type": item["object_type"],
        "path": item["path"],
        "object_id": item["object_id"],
        "resource_id": str(item["object_id"]),
    }
    if item["object_type"] != "DIRECTORY":
        result |= {"created_at": item["created_at"], "modified_at": item["modified_at"]}
    if "language" in item:
        result["language"] = item["language"]
    if item["object_type"] == "FILE":
        result["size"] = item["size"]
    return result
