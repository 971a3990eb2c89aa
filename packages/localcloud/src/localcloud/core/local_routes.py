"""Bodies of localcloud's own routes, /_localcloud/…, which change how it behaves."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from localcloud.core.errors import ServiceError
from localcloud.core.json import parsed
from localcloud.core.streams import whole_body

_LARGEST = 64 * 1024
Model = TypeVar("Model", bound=BaseModel)


async def read_model(request: Request, model: type[Model]) -> Model:
    """Return the body as a model. Raises ServiceError 400 or 413, ValidationError."""
    too_large = ServiceError(413, "RequestContentTooLarge", f"The body has more than {_LARGEST} bytes.")
    raw = await whole_body(request, _LARGEST, too_large)
    try:
        return model.model_validate(parsed(raw))
    except ValidationError:
        raise
    except ValueError as error:
        raise ServiceError(400, "InvalidRequestContent", f"The body is not JSON: {error}.") from error


def details_of(error: ValidationError) -> Any:
    """Return the fault of each field. The input stays out: it may hold values that JSON cannot write, such as NaN."""
    return json.loads(error.json(include_url=False, include_context=False, include_input=False))
