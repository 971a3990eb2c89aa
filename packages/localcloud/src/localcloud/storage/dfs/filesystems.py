"""Filesystems: the containers of the blob endpoint."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

from starlette.responses import Response

from localcloud.storage.dfs import properties
from localcloud.storage.dfs.blobs import Blobs
from localcloud.storage.dfs.call import Call, written
from localcloud.storage.dfs.errors import refused

_CONTAINER = {"restype": "container"}
_NAME = re.compile(r"[$a-z0-9](?!.*--)[-a-z0-9]{1,61}[a-z0-9]")


def check_name(name: str) -> None:
    """Check a filesystem's name. Raises ServiceError 400."""
    if not _NAME.fullmatch(name):
        raise refused(
            "InvalidResourceName",
            f"{name!r}: a filesystem's name has 3 to 63 lowercase letters, digits and single hyphens.",
        )


async def create(call: Call) -> Response:
    metadata = properties.as_headers(properties.parsed(call.headers.get("x-ms-properties", "")))
    answer = await call.blobs.call("PUT", query=_CONTAINER, headers=metadata)
    return call.answer(201, {**written(answer.headers), **_namespace(call)})


async def show(call: Call) -> Response:
    headers = (await call.blobs.call("HEAD", query=_CONTAINER)).headers
    encoded = properties.written(properties.metadata_of(headers))
    return call.answer(200, {**written(headers), **_namespace(call), "x-ms-properties": encoded})


async def set_properties(call: Call) -> Response:
    metadata = properties.as_headers(properties.parsed(call.headers.get("x-ms-properties", "")))
    answer = await call.blobs.call("PUT", query={**_CONTAINER, "comp": "metadata"}, headers=metadata)
    return call.answer(200, written(answer.headers))


async def delete(call: Call) -> Response:
    await call.blobs.call("DELETE", query=_CONTAINER, headers=call.conditions())
    return call.answer(202)


async def list_all(call: Call) -> Response:
    """GET /?resource=account, in pages of maxResults."""
    query = {"comp": "list", "maxresults": str(call.number("maxresults") if call.query.get("maxresults") else 5000)}
    query |= {"prefix": call.query["prefix"]} if call.query.get("prefix") else {}
    query |= {"marker": call.query["continuation"]} if call.query.get("continuation") else {}
    answer = await Blobs(call.azurite, call.account.name, "").call("GET", query=query)
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - Azurite's
    filesystems = [
        {
            "name": container.findtext("Name") or "",
            "lastModified": container.findtext("Properties/Last-Modified") or "",
            "eTag": (container.findtext("Properties/Etag") or "").strip('"'),
        }
        for container in root.iterfind("Containers/Container")
    ]
    headers = {"content-type": "application/json;charset=utf-8"}
    if marker := root.findtext("NextMarker"):
        headers["x-ms-continuation"] = marker
    return call.answer(200, headers, json.dumps({"filesystems": filesystems}).encode())


def _namespace(call: Call) -> dict[str, str]:
    return {"x-ms-namespace-enabled": str(call.hierarchical).lower()}
