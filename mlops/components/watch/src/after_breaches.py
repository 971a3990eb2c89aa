"""Actions of the step watch after breaches, from the inputs of the run."""

from __future__ import annotations

import json
from dataclasses import dataclass

from azure.core.credentials import TokenCredential
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import ContainerClient
from retrain import Retraining  # type: ignore[import-not-found]
from retraining_requests import Requests  # type: ignore[import-not-found]
from training_endpoint import TrainingEndpoint  # type: ignore[import-not-found]
from watch_history import WatchHistory  # type: ignore[import-not-found]

from steps.retraining import NONE, Observation
from steps.specification import Specification
from steps.watch_results import History

_MOST_WINDOWS = 4
"""Number of newest files to check for each file that has to breach a limit: some may not be judged."""


@dataclass(frozen=True)
class Place:
    """Targets of retrainings, as the pipeline was published: `others` are folders of other pipelines' new data."""

    container_uri: str
    endpoint_uri: str
    component: str
    experiment: str
    client_id: str
    incoming: str
    others: str


def observations(history: History) -> list[Observation]:
    """Return the scored files of a history, the oldest first, with the limits that inputs or outcomes breached."""
    return [
        Observation(
            window.id, history.is_judged(window), tuple(breach.message for breach in history.breaches(window))
        )
        for window in history.windows
    ]  # fmt: skip


def follow(
    specified: Specification, history: WatchHistory, blobs: ContainerClient, credential: TokenCredential, place: Place
) -> str:
    """Ask for a retraining or a work item where due; return a sentence about it, or an empty text.

    Raises the errors of storage and of the endpoint; a later run carries out the pending requests.
    """
    watch = specified.watch
    if watch is None or watch.retrain == "never":
        return ""
    endpoint = None
    if watch.retrain == "on_drift":
        if NONE in (place.endpoint_uri, place.client_id):
            raise ValueError("the stack had no identity that starts retrainings when the pipeline was published")
        invoker = ManagedIdentityCredential(client_id=place.client_id)
        endpoint = TrainingEndpoint(place.endpoint_uri, place.component, place.experiment, credential, invoker)
    retraining = Retraining(
        Requests(blobs, specified.model), endpoint, blobs, place.container_uri, specified.model, place.incoming,
        tuple(json.loads(place.others)),
    )  # fmt: skip
    seen = observations(history.read(_MOST_WINDOWS * watch.windows))
    return str(retraining.follow(watch.retrain, seen, watch.windows, watch.at_most_every))
