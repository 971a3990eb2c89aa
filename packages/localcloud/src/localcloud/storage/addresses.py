"""Addresses of containers and blobs: read strictly, checked once, and written anew for Azurite.

HTTP clients, URL parsers and Azurite differ in how they resolve dots, backslashes, percent escapes and repeated
parameters. The text that a client sent is therefore never sent on: Azurite gets the account, container, blob and
parameters that were authorized.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode

from starlette.requests import Request

from localcloud.core.errors import ServiceError

_LONGEST_NAME = 1024
_MOST_PARAMETERS = 100
_HOST = re.compile(r"(?P<account>[^.:]+)\.(?P<endpoint>blob|dfs)\.core\.windows\.net")
_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
# Azurite's query parser makes arrays and objects of names with brackets.
_PARAMETER = re.compile("[a-z0-9_-]+")
_SYSTEM_CONTAINERS = frozenset({"$root", "$logs", "$web", "$blobchangefeed"})


@dataclass(frozen=True)
class Target:
    """A container or blob. `blob` is empty for a container, both are for the service."""

    container: str
    blob: str


def endpoint_of(host: str) -> tuple[str, str] | None:
    """Return account and endpoint ("blob" or "dfs") of a host name without port; None for another service's."""
    match = _HOST.fullmatch(host.lower().rstrip("."))
    return None if match is None else (match["account"], match["endpoint"])


def raw_path_of(request: Request) -> str:
    """Return the request's path as sent. Raises ServiceError 400 for bytes that are not UTF-8."""
    return _text(request.scope["raw_path"].partition(b"?")[0])


def raw_query_of(request: Request) -> str:
    """Return the request's query as sent. Raises ServiceError 400 for bytes that are not UTF-8."""
    return _text(request.scope["query_string"])


def decoded(text: str) -> str:
    """Resolve percent escapes, once. Raises ServiceError 400 for escapes that are broken or not UTF-8."""
    if _BROKEN_ESCAPE.search(text):
        raise _invalid_uri()
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise _invalid_uri() from error


def target_of(raw_path: str, query: Mapping[str, str]) -> Target:
    """Return the target of a blob endpoint's path. A single segment without restype=container is a blob of $root.

    Azure treats a backslash in a blob's name as a slash, and so does Azurite.
    """
    container, _, blob = decoded(raw_path).removeprefix("/").partition("/")
    if blob and not container:
        raise _invalid_uri()
    if container and not blob and query.get("restype") != "container":
        container, blob = "$root", container
    return Target(container, blob.replace("\\", "/"))


def lake_path(text: str) -> str:
    """Return a path of Data Lake Storage, which has no empty elements. A backslash is a slash, as in Azurite."""
    return "/".join(part for part in text.replace("\\", "/").split("/") if part)


def check_name(target: Target) -> None:
    """Raise ServiceError 400 for names that Azure refuses, and that Azurite could not list.

    Dot segments are resolved by HTTP clients and servers on the way (RFC 3986), Azurite's own client included: they
    would lead out of the checked container or directory.
    """
    if len(target.blob) > _LONGEST_NAME:
        raise ServiceError(
            400,
            "OutOfRangeInput",
            f"One of the request inputs is out of range: a blob's name has at most {_LONGEST_NAME} characters.",
        )
    dots = any(part in {".", ".."} for part in (target.container, *target.blob.split("/")))
    # XML 1.0 has neither control characters nor U+FFFE and U+FFFF: a list could not show such a name.
    unlisted = any(unicodedata.category(letter) == "Cc" or letter in "\ufffe\uffff" for letter in target.blob)
    if dots or unlisted:
        raise _invalid_uri()
    if target.container.startswith("$") and target.container not in _SYSTEM_CONTAINERS:
        raise ServiceError(400, "InvalidResourceName", "The specified resource name contains invalid characters.")


def path_of(account: str, target: Target) -> str:
    """Return Azurite's path of a target, percent-encoded."""
    blob = f"/{_encoded(target.blob)}" if target.blob else ""
    return f"/{account}/{_encoded(target.container)}{blob}"


def query_of(text: str) -> dict[str, str]:
    """Return parameters by lower-case name.

    Raises ServiceError 400 for a query that Azurite could read differently: broken escapes, names with brackets, and a
    repeated parameter.
    """
    try:
        broken = _BROKEN_ESCAPE.search(text) is not None
        pairs = [
            (name.lower(), value)
            for name, value in parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
        ]
    except ValueError as error:
        raise _invalid_parameter(str(error)) from error
    if broken:
        raise _invalid_parameter("a percent escape has two hexadecimal digits")
    names = [name for name, _ in pairs]
    for name in names:
        if _PARAMETER.fullmatch(name) is None:
            raise _invalid_parameter(f"{name!r} is not the name of a parameter")
        if names.count(name) > 1:
            raise _invalid_parameter(f"{name} is given more than once")
    return dict(pairs)


def query_text(query: Mapping[str, str]) -> str:
    """Return parameters as Azurite gets them, with the question mark; "" for none."""
    return f"?{urlencode(query, quote_via=quote)}" if query else ""


def _encoded(name: str) -> str:
    return quote(name, safe="/~")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _invalid_uri() from error


def _invalid_uri() -> ServiceError:
    return ServiceError(400, "InvalidUri", "The requested URI does not represent any resource on the server.")


def _invalid_parameter(detail: str) -> ServiceError:
    return ServiceError(
        400,
        "InvalidQueryParameterValue",
        f"Value for one of the query parameters specified in the request URI is invalid: {detail}.",
    )
