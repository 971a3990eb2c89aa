"""Files that others left to be scored: which there are, which were scored, and where their copies are.

A file is known by its content, and a blob by its name and ETag: a blob that was read once is not read again until it
changes. Copies are named after the content alone, so that a file stays unchanged while runs read it and no name from
outside is part of an address.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from azure.storage.blob import ContainerClient

if TYPE_CHECKING:
    from ledger import Contents  # type: ignore[import-not-found]

FILES = "scoring/files"
"""Folder of the copies."""
_SUFFIX = ".csv"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LeftFile:
    """A blob in the input folder. `version` is None until its content was read once."""

    name: str
    etag: str
    tier: str
    size: int
    modified: datetime
    version: str | None
    scored: bool
    refused: bool = False
    failed: datetime = _LONG_AGO

    @property
    def waits(self) -> bool:
        """Whether runs take the file."""
        return not (self.scored or self.refused)

    @property
    def refused_as(self) -> str:
        """Return the key of the file's refusal: its content, or the blob and its tier while it cannot be read."""
        return self.version or blob_key(f"{self.name}\n{self.tier}", self.etag)

    @property
    def order(self) -> tuple[datetime, datetime, str]:
        """Return the order in which files are taken: files that failed are last, so that no other waits for them."""
        return self.failed, self.modified, self.name


def copy_of(version: str) -> str:
    """Return the path of a file's copy in the container."""
    return f"{FILES}/{version}/data.csv"


def listing(blobs: ContainerClient, folder: str, contents: Contents, attempt: str, code_version: str) -> list[LeftFile]:
    """Return the CSV files of an input folder, in the order in which runs take them.

    `contents` are the ledger's; `code_version` is the published version whose refusals hold.
    """
    files = []
    for blob in blobs.list_blobs(name_starts_with=f"{folder}/"):
        if not blob.name.endswith(_SUFFIX):
            continue
        version = contents.known.get(blob_key(blob.name, blob.etag))
        file = LeftFile(
            name=blob.name, etag=blob.etag, tier=str(blob.blob_tier or ""), size=blob.size,
            modified=blob.last_modified, version=version, scored=(version, attempt) in contents.scored,
            failed=contents.failed.get(version or "", _LONG_AGO),
        )  # fmt: skip
        files.append(replace(file, refused=(file.refused_as, attempt, code_version) in contents.refused))
    return sorted(files, key=lambda file: file.order)


def blob_key(name: str, etag: str) -> str:
    """Return the key of a blob. Listings have ETags without the quotes that headers have."""
    bare = etag.strip('"')
    return hashlib.sha256(f"{name}\n{bare}".encode("utf-8", "surrogateescape")).hexdigest()
