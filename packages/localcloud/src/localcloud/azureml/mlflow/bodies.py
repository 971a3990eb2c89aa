"""Bodies of requests to MLflow: artifacts stream through, all others are bounded, since its server reads them whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request

from localcloud.core.errors import ServiceError
from localcloud.core.streams import body_of, has_body, whole_body

_LARGEST = 4 * 1024 * 1024
"""Bytes. MLflow's documentation allows 1 MB for log-batch, its largest request that is no artifact."""


async def content_of(request: Request, path: str) -> AsyncIterator[bytes] | bytes:
    """Return the body of a request to MLflow's path. Raises ServiceError 413."""
    if "mlflow-artifacts" in path and has_body(request):
        return body_of(request)
    return await bounded_content(request)


async def bounded_content(request: Request) -> bytes:
    """Return the whole body. Raises ServiceError 413."""
    return await whole_body(request, _LARGEST, ServiceError(413, "BAD_REQUEST", f"Over {_LARGEST} bytes."))
