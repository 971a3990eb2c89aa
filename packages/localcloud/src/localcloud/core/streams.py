"""Bodies of requests: whole ones with a bound, and streams in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from starlette.requests import ClientDisconnect, Request


def has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def whole_body(request: Request, most: int, too_large: Exception) -> bytes:
    """Return a body of at most `most` bytes. Raises `too_large` as soon as more is declared or has come."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > len(str(most)) or int(declared) > most):
        raise too_large
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > most:
            raise too_large
    return bytes(content)


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the request's bytes as they come. A client that disconnects ends the upload at the service too."""
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect as error:
        raise httpx.ReadError("the client closed the connection") from error


async def streamed(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the answer's bytes as they come; close the connection to the service when the client disconnects."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
