"""User-defined properties as the protocol writes them, and a path's metadata as Azurite keeps it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

import httpx

from localcloud.storage.dfs.errors import refused
from localcloud.storage.listing import ACCESS

FOLDER = "hdi_isfolder"
_META = "x-ms-meta-"
_CONTENT = ("cache-control", "content-type", "content-encoding", "content-language", "content-disposition")


def parsed(text: str) -> dict[str, str]:
    """x-ms-properties: name=BASE64,name=BASE64. Raises ServiceError 400."""
    metadata = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = pair.partition("=")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise refused("InvalidPropertyName", f"{name!r} is no identifier.")
        try:
            decoded = base64.b64decode(value, validate=True).decode("latin-1")
        except (binascii.Error, ValueError) as error:
            raise refused("InvalidHeaderValue", f"x-ms-properties: {pair!r} is not name=BASE64.") from error
        if not separator or name.lower() == ACCESS or any(ord(letter) < 0x20 for letter in decoded):
            raise refused("InvalidHeaderValue", f"x-ms-properties: {pair!r} is not name=BASE64 of printable text.")
        metadata[name] = decoded
    return metadata


def written(metadata: Mapping[str, str]) -> str:
    """Return a path's metadata as x-ms-properties, without the entries that clients do not see."""
    return ",".join(
        f"{name}={base64.b64encode(value.encode('latin-1')).decode()}"
        for name, value in metadata.items()
        if name.lower() not in {FOLDER, ACCESS}
    )


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata of Azurite's answer. Names retain their case, which httpx has in `raw` alone."""
    pairs = headers.items()
    if isinstance(headers, httpx.Headers):
        pairs = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.raw}.items()
    return {name[len(_META) :]: value for name, value in pairs if name.lower().startswith(_META)}


def as_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"{_META}{name}": value for name, value in metadata.items()}


def content_headers(request_headers: Mapping[str, str], kept: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return x-ms-content-type and its kin in Azurite's form; headers without a new value are from `kept`."""
    headers = {}
    for name in _CONTENT:
        value = request_headers.get(f"x-ms-{name}", (kept or {}).get(name))
        if value is not None:
            headers[f"x-ms-blob-{name}"] = value
    return headers


def sets_content(request_headers: Mapping[str, str]) -> bool:
    return any(f"x-ms-{name}" in request_headers for name in _CONTENT)
