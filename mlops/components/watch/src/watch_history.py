"""The table of history: a file for each window, judgement and sent window, each made by one conditional write.

Files never change. A window's name follows from the entry of the ledger, so that a run that is killed after the write
and repeated finds the window, and makes no second one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TypeVar

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import ContainerClient

from steps.watch_results import WATCH_FOLDER, History, Judgement, LabelsReport, Window

_WINDOWS, _JUDGEMENTS, _LABELS, _SENT, _FOLLOWED = "windows", "judgements", "labels", "sent", "followed"
_Result = TypeVar("_Result", Window, Judgement, LabelsReport)


class WatchHistory:
    """The history of a model."""

    def __init__(self, blobs: ContainerClient, model: str) -> None:
        self._blobs = blobs
        self._folder = f"{WATCH_FOLDER}/{model}"

    def names(self) -> list[str]:
        """Return the ids of all windows, the oldest first."""
        return self._names(_WINDOWS)

    def window(self, name: str) -> Window | None:
        """Return a window by its id, None when there is none."""
        return self._read(Window, f"{_WINDOWS}/{name}")

    def add(self, window: Window) -> Window:
        """Add a window unless it is there; return the valid one."""
        return self._make(window, f"{_WINDOWS}/{window.id}")

    def judge(self, judgement: Judgement) -> Judgement:
        """Add the judgement of a window unless it is there; return the valid one."""
        return self._make(judgement, f"{_JUDGEMENTS}/{judgement.window}")

    def read(self, number: int) -> History:
        """Return the newest windows, up to a number, and their judgements."""
        names = self.names()[-number:]
        judged = set(self._names(_JUDGEMENTS))
        windows = [self._read(Window, f"{_WINDOWS}/{name}") for name in names]
        judgements = [self._read(Judgement, f"{_JUDGEMENTS}/{name}") for name in names if name in judged]
        return History(
            [window for window in windows if window is not None],
            {judgement.window: judgement for judgement in judgements if judgement is not None},
        )

    def labels(self, content: str) -> LabelsReport | None:
        """Return how a state of the labels, by its ETag, fits; None before it is judged."""
        return self._read(LabelsReport, f"{_LABELS}/{_hash(content)}")

    def add_labels(self, report: LabelsReport) -> LabelsReport:
        """Add a state of the labels unless it is there; return the report that counts."""
        return self._make(report, f"{_LABELS}/{_hash(report.content)}")

    def unsent(self, results: Iterable[Window | Judgement]) -> Sequence[Window | Judgement]:
        """Return the results without a record that their metrics were sent."""
        sent = set(self._names(_SENT))
        return [result for result in results if _sent_name(result) not in sent]

    def mark_sent(self, result: Window | Judgement) -> None:
        """Say that the metrics of a result were sent."""
        try:
            self._blobs.upload_blob(self._path(f"{_SENT}/{_sent_name(result)}"), b"{}", overwrite=False)
        except ResourceExistsError:
            return

    def note_followed(self, run: str, text: str) -> None:
        """Store a scoring run's reactions to breaches, for its followers."""
        self._blobs.upload_blob(self._path(f"{_FOLLOWED}/{run}"), json.dumps({"text": text}).encode(), overwrite=True)

    def followed(self, run: str) -> str:
        """Return a scoring run's reactions to breaches, as a sentence without its full stop, or an empty text."""
        try:
            content = self._blobs.download_blob(self._path(f"{_FOLLOWED}/{run}")).readall()
        except ResourceNotFoundError:
            return ""
        return str(json.loads(content)["text"])

    def _names(self, kind: str) -> list[str]:
        root = f"{self._folder}/{kind}/"
        listed = self._blobs.list_blob_names(name_starts_with=root)
        return sorted(name.removeprefix(root).removesuffix(".json") for name in listed if name.endswith(".json"))

    def _read(self, kind: type[_Result], name: str) -> _Result | None:
        try:
            content = self._blobs.download_blob(self._path(name)).readall()
        except ResourceNotFoundError:
            return None
        return kind.model_validate_json(content)

    def _make(self, result: _Result, name: str) -> _Result:
        content = result.model_dump_json(indent=2).encode()
        try:
            # One request writes it, so that no half of a file can be left behind.
            self._blobs.upload_blob(self._path(name), content, overwrite=False)
        except ResourceExistsError:
            # It may be this one: where the answer to the request is lost, the client sends it again.
            present = self._read(type(result), name)
            if present is None:
                raise
            return present
        return result

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}.json"


def _sent_name(result: Window | Judgement) -> str:
    return f"{result.id}.window" if isinstance(result, Window) else f"{result.window}.labels"


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]
