"""Copies of incoming files, named after their content, so that they stay unchanged while runs read them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import PurePosixPath
from urllib.parse import quote

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient


def copy_by_content(blobs: ContainerClient, name: str, path: Callable[[str], str]) -> tuple[str, str]:
    """Copy a blob to the path of its SHA-256 unless the copy is there; return the SHA-256 and the blob's ETag.

    Raises ResourceNotFoundError for a blob that was deleted, ResourceModifiedError for a blob that changes meanwhile.
    """
    digest = hashlib.sha256()
    with tempfile.TemporaryFile() as stream:
        # Chunks after the first one are read on the condition that the blob is still the same.
        download = blobs.download_blob(name)
        for chunk in download.chunks():
            digest.update(chunk)
            stream.write(chunk)
        version = digest.hexdigest()
        stream.seek(0)
        # Values of metadata are HTTP headers.
        quoted_name = quote(PurePosixPath(name).name, safe="", errors="surrogateescape")
        with suppress(ResourceExistsError):
            blobs.upload_blob(path(version), stream, overwrite=False, metadata={"sha256": version, "name": quoted_name})
    return version, str(download.properties.etag)
