"""Versions of Azure ML's assets, which never change once they are made."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

_ATTEMPTS = 3
"""For a version that somebody else makes at the same time: code, then the component that names it."""


def get_or_make(get: Callable[[], Any], make: Callable[[], Any]) -> Any:
    """Return a version, which is made where `get` finds none.

    Somebody who publishes the same at the same time makes it between the two, or the code that it names: Azure ML
    refuses to make either again. `get` decides whether theirs will do. Raises the clients' errors.
    """
    from azure.ai.ml.exceptions import AssetPathException
    from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return get()
        except ResourceNotFoundError:
            try:
                return make()
            except (HttpResponseError, AssetPathException) as error:
                status = error.status_code if isinstance(error, HttpResponseError) else HTTPStatus.CONFLICT
                if status != HTTPStatus.CONFLICT or attempt == _ATTEMPTS:
                    raise
    raise AssertionError("the last attempt returns or raises")
