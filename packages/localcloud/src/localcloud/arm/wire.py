"""Form of ARM's answers: JSON bodies, the error envelope, request ids, pages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json, parsed
from localcloud.core.settings import TENANT_ID
from localcloud.core.streams import whole_body

PAGE_SIZE = 1000
LARGEST = 4 * 1024 * 1024
"""Bytes of a request to ARM."""


class JsonResponse(Response):
    """Compact JSON. ARM says `application/json; charset=utf-8`."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: Any) -> bytes:
        return b"" if content is None else json.dumps(content, separators=(",", ":")).encode()


def error_response(error: ServiceError) -> Response:
    """ARM's envelope, for every service that speaks through ARM."""
    headers = dict(error.headers)
    if error.status == 401 and "WWW-Authenticate" not in headers:
        headers["WWW-Authenticate"] = (
            f'Bearer authorization_uri="https://login.microsoftonline.com/{TENANT_ID}", '
            f'error="invalid_token", error_description="{error.message}"'
        )
    headers["x-ms-failure-cause"] = "gateway"
    return JsonResponse({"error": error_body(error)}, error.status, headers)


def error_body(error: ServiceError) -> Json:
    """Return the error of the envelope, which a failed operation has as well."""
    details = {"details": list(error.details)} if error.details else {}
    return {"code": error.code, "message": error.message, **details}


def stamp(request: Request, response: Response) -> Response:
    """Set the ids that every ARM answer carries; support tickets and client logs name them."""
    request_id = str(uuid.uuid4())
    headers = response.headers
    headers["x-ms-request-id"] = request_id
    headers["x-ms-correlation-request-id"] = request.headers.get("x-ms-correlation-request-id", request_id)
    headers["Cache-Control"] = "no-cache"
    client_id = request.headers.get("x-ms-client-request-id")
    if client_id and request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
        headers["x-ms-client-request-id"] = client_id
    return response


async def read_body(request: Request, loads: Callable[[bytes], Any] = parsed) -> Json:
    """Return the request's JSON object; {} when there is no body.

    Raises ServiceError 400 InvalidRequestContent, 413 RequestContentTooLarge.
    """
    raw = await whole_body(request, LARGEST, _too_large())
    if not raw.strip():
        return {}
    try:
        body = loads(raw)
    except ValueError as error:
        raise ServiceError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{error}'.",
        ) from error
    if not isinstance(body, dict):
        raise ServiceError(
            400,
            "InvalidRequestContent",
            "The request content was invalid and could not be deserialized: the body is not a JSON object.",
        )
    return body


def _too_large() -> ServiceError:
    return ServiceError(413, "RequestContentTooLarge", "The request content size exceeds the maximum size of 4 MB.")


def page(items: list[Json], query: Mapping[str, str], url: str) -> Json:
    """One page of a list: `value`, and `nextLink` (absolute, same query with $skiptoken) when there are more.

    `$top` sets the page size. Raises ServiceError 400 for a $top or $skiptoken that is not a number.
    """
    try:
        start = int(query.get("$skiptoken", query.get("$skipToken", "0")))
        size = min(int(query.get("$top", PAGE_SIZE)), PAGE_SIZE)
    except ValueError as error:
        raise ServiceError(400, "InvalidQueryParameterValue", "$top and $skiptoken must be whole numbers.") from error
    if size < 1 or start < 0:
        raise ServiceError(400, "InvalidQueryParameterValue", "$top must be positive and $skiptoken not negative.")
    answer: Json = {"value": items[start : start + size]}
    if start + size < len(items):
        following = {k: v for k, v in query.items() if k.lower() != "$skiptoken"} | {"$skiptoken": str(start + size)}
        answer["nextLink"] = f"{url}?{urlencode(following)}"
    return answer
