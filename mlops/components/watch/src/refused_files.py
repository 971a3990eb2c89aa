"""Files that were refused as a whole: they are windows too, since missing data would be overlooked otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import PurePosixPath

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient
from ledger import FOLDER, SAMPLE, Refusal  # type: ignore[import-not-found]

from steps.specification import Specification
from steps.watch_results import Window, window_id
from steps.watching import refused_file

_REFUSAL = re.compile(r"([^/_][^/]*)/_refused/([^/]+)/([^/]+)\.json")


def unwatched_refusals(
    blobs: ContainerClient, specified: Specification, watched: Sequence[str], own: Sequence[Refusal], since: datetime
) -> Iterator[Window]:
    """Yield a judged window for each refusal that has none.

    `watched` has ids of windows. `own` are refusals of the run; for other runs, refusals since a moment are read.
    """
    root = f"{FOLDER}/{specified.model}/"
    seen = {name.rpartition("-")[2] for name in watched}
    refusals = {_id(refusal): refusal for refusal in own}
    for blob in blobs.list_blobs(name_starts_with=root):
        named = _REFUSAL.fullmatch(blob.name.removeprefix(root))
        if named is None or blob.last_modified < since:
            continue
        # A window's name ends with the key of the refusal: no refusal is read for it.
        if window_id(datetime.now(UTC), named[1], _attempt(named[3], named[2])).rpartition("-")[2] not in seen:
            try:
                refusal = read_refusal(json.loads(blobs.download_blob(blob.name).readall()))
            except ResourceNotFoundError:  # deleted meanwhile, by the stack's lifecycle rules
                continue
            refusals[_id(refusal)] = refusal
    for name, refusal in sorted(refusals.items()):
        if name not in watched and not refusal.attempt.startswith(SAMPLE):
            yield refused_file(_window(name, refusal), specified, refusal.reason)


def read_refusal(content: dict[str, object]) -> Refusal:
    """Return a refusal of the ledger; fields of a later version are left out."""
    known = {field.name for field in fields(Refusal)}
    return Refusal(**{name: value for name, value in content.items() if name in known})


def _id(refusal: Refusal) -> str:
    attempt = _attempt(refusal.attempt, refusal.code_version)
    return window_id(datetime.fromisoformat(refusal.refused_at), refusal.file_version, attempt)


def _attempt(attempt: str, code_version: str) -> str:
    """Return the part of a window's name that replaces the attempt: the file may be scored in that attempt later."""
    return f"{attempt}/refused/{code_version}"


def _window(name: str, refusal: Refusal) -> Window:
    return Window(
        id=name, model=refusal.model, model_version=refusal.model_version, run=refusal.run, attempt=refusal.attempt,
        file_name=refusal.file_name, file_version=refusal.file_version,
        output=str(PurePosixPath(refusal.quarantine).parent), scored_at=datetime.fromisoformat(refusal.refused_at),
        watched_at=datetime.now(UTC), rows_read=refusal.rows_read, rows_scored=0, rows_refused=refusal.rows_refused,
        verdict="breach",
    )  # fmt: skip
