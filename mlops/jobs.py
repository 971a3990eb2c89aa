"""Runs of the published pipeline: start one, find one, cancel one. What they are made of is in their inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from mlops.clients import Clients
from mlops.errors import RemoteError

EXPERIMENT = "diabetes-training"
ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
_LOOKED_AT = 1000
"""Of the newest jobs, to look for a run in."""


@dataclass(frozen=True)
class Job:
    """A pipeline run. `code` and `data` are the versions that it was started with."""

    name: str
    status: str
    code: str
    data: str
    page: str

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def look(clients: Clients, name: str) -> Job | None:
    found = clients.arm.get(f"{clients.workspace_id}/jobs/{name}")
    return None if found is None else _job(found)


def get(clients: Clients, name: str) -> Job:
    """Return the job. Raises RemoteError when there is none."""
    found = look(clients, name)
    if found is None:
        raise RemoteError(f"The run {name} is not there any more.")
    return found


def newest(clients: Clients) -> Job | None:
    """Return the newest run of the pipeline, in any state."""
    return next(_recent(clients), None)


def newest_completed(clients: Clients) -> Job | None:
    return next((job for job in _recent(clients) if job.status == "Completed"), None)


def find(clients: Clients, code: str, data: str) -> Job | None:
    """Return the newest run with these versions that completed or is under way."""
    for job in _recent(clients):
        if (job.code, job.data) == (code, data) and (job.status == "Completed" or not job.ended):
            return job
    return None


def start(clients: Clients, deployment: str, code: str, data: str, uri: str) -> Job:
    """Invoke the endpoint."""
    from azure.ai.ml import Input

    inputs = {"data_uri": uri, "data_version": data, "code_version": code}
    invoked = clients.ml.batch_endpoints.invoke(
        clients.outputs.batch_endpoint,
        deployment_name=deployment,
        inputs={name: Input(type="string", default=value) for name, value in inputs.items()},
        experiment_name=EXPERIMENT,
    )
    return get(clients, str(invoked.name))


def cancel(clients: Clients, name: str) -> None:
    clients.arm.post(f"{clients.workspace_id}/jobs/{name}/cancel")


def _recent(clients: Clients) -> Iterator[Job]:
    """Newest first, as Azure ML lists them."""
    listed = clients.arm.list(f"{clients.workspace_id}/jobs", jobType="Pipeline")
    for one in islice(listed, _LOOKED_AT):
        job = _job(one)
        if job.code:
            yield job


def _job(resource: dict[str, Any]) -> Job:
    properties = resource.get("properties") or {}
    inputs = properties.get("inputs") or {}
    services = properties.get("services") or {}
    return Job(
        name=str(resource["name"]),
        status=str(properties.get("status") or ""),
        code=_value(inputs.get("code_version")),
        data=_value(inputs.get("data_version")),
        page=str((services.get("Studio") or {}).get("endpoint") or ""),
    )


def _value(given: Any) -> str:
    return str(given.get("value") or "") if isinstance(given, dict) else ""
