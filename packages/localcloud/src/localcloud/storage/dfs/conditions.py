"""Conditional headers for checks that Azurite lacks: directories, and both ends of a rename."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from localcloud.storage.dfs.errors import not_modified, refused
from localcloud.storage.dfs.tree import Node


def check(node: Node | None, headers: Mapping[str, str], *, source: bool = False, reading: bool = False) -> None:
    """Check conditional headers. Raises ServiceError 412; 409 for If-None-Match: * on a path that exists; 304."""
    prefix, code = ("x-ms-source-", "SourceConditionNotMet") if source else ("", "ConditionNotMet")
    match, none = headers.get(f"{prefix}if-match"), headers.get(f"{prefix}if-none-match")
    if none == "*" and node is not None and not source and not reading:
        raise refused("PathAlreadyExists", x_ms_existing_resource_type=node.kind)
    if node is None:
        if match is not None:
            raise refused(code)
        return
    etag = node.headers["etag"]
    if match not in {None, "*", etag, etag.strip('"')}:
        raise refused(code)
    if none in {"*", etag, etag.strip('"')}:
        raise not_modified() if reading else refused(code)
    modified = parsedate_to_datetime(node.headers["last-modified"])
    since, until = headers.get(f"{prefix}if-modified-since"), headers.get(f"{prefix}if-unmodified-since")
    try:
        unchanged = bool(since and modified <= parsedate_to_datetime(since))
        failed = bool(until and modified > parsedate_to_datetime(until))
    except ValueError as error:
        raise refused("InvalidHeaderValue", f"{since or until!r} is not a time as HTTP writes it.") from error
    if unchanged and reading:
        raise not_modified()
    if failed or unchanged:
        raise refused(code)
