"""The requests of a model for retraining: numbered files, which conditional writes make and change."""

from __future__ import annotations

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from steps.retraining import Request
from steps.watch_results import WATCH_FOLDER

_REQUESTS = "requests"


class Requests:
    """The requests of a model."""

    def __init__(self, blobs: ContainerClient, model: str) -> None:
        self._blobs = blobs
        self._folder = f"{WATCH_FOLDER}/{model}/{_REQUESTS}"

    def newest(self) -> tuple[Request, str] | None:
        """Return the newest request and its ETag, None when there is none."""
        names = [
            name for name in self._blobs.list_blob_names(name_starts_with=f"{self._folder}/") if name.endswith(".json")
        ]
        return self._read(max(names)) if names else None

    def all(self) -> list[Request]:
        """Return all requests, the oldest first."""
        names = sorted(self._blobs.list_blob_names(name_starts_with=f"{self._folder}/"))
        requests = [self._read(name) for name in names if name.endswith(".json")]
        return [known[0] for known in requests if known is not None]

    def make(self, request: Request) -> str | None:
        """Make a request; return its ETag, None when another one has its number."""
        path = self._path(request.number)
        try:
            blob = self._blobs.get_blob_client(path).upload_blob(_content(request), overwrite=False)
        except ResourceExistsError:
            # It may be this one: where the answer to the request is lost, the client sends it again.
            present = self._read(path)
            return present[1] if present is not None and present[0].holder == request.holder else None
        return str(blob["etag"])

    def change(self, request: Request, etag: str) -> str | None:
        """Write a request in place of the one with the ETag; return the new one, None when another run did so."""
        path = self._path(request.number)
        try:
            changed = self._blobs.get_blob_client(path).upload_blob(
                _content(request), overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified
            )
        except ResourceModifiedError:
            present = self._read(path)
            return present[1] if present is not None and present[0] == request else None
        return str(changed["etag"])

    def _read(self, path: str) -> tuple[Request, str] | None:
        try:
            download = self._blobs.download_blob(path)
            return Request.model_validate_json(download.readall()), str(download.properties.etag)
        except ResourceNotFoundError:
            return None

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:06}.json"


def _content(request: Request) -> bytes:
    return request.model_dump_json(indent=2).encode()
