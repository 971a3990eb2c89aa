"""Blob batches of a bearer token's caller: every request in one is checked and sent on by itself.

POST /?comp=batch and /CONTAINER?restype=container&comp=batch; deletions and changes of the access tier, at most 256.
Source: learn.microsoft.com/rest/api/storageservices/blob-batch.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.parser import BytesParser

import httpx
from starlette.requests import Request
from starlette.responses import Response

from localcloud.core.errors import ServiceError
from localcloud.core.streams import whole_body
from localcloud.storage import errors
from localcloud.storage.addresses import Target, query_of, target_of

_MOST = 256
_LARGEST = 4 * 1024 * 1024
_TAKEN = frozenset(
    {
        "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "x-ms-access-tier",
        "x-ms-client-request-id", "x-ms-delete-snapshots", "x-ms-if-tags", "x-ms-lease-id", "x-ms-rehydrate-priority",
        "x-ms-version",
    }
)  # fmt: skip
"""The headers of deletions and changes of the access tier.

With others Azurite could mistake a request for another one.
"""
_HEADERS = ("x-ms-error-code", "x-ms-request-id", "x-ms-version", "x-ms-delete-type-permanent", "content-type")

Check = Callable[[str, Target, Mapping[str, str], Mapping[str, str]], None]
"""(method, target, query, headers). Raises ServiceError where the caller lacks the role."""
Send = Callable[[str, Target, Mapping[str, str], dict[str, str]], Awaitable[httpx.Response]]
"""(method, target, query, headers)."""


@dataclass(frozen=True)
class _Subrequest:
    id: str
    method: str
    url: str
    headers: dict[str, str]


async def answer(request: Request, container: str, check: Check, send: Send) -> Response:
    """202 with an answer to each. Raises ServiceError 400 for a body that is no batch."""
    boundary = f"batchresponse_{uuid.uuid4()}"
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {subrequest.id}\r\n\r\n".encode()
        + await _answered(subrequest, container, check, send)
        + b"\r\n"
        for subrequest in _requests(
            request.headers.get("content-type", ""), await whole_body(request, _LARGEST, errors.body_too_large())
        )
    ]
    body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Response(body, 202, media_type=f"multipart/mixed; boundary={boundary}")


def _requests(kind: str, body: bytes) -> list[_Subrequest]:
    if not kind.lower().startswith("multipart/mixed"):
        raise _invalid("a batch is multipart/mixed")
    whole = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts = whole.get_payload() if whole.is_multipart() else []
    if not isinstance(parts, list) or not 1 <= len(parts) <= _MOST:
        raise _invalid(f"a batch has 1 to {_MOST} requests")
    return [_parsed(str(part.get("Content-ID") or index), str(part.get_payload())) for index, part in enumerate(parts)]


def _parsed(id_: str, text: str) -> _Subrequest:
    line, _, rest = text.lstrip().partition("\n")
    words = line.split()
    if len(words) != 3 or not words[1].startswith("/"):
        raise _invalid(f"'{line.strip()}' is not the first line of a request")
    message = BytesParser().parsebytes(rest.encode(), headersonly=True)
    return _Subrequest(id_, words[0].upper(), words[1], {name.lower(): str(value) for name, value in message.items()})


async def _answered(subrequest: _Subrequest, container: str, check: Check, send: Send) -> bytes:
    raw_path, _, text = subrequest.url.partition("?")
    try:
        query = query_of(text)
        target = target_of(raw_path, query)
        tier = subrequest.method == "PUT" and query.get("comp") == "tier"
        deletes = subrequest.method == "DELETE"
        if not target.blob or not (deletes or tier) or (container and target.container != container):
            raise ServiceError(400, "InvalidInput", "One of the request inputs is not valid.")
        check(subrequest.method, target, query, subrequest.headers)
        kept = {name: value for name, value in subrequest.headers.items() if name in _TAKEN}
        answered = await send(subrequest.method, target, query, kept)
    except ServiceError as error:
        refusal = errors.xml_response(error)
        return _written(refusal.status_code, dict(refusal.headers), bytes(refusal.body))
    return _written(answered.status_code, dict(answered.headers), answered.content)


def _written(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    lines_of_headers = [f"{name}: {value}" for name, value in headers.items() if name.lower() in _HEADERS]
    lines = [
        f"HTTP/1.1 {status} {httpx.codes.get_reason_phrase(status)}",
        *lines_of_headers,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _invalid(reason: str) -> ServiceError:
    return ServiceError(400, "InvalidInput", f"One of the request inputs is not valid: {reason}.")
