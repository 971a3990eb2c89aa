"""GET ?resource=filesystem: the paths below a directory, a page at a time."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable

from starlette.responses import Response

from localcloud.storage.addresses import lake_path
from localcloud.storage.dfs import access, tree
from localcloud.storage.dfs.blobs import Item, file_time
from localcloud.storage.dfs.call import Call
from localcloud.storage.dfs.errors import refused
from localcloud.storage.dfs.tree import unmarked_etag

_MOST = 5000


async def list_paths(call: Call) -> Response:
    recursive = call.flag("recursive")
    if recursive is None:
        raise refused("MissingRequiredQueryParameter", "recursive is missing.")
    size = call.number("maxresults") if call.query.get("maxresults") else _MOST
    if size < 1:
        raise refused("OutOfRangeQueryParameterValue", "maxResults: a page has at least one path.")
    directory = lake_path(call.query.get("directory", ""))
    after = _name_of(call.query.get("continuation", ""))
    async with call.turns.reading(*call.key):
        top = await tree.need(call.blobs, directory)
        items = complete(await call.blobs.below(directory), directory) if top.directory else [_item(top)]
    if top.directory and not recursive:
        depth = directory.count("/") + 1 if directory else 0
        items = [item for item in items if item.name.count("/") == depth]
    items.sort(key=lambda item: item.name.split("/"))
    if after:
        items = [item for item in items if item.name.split("/") > after.split("/")]
    page = items[: min(size, _MOST)]
    headers = {"content-type": "application/json;charset=utf-8"}
    if len(page) < len(items):
        headers["x-ms-continuation"] = base64.urlsafe_b64encode(page[-1].name.encode()).decode()
    paths = [_render(item, hierarchical=call.hierarchical) for item in page]
    return call.answer(200, headers, json.dumps({"paths": paths}).encode())


def _item(file: tree.Node) -> Item:
    """Return the entry of a file that is named as a directory: the list is the file itself.

    ABFS and so Spark rely on it (Hadoop's ITestAzureBlobFileSystemListStatus.testListFileVsListDir).
    """
    of = file.headers
    modified, length = of["last-modified"], int(of["content-length"])
    created = of.get("x-ms-creation-time", modified)
    return Item(file.path, of["etag"].strip('"'), modified, created, length, file.metadata)


def complete(listed: Iterable[Item], directory: str) -> list[Item]:
    """Add the directories that only the names of blobs imply."""
    items = {item.name: item for item in listed}
    for item in list(items.values()):
        parent = item.name.rpartition("/")[0]
        while parent and parent != directory and parent not in items:
            folder = {"hdi_isfolder": "true"}
            items[parent] = Item(parent, unmarked_etag(parent), item.modified, item.created, 0, folder)
            parent = parent.rpartition("/")[0]
    return list(items.values())


def _render(item: Item, *, hierarchical: bool) -> dict[str, str]:
    entry = {
        "name": item.name,
        **({"isDirectory": "true"} if item.directory else {}),
        "contentLength": str(item.length),
        "creationTime": file_time(item.created),
        "etag": item.etag,
        "lastModified": item.modified,
    }
    if hierarchical:
        of = access.of(item.metadata, directory=item.directory)
        entry |= {"owner": of.owner, "group": of.group, "permissions": of.permissions}
    return entry


def _name_of(token: str) -> str:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError) as error:
        raise refused("InvalidQueryParameterValue", f"continuation: {token!r} is no token of this service.") from error
