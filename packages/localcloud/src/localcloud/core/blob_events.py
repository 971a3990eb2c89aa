"""Blobs that clients created: reports of the storage frontend, and their listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class BlobCreated:
    """A blob that was created or replaced. `api` is the operation, such as PutBlob; `account_id` an ARM id.

    `time` is the operation's time, in ARM's form; `etag` has its quotes, as in a header. `lake`: the operation is one
    of Data Lake Storage's.
    """

    account_id: str
    time: str
    container: str
    blob: str
    api: str
    etag: str
    content_type: str
    content_length: int
    blob_type: str
    url: str
    request_id: str
    client_request_id: str | None
    lake: bool


class BlobListener(Protocol):
    """A service that wants to know of created blobs."""

    def wants(self, account_id: str) -> bool:
        """Return whether anything depends on the blobs of an account: called at each write."""
        ...

    def created(self, event: BlobCreated) -> None:
        """Take an event. Returns at once."""
        ...
