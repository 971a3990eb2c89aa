"""PATCH: append and flush data, set properties."""

from __future__ import annotations

import base64
import binascii
from xml.etree import ElementTree

import httpx
from starlette.responses import Response

from localcloud.core.errors import not_emulated
from localcloud.core.streams import body_of, has_body
from localcloud.storage.dfs import conditions, control, properties, tree
from localcloud.storage.dfs.call import Call, written
from localcloud.storage.dfs.errors import refused

_DIGITS = 20
"""Digits of a position in a block's name: the names of a blob's blocks have one length."""
_ENCRYPTED = {"x-ms-request-server-encrypted": "true"}


async def update(call: Call) -> Response:
    """PATCH, or PUT with X-HTTP-Method-Override: PATCH."""
    actions = {
        "append": append,
        "flush": flush,
        "setproperties": set_properties,
        "setaccesscontrol": control.set_control,
        "setaccesscontrolrecursive": control.set_below,
    }
    action = call.query.get("action", "")
    if action.lower() not in actions:
        code = "InvalidQueryParameterValue" if action else "MissingRequiredQueryParameter"
        raise refused(
            code, f"action: {action!r} is not one of append, flush, setProperties, setAccessControl(Recursive)."
        )
    call.refuse_unsupported()
    return await actions[action.lower()](call)


async def append(call: Call) -> Response:
    """Store data at a position, which a flush makes part of the file."""
    position = call.number("position")
    if not has_body(call.request):
        raise refused("InvalidHeaderValue", "Content-Length: an append has at least one byte.")
    await tree.need(call.blobs, call.path, "file")
    checked = {"content-md5": call.headers["content-md5"]} if "content-md5" in call.headers else {}
    length = {"content-length": call.headers["content-length"]} if "content-length" in call.headers else {}
    query = {"comp": "block", "blockid": _name(position)}
    answer = await call.blobs.call(
        "PUT", call.path, query, {**length, **checked, **call.lease()}, body_of(call.request)
    )  # fmt: skip
    hash_headers = {"content-md5": answer.headers["content-md5"]} if "content-md5" in answer.headers else {}
    if call.flag("flush"):
        end = position + int(call.headers.get("content-length", 0))
        hash_headers |= written(await _flush(call, end))
    return call.answer(202, {**hash_headers, **_ENCRYPTED})


async def flush(call: Call) -> Response:
    position = call.number("position")
    call.flag("close")
    headers = await _flush(call, position, keep=bool(call.flag("retainuncommitteddata")))
    return call.answer(200, {**written(headers), **_ENCRYPTED})


async def _flush(call: Call, position: int, *, keep: bool = False) -> httpx.Headers:
    """Put the consecutive blocks from the file's end to `position` into the file.

    Raises ServiceError 400 when they do not reach it, 409 for a file with other blocks.
    """
    node = await tree.need(call.blobs, call.path, "file")
    listed = await call.blobs.call("GET", call.path, {"comp": "blocklist", "blocklisttype": "all"}, call.lease())
    root = ElementTree.fromstring(listed.content)  # noqa: S314 - Azurite's
    old = [
        (block.findtext("Name") or "", int(block.findtext("Size") or 0)) for block in root.iterfind("CommittedBlocks/*")
    ]
    waiting = {
        _position(block.findtext("Name") or ""): int(block.findtext("Size") or 0)
        for block in root.iterfind("UncommittedBlocks/*")
    }
    length = int(node.headers["content-length"])
    end, new = length, []
    while end < position and waiting.get(end):
        new.append(_name(end))
        end += waiting[end]
    if end != position:
        raise refused("InvalidFlushPosition", f"The file has {length} bytes, with what was appended {end}.")
    if keep and any(at >= end for at in waiting):
        raise not_emulated("a flush that keeps data beyond its position (retainUncommittedData=true)")
    foreign = sum(size for _, size in old) != length or any(_position(name) < 0 for name, _ in old)
    if foreign and new:
        raise refused("InvalidFlushOperation")
    if foreign:
        conditions.check(node, call.conditions())
        return httpx.Headers(dict(node.headers))
    names = "".join(f"<Committed>{name}</Committed>" for name, _ in old)
    names += "".join(f"<Uncommitted>{name}</Uncommitted>" for name in new)
    body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{names}</BlockList>'.encode()
    md5 = {"x-ms-blob-content-md5": call.headers["x-ms-content-md5"]} if "x-ms-content-md5" in call.headers else {}
    headers = {
        **properties.as_headers(node.metadata),
        **properties.content_headers(call.headers, node.headers),
        **md5,
        **call.conditions(),
        **call.lease(),
    }
    return (await call.blobs.call("PUT", call.path, {"comp": "blocklist"}, headers, body)).headers


async def set_properties(call: Call) -> Response:
    """Replace all properties by x-ms-properties; set x-ms-content-type and its kin one by one."""
    node = await tree.need(call.blobs, call.path)
    if not call.path:
        raise not_emulated("properties of a filesystem's root: set the filesystem's own")
    conditions.check(node, call.conditions())
    answer = written(node.headers)
    if "x-ms-properties" in call.headers:
        kept = node.access.kept() if call.hierarchical else {}
        metadata = {**properties.parsed(call.headers["x-ms-properties"]), **kept}
        answer = written(await control.write_metadata(call, node, metadata))
    if properties.sets_content(call.headers) and not node.directory:
        headers = {**properties.content_headers(call.headers, node.headers), **call.lease()}
        answer = written((await call.blobs.call("PUT", call.path, {"comp": "properties"}, headers)).headers)
    return call.answer(200, answer)


def _name(position: int) -> str:
    return base64.b64encode(f"{position:0{_DIGITS}d}".encode()).decode()


def _position(name: str) -> int:
    """Return the position of a block; -1 when its name is none of ours."""
    try:
        text = base64.b64decode(name, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return -1
    return int(text) if len(text) == _DIGITS and text.isdigit() else -1
