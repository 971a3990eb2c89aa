"""Copies of a stack's state: the engine's backups and history, and earlier versions of the state's blob.

Scope: reading only. The layout is Pulumi's DIY backend with projects (`.pulumi/meta.yaml` version 1); a blob may be
compressed. Source: pulumi/pulumi pkg/backend/diy/store.go and state.go (backupStack, addToHistory).
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobProperties, ContainerClient

_TIMESTAMP = re.compile(r"[.-](\d{19})\.")
_NEWEST = 30


class DamagedError(Exception):
    """A text is no state of the stack; the message has the reason."""


@dataclass(frozen=True)
class Checkpoint:
    """A copy of the state. `id` names it on the command line; `damage` is the reason why it cannot be used, if any."""

    id: str
    time: datetime
    content: bytes
    resources: int = 0
    pending: int = 0
    damage: str = ""


def parse(content: bytes, project: str, stack: str) -> dict[str, Any]:
    """Return the deployment in a checkpoint of the stack. Raises DamagedError."""
    if not content.strip():
        raise DamagedError("it is empty")
    try:
        document = json.loads(gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)
    except (ValueError, EOFError, OSError) as error:
        raise DamagedError(f"it is not JSON: {error}") from error
    checkpoint = document.get("checkpoint") if isinstance(document, dict) else None
    if not isinstance(checkpoint, dict):
        raise DamagedError("it has no checkpoint")
    if checkpoint.get("stack") != f"organization/{project}/{stack}":
        raise DamagedError(f"it is a state of {checkpoint.get('stack')!r}")
    latest = checkpoint.get("latest")
    if latest is not None and not isinstance(latest, dict):
        raise DamagedError("its deployment is not an object")
    resources = (latest or {}).get("resources") or []
    if not isinstance(resources, list) or not all(
        isinstance(resource, dict) and resource.get("urn") for resource in resources
    ):
        raise DamagedError("its resources are not a list of resources with URNs")
    return latest or {}


@dataclass(frozen=True)
class StateContainer:
    """The blob container with the states of an environment, for one stack of one project."""

    client: ContainerClient
    project: str
    stack: str

    def state_name(self) -> str:
        """Return the name of the state's existing blob, compressed or not."""
        plain = self._path("stacks", f"{self.stack}.json")
        compressed = f"{plain}.gz"
        return compressed if self.client.get_blob_client(compressed).exists() else plain

    def locks(self) -> list[str]:
        """Return the names of the locks that engines hold on the stack."""
        prefix = f".pulumi/locks/organization/{self.project}/{self.stack}/"
        return [blob.name for blob in self.client.list_blobs(name_starts_with=prefix)]

    def current(self) -> tuple[Checkpoint | None, str]:
        """Return the state and its ETag; None and an empty text when there is no blob."""
        try:
            downloaded = self.client.download_blob(self.state_name())
        except ResourceNotFoundError:
            return None, ""
        properties = downloaded.properties
        return self._checkpoint("current", properties.last_modified, downloaded.readall()), str(properties.etag)

    def earlier(self, newest: int = _NEWEST) -> list[Checkpoint]:
        """Return the newest copies, newest first. Copies with the same content appear once, under the first id."""
        distinct: dict[bytes, Checkpoint] = {}
        candidates = sorted(self._candidates(), key=lambda candidate: candidate[1], reverse=True)
        for id_, time, blob in candidates[:newest]:
            version = {"version_id": blob.version_id} if id_.startswith("version-") else {}
            content = self.client.download_blob(blob.name, **version).readall()
            distinct.setdefault(content, self._checkpoint(id_, time, content))
        return list(distinct.values())

    def _candidates(self) -> Iterator[tuple[str, datetime, BlobProperties]]:
        for kind in ("backups", "history"):
            for blob in self.client.list_blobs(name_starts_with=self._path(kind, f"{self.stack}/{self.stack}")):
                stamp = _TIMESTAMP.search(blob.name.rsplit("/", 1)[-1])
                if stamp and ".history." not in blob.name:
                    yield f"{kind}-{stamp[1]}", datetime.fromtimestamp(int(stamp[1]) / 1e9, UTC), blob
        state = self._path("stacks", f"{self.stack}.json")
        for blob in self.client.list_blobs(name_starts_with=state, include=["versions"]):
            suffix = blob.name.removeprefix(state)
            if suffix in {".bak", ".gz.bak", ".bak.gz"} and (blob.is_current_version or not blob.version_id):
                yield "copy", blob.last_modified, blob
            elif suffix in {"", ".gz"} and blob.version_id and not blob.is_current_version:
                yield f"version-{blob.version_id}", blob.last_modified, blob

    def _checkpoint(self, id_: str, time: datetime, content: bytes) -> Checkpoint:
        try:
            deployment = parse(content, self.project, self.stack)
        except DamagedError as error:
            return Checkpoint(id_, time, content, damage=str(error))
        pending = len(deployment.get("pending_operations") or [])
        return Checkpoint(id_, time, content, len(deployment.get("resources") or []), pending)

    def _path(self, kind: str, name: str) -> str:
        return f".pulumi/{kind}/{self.project}/{name}"
