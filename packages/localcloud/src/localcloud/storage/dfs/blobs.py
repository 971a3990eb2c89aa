"""A container at Azurite for the dfs endpoint: Azurite trusts the front's authorization, errors are Data Lake's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import httpx

from localcloud.core.errors import ServiceError
from localcloud.storage.azurite import Azurite
from localcloud.storage.dfs import properties
from localcloud.storage.dfs.errors import not_modified, of_azurite

_VERSION = {"x-ms-version": "2024-11-04"}
TREE = "x-localcloud-tree"
"""Makes azurite.js delete or rename a blob together with all that is below it, in one step."""


@dataclass(frozen=True)
class Item:
    """A blob of a list. `etag` has no quotes, times are as HTTP writes them."""

    name: str
    etag: str
    modified: str
    created: str
    length: int
    metadata: Mapping[str, str]

    @property
    def directory(self) -> bool:
        return is_folder(self.metadata)


def is_folder(metadata: Mapping[str, str]) -> bool:
    return any(name.lower() == properties.FOLDER and value.lower() == "true" for name, value in metadata.items())


class Blobs:
    """Client of one container at Azurite."""

    def __init__(self, azurite: Azurite, account: str, container: str) -> None:
        self._azurite = azurite
        self.account = account
        self.container = container

    @staticmethod
    def encoded(path: str) -> str:
        return quote(path, safe="/~")

    async def send(
        self,
        method: str,
        path: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: AsyncIterator[bytes] | bytes = b"",
    ) -> httpx.Response:
        """Return the answer with its body still to be read. Raises ServiceError for Azurite's refusals."""
        parts = [part for part in (self.account, self.container, path) if part]
        address = "/" + "/".join(map(self.encoded, parts)) + ("" if self.container else "/")
        address += f"?{urlencode(query)}" if query else ""
        answer = await self._azurite.send(method, address, {**_VERSION, **(headers or {})}, content, trusted=True)
        if answer.status_code < 400 and answer.status_code != 304:
            return answer
        body = (await answer.aread()).decode("utf-8", "replace")
        await answer.aclose()
        if answer.status_code == 304:
            raise not_modified()
        raise of_azurite(answer.status_code, answer.headers.get("x-ms-error-code", ""), body)

    async def call(
        self,
        method: str,
        path: str = "",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: AsyncIterator[bytes] | bytes = b"",
    ) -> httpx.Response:
        """Return the whole answer."""
        answer = await self.send(method, path, query, headers, content)
        await answer.aread()
        await answer.aclose()
        return answer

    async def head(self, path: str) -> httpx.Headers | None:
        """Return a blob's headers; None when it is not there."""
        try:
            return (await self.call("HEAD", path)).headers
        except ServiceError as error:
            if error.code == "PathNotFound":
                return None
            raise

    async def below(self, path: str, *, limit: int | None = None) -> list[Item]:
        """List all blobs below a directory, at any depth, or the first `limit` of them."""
        items: list[Item] = []
        marker = ""
        while True:
            query = {"restype": "container", "comp": "list", "include": "metadata"}
            query |= {"prefix": f"{path}/"} if path else {}
            query |= {"marker": marker} if marker else {}
            query |= {"maxresults": str(limit)} if limit else {}
            root = ElementTree.fromstring((await self.call("GET", query=query)).content)  # noqa: S314 - Azurite's
            items += [_item(entry) for entry in root.iterfind("Blobs/Blob")]
            marker = root.findtext("NextMarker") or ""
            if not marker or (limit and len(items) >= limit):
                return items

    async def mark(self, path: str, metadata: Mapping[str, str], *, new: bool) -> httpx.Headers:
        """Make a directory's marker, or write over it. With `new`, an existing one stays unchanged."""
        headers = {"x-ms-blob-type": "BlockBlob", **properties.as_headers({**metadata, properties.FOLDER: "true"})}
        try:
            condition = {"if-none-match": "*"} if new else {}
            return (await self.call("PUT", path, headers={**headers, **condition})).headers
        except ServiceError as error:
            if new and error.code == "PathAlreadyExists":
                return (await self.call("HEAD", path)).headers
            raise


def _item(entry: ElementTree.Element) -> Item:
    def text(name: str) -> str:
        return entry.findtext(f"Properties/{name}") or ""

    metadata = {element.tag: element.text or "" for element in entry.iterfind("Metadata/*")}
    return Item(
        entry.findtext("Name") or "", text("Etag").strip('"'), text("Last-Modified"), text("Creation-Time"),
        int(text("Content-Length") or 0), metadata,
    )  # fmt: skip


def file_time(moment: str) -> str:
    """Return an HTTP time as the protocol's creationTime: 100 nanoseconds since 1601."""
    return str(int((parsedate_to_datetime(moment).timestamp() + 11644473600) * 10_000_000))
