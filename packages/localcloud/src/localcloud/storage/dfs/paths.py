"""Create, read, show, lease and delete files and directories."""

from __future__ import annotations

import httpx
from starlette.responses import Response, StreamingResponse

from localcloud.core.errors import not_emulated
from localcloud.core.streams import streamed
from localcloud.storage.dfs import access, conditions, control, properties, tree
from localcloud.storage.dfs.blobs import TREE, is_folder
from localcloud.storage.dfs.call import Call, written
from localcloud.storage.dfs.errors import refused

_BLOB_HEADERS = (
    "accept-ranges", "cache-control", "content-disposition", "content-encoding", "content-language", "content-length",
    "content-md5", "content-range", "content-type", "etag", "last-modified", "x-ms-content-md5", "x-ms-creation-time",
    "x-ms-lease-duration", "x-ms-lease-state", "x-ms-lease-status", "x-ms-server-encrypted",
)  # fmt: skip
_RANGES = ("range", "x-ms-range", "x-ms-range-get-content-md5")
_ENCRYPTED = {"x-ms-request-server-encrypted": "true"}


async def create(call: Call) -> Response:
    """PUT ?resource=file|directory."""
    call.refuse_unsupported()
    kind = call.query.get("resource", "").lower()
    if kind not in {"file", "directory"}:
        code = "InvalidQueryParameterValue" if kind else "MissingRequiredQueryParameter"
        raise refused(code, f"resource: {kind!r} is neither file nor directory.")
    if not call.path:
        raise refused("InvalidInput", "The root of a filesystem is made with it.")
    if call.query.get("blobtype", "block").lower() != "block":
        raise not_emulated("append blobs at the dfs endpoint")
    metadata = properties.parsed(call.headers.get("x-ms-properties", ""))
    if call.hierarchical:
        control.check_ownership(call)
        metadata |= access.created(call.headers, call.owner, directory=kind == "directory").kept()
    async with call.turns.changing(*call.key):
        node = await tree.find(call.blobs, call.path)
        conditions.check(node, call.headers)
        if node is not None and node.kind != kind:
            raise refused("PathConflict", f"'{call.path}' is a {node.kind}.", x_ms_existing_resource_type=node.kind)
        await tree.ensure_parents(call.blobs, call.path, call.owner)
        if kind == "directory":
            same = node is not None and node.marked and "x-ms-properties" not in call.headers
            headers = node.headers if node and same else await call.blobs.mark(call.path, metadata, new=False)
        else:
            headers = await _empty_file(call, metadata)
    return call.answer(201, {**written(headers), **_ENCRYPTED})


async def _empty_file(call: Call, metadata: dict[str, str]) -> httpx.Headers:
    """Put an empty block list, which drops data that were appended to an older file and never flushed."""
    headers = {
        **properties.as_headers(metadata),
        **properties.content_headers(call.headers),
        **call.conditions(),
        **call.lease(),
    }
    body = b'<?xml version="1.0" encoding="utf-8"?><BlockList/>'
    return (await call.blobs.call("PUT", call.path, {"comp": "blocklist"}, headers, body)).headers


async def read(call: Call) -> Response:
    """GET, with ranges."""
    if not call.path:
        raise refused("MissingRequiredQueryParameter", "resource is missing: GET ?resource=filesystem lists paths.")
    call.refuse_unsupported()
    headers = {name: call.headers[name] for name in _RANGES if name in call.headers}
    answer = await call.blobs.send("GET", call.path, headers={**headers, **call.conditions(), **call.lease()})
    metadata = properties.metadata_of(answer.headers)
    if is_folder(metadata):
        await answer.aclose()
        raise refused("PathConflict", f"'{call.path}' is a directory.")
    headers_of_blob = {name: answer.headers[name] for name in _BLOB_HEADERS if name in answer.headers}
    about = {"x-ms-resource-type": "file", "x-ms-properties": properties.written(metadata)}
    return StreamingResponse(streamed(answer), answer.status_code, {**call.common(), **headers_of_blob, **about})


async def show(call: Call) -> Response:
    """HEAD, with action getStatus, getAccessControl, checkAccess or none."""
    action = call.query.get("action", "").lower()
    if action not in {"", "getstatus", "getaccesscontrol", "checkaccess"}:
        raise refused("InvalidQueryParameterValue", f"action: {action!r} is not known.")
    if action in {"getaccesscontrol", "checkaccess"} and not call.hierarchical:
        raise refused("HierarchicalNamespaceNotEnabled")
    async with call.turns.reading(*call.key):
        node = await tree.need(call.blobs, call.path)
    conditions.check(node, call.conditions(), reading=True)
    if action == "checkaccess":
        return call.answer(200, written(node.headers))
    about = node.access.status() if call.hierarchical else {}
    if action == "getaccesscontrol":
        acl = {"x-ms-acl": ",".join(node.access.acl)}
        return call.answer(200, {**written(node.headers), **about, **acl})
    headers_of_blob = {name: node.headers[name] for name in _BLOB_HEADERS if name in node.headers}
    if node.directory:
        headers_of_blob = {**written(node.headers), "content-length": "0"}
    if not action:
        about["x-ms-properties"] = properties.written(node.metadata)
    about["x-ms-resource-type"] = node.kind
    response = call.answer(200, {**headers_of_blob, **about})
    response.headers["content-length"] = headers_of_blob.get("content-length", "0")
    return response


async def lease(call: Call) -> Response:
    """POST with x-ms-lease-action."""
    node = await tree.need(call.blobs, call.path)
    if not call.path:
        raise not_emulated("leases of a filesystem's root")
    if not node.marked:
        await call.blobs.mark(call.path, node.access.kept(), new=True)
    headers = {name: value for name, value in call.headers.items() if name.startswith(("x-ms-lease", "x-ms-proposed"))}
    answer = await call.blobs.call("PUT", call.path, {"comp": "lease"}, {**headers, **call.conditions()})
    lease_headers = {
        name: answer.headers[name] for name in ("x-ms-lease-id", "x-ms-lease-time") if name in answer.headers
    }
    return call.answer(answer.status_code, {**written(answer.headers), **lease_headers})


async def delete(call: Call) -> Response:
    """DELETE, of a directory with its content when recursive=true. It never needs more than one request."""
    if not call.path:
        raise refused("InvalidInput", "The root goes with its filesystem: DELETE ?resource=filesystem.")
    recursive = call.flag("recursive")
    async with call.turns.changing(*call.key):
        node = await tree.need(call.blobs, call.path)
        if node.directory:
            conditions.check(node, call.conditions())
            if not recursive and await call.blobs.below(call.path, limit=1):
                raise refused("DirectoryNotEmpty")
            await call.blobs.call("DELETE", call.path, headers={TREE: "delete", **call.lease()})
        else:
            await call.blobs.call("DELETE", call.path, headers={**call.conditions(), **call.lease()})
        # A directory outlives the last file in it, even without a marker of its own.
        await tree.ensure_parents(call.blobs, call.path, call.owner)
    return call.answer(200)
