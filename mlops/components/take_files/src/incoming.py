"""Files that others left to be scored: which there are, which were scored, and copies of the others.

A file is known by its content, and a blob by its name and ETag: a blob that was read once is not read again as long as
it stays as it is. Copies are named after the content alone, so that nobody changes a file while runs read it and no
name from outside is part of an address.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

if TYPE_CHECKING:
    from ledger import Ledger  # type: ignore[import-not-found]

FILES = "scoring/files"
"""Folder of the copies."""
_SUFFIX = ".csv"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LeftFile:
    """A blob in the input folder. `version` is None until its content was read once."""

    name: str
    etag: str
    size: int
    modified: datetime
    version: str | None
    scored: bool
    failed: datetime = _LONG_AGO

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        """Return the order in which files are taken: files that failed are last, so that no other waits for them."""
        return self.failed, self.modified, self.name


def copy_of(version: str) -> str:
    """Return the path of a file's copy in the container."""
    return f"{FILES}/{version}/data.csv"


def listing(blobs: ContainerClient, folder: str, ledger: Ledger, attempt: str) -> list[LeftFile]:
    """Return the CSV files of an input folder, in the order in which runs take them."""
    contents = ledger.contents()
    files = []
    for blob in blobs.list_blobs(name_starts_with=f"{folder}/"):
        if not blob.name.endswith(_SUFFIX):
            continue
        version = contents.known.get(_key(blob.name, blob.etag))
        files.append(
            LeftFile(
                name=blob.name, etag=blob.etag, size=blob.size, modified=blob.last_modified, version=version,
                scored=(version, attempt) in contents.scored,
                failed=contents.failed.get(version or "", _LONG_AGO),
            )
        )  # fmt: skip
    return sorted(files, key=lambda file: file.order)


def copy(blobs: ContainerClient, file: LeftFile, ledger: Ledger) -> str | None:
    """Copy a file unless its copy is there; return its version, None when it was deleted or changed meanwhile."""
    if file.version is not None and blobs.get_blob_client(copy_of(file.version)).exists():
        return file.version
    with tempfile.TemporaryFile() as stream:
        digest = hashlib.sha256()
        try:
            # Chunks after the first one are read on the condition that the blob is still the same.
            download = blobs.download_blob(file.name)
            for chunk in download.chunks():
                digest.update(chunk)
                stream.write(chunk)
        except (ResourceNotFoundError, ResourceModifiedError):
            return None
        version = digest.hexdigest()
        stream.seek(0)
        # Values of metadata are HTTP headers.
        name = quote(PurePosixPath(file.name).name, safe="", errors="surrogateescape")
        with suppress(ResourceExistsError):
            blobs.upload_blob(copy_of(version), stream, overwrite=False, metadata={"sha256": version, "name": name})
    ledger.know(_key(file.name, str(download.properties.etag)), version)
    return version


def _key(name: str, etag: str) -> str:
    """Return what a blob is known by. Listings have ETags without the quotes that headers have."""
    bare = etag.strip('"')
    return hashlib.sha256(f"{name}\n{bare}".encode("utf-8", "surrogateescape")).hexdigest()
