"""Conditional headers on what Azurite does not check: directories, and both ends of a rename."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from localcloud.storage.dfs.errors import refused
from localcloud.storage.dfs.tree import Node


def check(node: Node | None, headers: Mapping[str, str], *, source: bool = False) -> None:
    """Raises ServiceError 412, or 409 for If-None-Match: * on a path that is there."""
    prefix, code = ("x-ms-source-", "SourceConditionNotMet") if source else ("", "ConditionNotMet")
    match, none = headers.get(f"{prefix}if-match"), headers.get(f"{prefix}if-none-match")
    if none == "*" and node is not None and not source:
        raise refused("PathAlreadyExists", x_ms_existing_resource_type=node.kind)
    if node is None:
        if match is not None:
            raise refused(code)
        return
    etag = node.headers["etag"]
    if match not in {None, "*", etag, etag.strip('"')} or none in {etag, etag.strip('"')}:
        raise refused(code)
    modified = parsedate_to_datetime(node.headers["last-modified"])
    since, until = headers.get(f"{prefix}if-modified-since"), headers.get(f"{prefix}if-unmodified-since")
    try:
        failed = bool(since and modified <= parsedate_to_datetime(since))
        failed = failed or bool(until and modified > parsedate_to_datetime(until))
    except ValueError as error:
        raise refused("InvalidHeaderValue", f"{since or until!r} is not a time as HTTP writes it.") from error
    if failed:
        raise refused(code)
