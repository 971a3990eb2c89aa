"""Versions of Azure ML's assets, which never change once they are made."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

_ATTEMPTS = 3
"""Attempts at a version that another process makes at the same time: code, then the component that uses it."""


def get_or_make(get: Callable[[], Any], make: Callable[[], Any]) -> Any:
    """Return a version; make it where `get` returns none.

    Another publisher of the same content may make it between the two, or its code: Azure ML refuses to make either
    again. `get` decides whether the other version is good enough. Raises the clients' errors.
    """
    from azure.core.exceptions import ResourceNotFoundError

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return get()
        except ResourceNotFoundError:
            try:
                return make()
            except Exception as error:
                if not is_conflict(error) or attempt == _ATTEMPTS:
                    raise
    raise AssertionError("the last attempt returns or raises")


def is_conflict(error: Exception) -> bool:
    """Return whether Azure ML has a version with another path already: azure-ai-ml names one such refusal itself."""
    from azure.ai.ml.exceptions import AssetPathException
    from azure.core.exceptions import HttpResponseError

    refused = isinstance(error, HttpResponseError) and error.status_code == HTTPStatus.CONFLICT
    return refused or isinstance(error, AssetPathException)


def with_unique_name(folder: Path) -> Path:
    """Rename a folder, so that its upload meets no other of the same content.

    azure-ai-ml uploads to a folder named after content and name. Where another process writes a file there first, it
    waits forever (`BlobStorageClient.upload` of its _artifacts/_blob_storage_helper.py counts its own files alone).
    """
    return folder.rename(folder.with_name(f"model-{uuid.uuid4().hex[:8]}"))
