"""Runs of the published pipeline: start one, find one, cancel one. Their versions are in their inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from mlops import history
from mlops.clients import Clients
from mlops.errors import RemoteError
from steps.specification import RESERVED, Parameter, ParameterValue

ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
_MOST_RECENT = 1000
"""Maximum number of recent jobs to search for a matching run."""
_INPUT_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}
"""Azure ML's names; Python's bool is an int too, and therefore first."""


@dataclass(frozen=True)
class Job:
    """A pipeline run. `code` and `data` are the versions that it was started with."""

    name: str
    status: str
    code: str
    data: str
    page: str
    component: str = ""
    """ARM id of the pipeline component's version, where Azure ML shows it."""
    experiment: str = ""
    created: datetime | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    """All inputs by name, as text."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Run parameters by name, as text."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED


def get_job(clients: Clients, name: str) -> Job | None:
    """Return the job, None when there is none."""
    resource = clients.arm.get(f"{clients.workspace_id}/jobs/{name}")
    return None if resource is None else _job(resource)


def get(clients: Clients, name: str) -> Job:
    """Return the job. Raises RemoteError when there is none."""
    job = get_job(clients, name)
    if job is None:
        raise RemoteError(f"The run {name} is not there any more.")
    return job


def newest(clients: Clients) -> Job | None:
    """Return the newest run of the pipeline, in any state."""
    return next(recent(clients), None)


def newest_completed(clients: Clients) -> Job | None:
    return next((job for job in recent(clients) if job.status == "Completed"), None)


def find(clients: Clients, code: str, data: str, parameters: Mapping[str, ParameterValue] | None = None) -> Job | None:
    """Return the newest run with these versions and run parameters that completed or is under way.

    An omitted parameter has its default.
    """
    rules = clients.pipeline.specification.parameters
    expected = {name: rule.default for name, rule in rules.items()} | dict(parameters or {})
    for job in recent(clients):
        same = (job.code, job.data) == (code, data) and _parameters(job, rules) == expected
        if same and (job.status == "Completed" or not job.ended):
            return job
    return None


def start(
    clients: Clients, deployment: str, inputs: Mapping[str, ParameterValue], experiment: str | None = None
) -> Job:
    """Invoke the endpoint. Inputs of the pipeline that are left out keep their defaults.

    `experiment` is the training's if None.
    """
    from azure.ai.ml import Input

    invoked = clients.ml.batch_endpoints.invoke(
        clients.endpoint,
        deployment_name=deployment,
        inputs={name: Input(type=_input_type(value), default=value) for name, value in inputs.items()},
        experiment_name=experiment or clients.pipeline.experiment,
    )
    return get(clients, str(invoked.name))


def _input_type(value: ParameterValue) -> str:
    return next(name for kind, name in _INPUT_TYPES.items() if isinstance(value, kind))


def cancel(clients: Clients, name: str) -> None:
    clients.arm.post(f"{clients.workspace_id}/jobs/{name}/cancel")


def recent(clients: Clients) -> Iterator[Job]:
    """Yield the pipeline's training runs, newest first, as Azure ML lists them."""
    return (job for job in _listed(clients) if job.code and belongs_to(job, clients))


def recent_scorings(clients: Clients) -> Iterator[Job]:
    """Yield the pipeline's scoring runs, newest first."""
    return (job for job in _listed(clients) if scores(job, clients))


def of_all_kinds(clients: Clients) -> Iterator[Job]:
    """Yield the pipeline's runs, of training and scoring, newest first."""
    return (job for job in _listed(clients) if belongs_to(job, clients) or scores(job, clients))


def _listed(clients: Clients) -> Iterator[Job]:
    listed = clients.arm.list(f"{clients.workspace_id}/jobs", jobType="Pipeline")
    return map(_job, islice(listed, _MOST_RECENT))


def scores(job: Job, clients: Clients) -> bool:
    """Whether the run is a scoring run of the pipeline, by the rule of `belongs_to`."""
    if job.component:
        return f"/components/{clients.pipeline.scoring_component}/" in job.component
    return job.experiment == clients.pipeline.scoring_experiment


def belongs_to(job: Job, clients: Clients) -> bool:
    """Whether the run is a training run of the pipeline: by its pipeline component, or by its experiment without one.

    A batch endpoint may name the experiment after itself, regardless of the invocation.
    """
    if job.component:
        return f"/components/{clients.pipeline.component}/" in job.component
    return job.experiment in (clients.pipeline.experiment, clients.endpoint)


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
        component=str(properties.get("componentId") or ""),
        experiment=str(properties.get("experimentName") or ""),
        created=history.time((resource.get("systemData") or {}).get("createdAt")),
        inputs={name: _value(value) for name, value in inputs.items()},
        parameters={name: _value(value) for name, value in inputs.items() if name not in RESERVED},
    )


def _parameters(job: Job, rules: Mapping[str, Parameter]) -> dict[str, ParameterValue] | None:
    """Return the values of a run's parameters; None when they do not fit the rules of today."""
    try:
        return {name: rule.parse(job.parameters.get(name, str(rule.default))) for name, rule in rules.items()}
    except ValueError:
        return None


def _value(job_input: Any) -> str:
    return str(job_input.get("value") or "") if isinstance(job_input, dict) else ""
