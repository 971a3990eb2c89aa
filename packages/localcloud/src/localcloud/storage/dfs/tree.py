"""Files and directories of a filesystem: the node at a path, its parents, and one change at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from localcloud.storage.dfs import access, properties
from localcloud.storage.dfs.blobs import Blobs, is_folder
from localcloud.storage.dfs.errors import refused


@dataclass(frozen=True)
class Node:
    """A file or directory. `marked` is false for a directory that exists only by the names of blobs below it."""

    path: str
    directory: bool
    headers: Mapping[str, str]
    """Azurite's, with etag and last-modified at least."""
    marked: bool = True

    @property
    def metadata(self) -> dict[str, str]:
        return properties.metadata_of(self.headers)

    @property
    def access(self) -> access.Access:
        return access.of(self.metadata, directory=self.directory)

    @property
    def kind(self) -> str:
        return "directory" if self.directory else "file"


async def find(blobs: Blobs, path: str) -> Node | None:
    """Return the file or directory at a path. Raises ServiceError 404 for a missing filesystem."""
    if not path:
        answer = await blobs.call("HEAD", query={"restype": "container"})
        headers_of_node = {name: answer.headers[name] for name in ("etag", "last-modified")}
        return Node("", True, headers_of_node)
    headers = await blobs.head(path)
    if headers is not None:
        return Node(path, is_folder(properties.metadata_of(headers)), headers)
    children = await blobs.below(path, limit=1)
    if not children:
        return None
    return Node(path, True, {"etag": f'"{unmarked_etag(path)}"', "last-modified": children[0].modified}, marked=False)


async def need(blobs: Blobs, path: str, kind: str = "") -> Node:
    """Return the file or directory at a path. Raises ServiceError 404 without one, 409 when it is no `kind`."""
    node = await find(blobs, path)
    if node is None:
        raise refused("PathNotFound")
    if kind and node.kind != kind:
        raise refused("PathConflict", f"'{path}' is a {node.kind}.")
    return node


async def ensure_parents(blobs: Blobs, path: str, owner: str) -> None:
    """Make the missing directories above a path. Raises ServiceError 409 when a file is in the way."""
    missing = []
    parent = path.rpartition("/")[0]
    # Directories get their markers from the top down: a directory with a marker has marked ones above it.
    while parent:
        headers = await blobs.head(parent)
        if headers is not None:
            if not is_folder(properties.metadata_of(headers)):
                raise refused("PathConflict", f"'{parent}' is a file.")
            break
        missing.append(parent)
        parent = parent.rpartition("/")[0]
    for folder in reversed(missing):
        await blobs.mark(folder, access.created({}, owner, directory=True).kept(), new=True)


def unmarked_etag(path: str) -> str:
    return f"0x{hashlib.sha256(path.encode()).hexdigest()[:15].upper()}"


class Turns:
    """Exclusive access to the tree of a filesystem during a change: no request at the dfs endpoint sees half of it."""

    def __init__(self) -> None:
        self._conditions: dict[tuple[str, str], asyncio.Condition] = {}
        self._readers: dict[tuple[str, str], int] = {}
        self._changing: set[tuple[str, str]] = set()

    @asynccontextmanager
    async def reading(self, *key: str) -> AsyncIterator[None]:
        at = (key[0], key[1])
        condition = self._conditions.setdefault(at, asyncio.Condition())
        async with condition:
            await condition.wait_for(lambda: at not in self._changing)
            self._readers[at] = self._readers.get(at, 0) + 1
        try:
            yield
        finally:
            async with condition:
                self._readers[at] -= 1
                condition.notify_all()

    @asynccontextmanager
    async def changing(self, *key: str) -> AsyncIterator[None]:
        at = (key[0], key[1])
        condition = self._conditions.setdefault(at, asyncio.Condition())
        async with condition:
            await condition.wait_for(lambda: at not in self._changing)
            self._changing.add(at)  # no new readers from here on
            try:
                await condition.wait_for(lambda: not self._readers.get(at))
            except BaseException:
                self._changing.discard(at)
                condition.notify_all()
                raise
        try:
            yield
        finally:
            async with condition:
                self._changing.discard(at)
                condition.notify_all()
