"""Bodies that pass through without being held: from a client to a service behind, and back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
from starlette.requests import ClientDisconnect, Request


def has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Yield the request's bytes as they come. A client that goes away ends the upload at the service too."""
    try:
        async for chunk in request.stream():
            if chunk:
                yield chunk
    except ClientDisconnect as error:
        raise httpx.ReadError("the client closed the connection") from error


async def streamed(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the answer's bytes as they come; close the connection to the service when the client goes away."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    finally:
        await answer.aclose()
