"""Blob batches of a bearer token's caller: every request in one is checked and sent on by itself.

POST /?comp=batch and /CONTAINER?restype=container&comp=batch; deletions and changes of the access tier, at most 256.
Source: learn.microsoft.com/rest/api/storageservices/blob-batch.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.parser import BytesParser
from urllib.parse import parse_qsl, unquote

import httpx
from starlette.requests import Request
from starlette.responses import Response

from localcloud.core.errors import ServiceError
from localcloud.storage import errors
from localcloud.storage.operations import Target, target_of

_MOST = 256
_LARGEST = 4 * 1024 * 1024
_SHOWN = ("x-ms-error-code", "x-ms-request-id", "x-ms-version", "x-ms-delete-type-permanent", "content-type")

Check = Callable[[str, Target, Mapping[str, str], Mapping[str, str]], None]
"""(method, target, query, headers). Raises ServiceError where the caller lacks the role."""
Send = Callable[[str, str, dict[str, str]], Awaitable[httpx.Response]]
"""(method, path with query, headers)."""


@dataclass(frozen=True)
class _One:
    id: str
    method: str
    url: str
    headers: dict[str, str]


async def answer(request: Request, container: str, check: Check, send: Send) -> Response:
    """202 with an answer to each. Raises ServiceError 400 for a body that is no batch."""
    boundary = f"batchresponse_{uuid.uuid4()}"
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {one.id}\r\n\r\n".encode()
        + await _answered(one, container, check, send)
        + b"\r\n"
        for one in _requests(request.headers.get("content-type", ""), await request.body())
    ]
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Response(body, 202, media_type=f"multipart/mixed; boundary={boundary}")


def _requests(kind: str, body: bytes) -> list[_One]:
    if not kind.lower().startswith("multipart/mixed") or len(body) > _LARGEST:
        raise _invalid("a batch is multipart/mixed and has at most 4 MB")
    whole = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = whole.get_payload() if whole.is_multipart() else []
    if not isinstance(parts, list) or not 1 <= len(parts) <= _MOST:
        raise _invalid(f"a batch has 1 to {_MOST} requests")
    return [_parsed(str(part.get("Content-ID") or index), str(part.get_payload())) for index, part in enumerate(parts)]


def _parsed(id_: str, text: str) -> _One:
    line, _, rest = text.lstrip().partition("\n")
    words = line.split()
    if len(words) != 3 or not words[1].startswith("/"):
        raise _invalid(f"'{line.strip()}' is not the first line of a request")
    message = BytesParser().parsebytes(rest.encode(), headersonly=True)
    return _One(id_, words[0].upper(), words[1], {name.lower(): str(value) for name, value in message.items()})


async def _answered(one: _One, container: str, check: Check, send: Send) -> bytes:
    path, _, text = one.url.partition("?")
    query = {name.lower(): value for name, value in parse_qsl(text, keep_blank_values=True)}
    target = target_of(unquote(path), query)
    try:
        tier = one.method == "PUT" and query.get("comp") == "tier"
        if not target.blob or not (one.method == "DELETE" or tier) or (container and target.container != container):
            raise ServiceError(400, "InvalidInput", "One of the request inputs is not valid.")
        check(one.method, target, query, one.headers)
        kept = {
            name: value
            for name, value in one.headers.items()
            if name.startswith("x-ms-") or name in {"if-match", "if-none-match"}
        }
        found = await send(one.method, one.url, kept)
    except ServiceError as error:
        refused = errors.xml_response(error)
        return _written(refused.status_code, dict(refused.headers), bytes(refused.body))
    return _written(found.status_code, dict(found.headers), found.content)


def _written(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    shown = [f"{name}: {value}" for name, value in headers.items() if name.lower() in _SHOWN]
    lines = [f"HTTP/1.1 {status} {httpx.codes.get_reason_phrase(status)}", *shown, f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _invalid(why: str) -> ServiceError:
    return ServiceError(400, "InvalidInput", f"One of the request inputs is not valid: {why}.")
