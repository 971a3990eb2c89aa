"""Lists of blobs and containers as Azure writes them, where Azurite's differ."""

from __future__ import annotations

import re
from xml.sax.saxutils import unescape

ACCESS = "localcloud_access"
"""The metadata in which the dfs endpoint stores owner, group and ACL of a path, hidden from clients."""
HIDDEN_HEADER = f"x-ms-meta-{ACCESS}".encode()
_HIDDEN = re.compile(f"<{ACCESS}>[^<]*</{ACCESS}>".encode())
_ENTRY = re.compile(rb"<(BlobPrefix|Blob)>.*?</\1>", re.DOTALL)
_NAME = re.compile(rb"<Name[^>]*>(.*?)</Name>", re.DOTALL)


def rewritten(body: bytes, inner: str, outer: str, start_from: str = "") -> bytes:
    """Return the list with the client's endpoint, and its entries in the order of their names.

    Azurite writes all prefixes before all blobs. ABFS relies on Azure's order to see that a folder's marker blob and
    its prefix are one: Hadoop 3.4 `ListUtils.getUniqueListResult`. Entries before `start_from` are left out, since
    Azurite ignores the parameter startFrom of List Blobs: azure-storage-blob, `ContainerClient.list_blobs`, "full path
    (inclusive)". A page may be empty then, and have a marker, as on Azure.
    """
    for written in (f'"{inner}/"', f'"{inner}"'):
        body = body.replace(written.encode(), f'"{outer}"'.encode(), 1)
    body = _HIDDEN.sub(b"", body)
    head, opened, rest = body.partition(b"<Blobs>")
    inside, closed, tail = rest.rpartition(b"</Blobs>")
    if b"<BlobPrefix>" not in inside and not start_from:
        return body
    entries = sorted((match[0] for match in _ENTRY.finditer(inside)), key=_name)
    if start_from:
        entries = [entry for entry in entries if _is_from(_name(entry), start_from)]
    return b"".join([head, opened, *entries, closed, tail])


def _is_from(name: str, start: str) -> bool:
    """Whether an entry is not before the start; a prefix of the start has entries that are not."""
    return name >= start or (name.endswith("/") and start.startswith(name))


def _name(entry: bytes) -> str:
    match = _NAME.search(entry)
    return unescape(match[1].decode()) if match else ""
