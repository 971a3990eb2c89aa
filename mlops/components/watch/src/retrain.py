"""Reaction to breaches: a training run or a work item, once for a row of scored files, and not too often."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from azure.storage.blob import ContainerClient
from content_copies import copy_by_content  # type: ignore[import-not-found]
from retraining_requests import Requests  # type: ignore[import-not-found]
from training_endpoint import TrainingEndpoint  # type: ignore[import-not-found]

from steps import retraining
from steps.file_names import printable
from steps.retraining import HOLD, Mode, Observation, Request, TrainingInput

_SUFFIX = ".csv"


@dataclass
class Retraining:
    """The requests of a model. `incoming` is the folder of new data, less the `others`, which are other pipelines'."""

    requests: Requests
    endpoint: TrainingEndpoint | None
    blobs: ContainerClient
    container_uri: str
    model: str
    incoming: str
    others: tuple[str, ...] = ()
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def follow(self, mode: Mode, observations: Sequence[Observation], windows: int, at_most_every: timedelta) -> str:
        """Carry out due reactions; return a sentence about them, or an empty text.

        Raises the errors of storage and of the endpoint: a later run carries out the pending requests.
        """
        known = self.requests.newest()
        newest, now = (None, self.clock()) if known is None else (known[0], self.clock())
        if known is not None and known[0].is_pending and mode == "on_drift":
            return self._take_over(known[0], known[1], now)
        due = retraining.breaching(observations, windows, newest.windows[-1] if newest else "")
        if not due:
            return ""
        if newest is not None and now < (earliest := retraining.not_before(newest, at_most_every)):
            return (
                f"{len(due)} files in a row breach a limit; {newest.name} was asked for, the next one not before "
                f"{earliest:%Y-%m-%dT%H:%MZ}"
            )
        if mode == "work_item":
            request = retraining.make(self.model, mode, due, newest, self.holder, now)
            created = self.requests.make(request)
            return f"{request.name} asks for a work item" if created is not None else ""
        return self._request_training(due, newest, now)

    def _request_training(self, due: Sequence[Observation], newest: Request | None, now: datetime) -> str:
        busy = self._endpoint.run_under_way()
        if busy is not None:
            return f"A retraining is due and waits: the training run {busy} is under way"
        data = self._new_data()
        if data is None or (newest is not None and newest.data is not None and newest.data.version == data.version):
            return f"A retraining is due, and there are no new data in {self.incoming} to train on"
        request = retraining.make(self.model, "on_drift", due, newest, self.holder, now, data)
        etag = self.requests.make(request)
        return "" if etag is None else self._start(request, etag)

    def _take_over(self, request: Request, etag: str, now: datetime) -> str:
        """Carry a request out whose maker was killed."""
        if now < request.held_until:
            return f"{request.name} is being carried out by another run"
        busy = self._endpoint.run_under_way()
        run = self._endpoint.run_of(request)
        if run is None and busy is not None:
            return f"{request.name} waits: the training run {busy} is under way"
        held = request.model_copy(update={"holder": self.holder, "held_until": now + HOLD, "run": run})
        own = self.requests.change(held, etag)
        if own is None:
            return f"{request.name} is being carried out by another run"
        return f"{request.name} had started run {run}" if run is not None else self._start(held, own)

    def _start(self, request: Request, etag: str) -> str:
        if self.clock() >= request.held_until - HOLD / 2:
            return f"{request.name} was not started in time, and is left to the next run"
        run = self._endpoint.start(request)
        self.requests.change(request.model_copy(update={"run": run}), etag)
        return f"{request.name} started run {run} on {request.data.name if request.data else ''}"

    @property
    def _endpoint(self) -> TrainingEndpoint:
        if self.endpoint is None:
            raise ValueError("retrain: on_drift needs an endpoint")
        return self.endpoint

    def _new_data(self) -> TrainingInput | None:
        """Copy the CSV file that others left last under the name of its content; None when there is none."""
        files = [
            blob
            for blob in self.blobs.list_blobs(name_starts_with=self.incoming)
            if blob.name.endswith(_SUFFIX) and blob.size and not blob.name.startswith(self.others or ("\0",))
        ]
        if not files:
            return None
        newest = max(files, key=lambda blob: (blob.last_modified, blob.name))
        version, _ = copy_by_content(self.blobs, newest.name, _path)
        uri = f"{self.container_uri.rstrip('/')}/{_path(version)}"
        return TrainingInput(uri=uri, version=version, name=printable(newest.name))


def _path(version: str) -> str:
    """Return where training data are, as mlops/training_data.py uploads them."""
    return f"data/{version}/data.csv"
