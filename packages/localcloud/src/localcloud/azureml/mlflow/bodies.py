"""Bodies of requests to MLflow: artifacts stream through, all others are bounded, since its server reads them whole."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
from starlette.requests import Request

from localcloud.core.errors import ServiceError
from localcloud.core.json import parsed
from localcloud.core.streams import body_of, has_body, whole_body

_ARTIFACTS = "mlflow-artifacts"
_FAILED = 500
_READING = frozenset({"GET", "HEAD", "DELETE"})
_log = logging.getLogger("localcloud.azureml")
_LARGEST = 4 * 1024 * 1024
"""Bytes. MLflow's documentation allows 1 MB for log-batch, its largest request that is no artifact."""


async def content_of(request: Request, path: str) -> AsyncIterator[bytes] | bytes:
    """Return the body of a request to MLflow's path. Raises ServiceError 400 and 413."""
    if _ARTIFACTS in path and has_body(request):
        return body_of(request)
    return await bounded_content(request)


async def bounded_content(request: Request) -> bytes:
    """Return the whole body.

    Raises ServiceError 413, and 400 for JSON that MLflow fails on: it accepts objects alone.
    """
    content = await whole_body(request, _LARGEST, ServiceError(413, "BAD_REQUEST", f"Over {_LARGEST} bytes."))
    if request.method in _READING or not content or "protobuf" in request.headers.get("content-type", ""):
        return content
    try:
        value = parsed(content)
    except ValueError as error:
        raise _not_json(str(error)) from error
    if not isinstance(value, dict):
        raise _not_json("expected an object")
    return content


async def checked(answer: httpx.Response) -> httpx.Response:
    """Return MLflow's answer. Raises ServiceError 400 where MLflow fails: it has no words for values it cannot read."""
    if answer.status_code != _FAILED:
        return answer
    text = (await answer.aread()).decode("utf-8", "replace")
    await answer.aclose()
    _log.warning("MLflow failed: %s %s: %s", answer.request.method, answer.request.url.path, text[:2000])
    raise ServiceError(
        400, "INVALID_PARAMETER_VALUE", f"MLflow could not process the request. {_message(text)}".rstrip()
    )


def _message(text: str) -> str:
    try:
        return str(parsed(text.encode())["message"])
    except (ValueError, KeyError, TypeError):
        return ""  # a page for people


def _not_json(detail: str) -> ServiceError:
    return ServiceError(400, "BAD_REQUEST", f"The request body is no JSON object: {detail}.")
