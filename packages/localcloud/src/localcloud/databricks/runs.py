"""Runs and their tasks: the values that the service keeps, and the form in which the Jobs API shows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import TypeAdapter

from localcloud.core.database import Database
from localcloud.core.json import Json
from localcloud.databricks.run_states import Lifecycle
from localcloud.databricks.store import Documents, find_everywhere


@dataclass(frozen=True, kw_only=True)
class Launch:
    """The identity and the cluster that a task is run with. `run_as` is the application id of a service principal."""

    run_as: str
    pool_id: str | None
    instances: int
    spark_version: str
    spark_conf: dict[str, str]
    environment: dict[str, str]
    security_mode: str | None


@dataclass(kw_only=True)
class TaskRun:
    """A task of a run, which has a run id of its own.

    `declared` has the task's optional fields as sent: depends_on, description, run_if, timeout_seconds.
    """

    key: str
    run_id: int
    page_url: str
    notebook: Json
    new_cluster: Json
    cluster_id: str
    declared: Json
    launch: Launch
    lifecycle: Lifecycle = field(default_factory=Lifecycle)

    @property
    def upstream_keys(self) -> list[str]:
        """The keys of the tasks that this one depends on."""
        return [str(dependency.get("task_key")) for dependency in self.declared.get("depends_on") or ()]

    @property
    def run_if(self) -> str:
        """The condition on the tasks that this one depends on."""
        return str(self.declared.get("run_if", "ALL_SUCCESS"))

    @property
    def timeout_seconds(self) -> int | None:
        """The limit, None when there is none."""
        return self.declared.get("timeout_seconds") or None

    def to_api(self) -> Json:
        """Return the task as an entry of its run's `tasks`."""
        return {
            "task_key": self.key,
            **self.declared,
            "notebook_task": self.notebook,
            "new_cluster": self.new_cluster,
            "cluster_instance": {"cluster_id": self.cluster_id},
            "attempt_number": 0,
            "run_id": self.run_id,
            "run_page_url": self.page_url,
            **self.lifecycle.to_api(),
        }


@dataclass(kw_only=True)
class Run:
    """A run. With `single_task` it was submitted in the older form, and shares its run id with its one task."""

    run_id: int
    job_id: int
    creator: str
    run_as: str
    name: str
    kind: str
    single_task: bool
    page_url: str
    workspace_host: str
    tasks: list[TaskRun]
    timeout_seconds: int = 0
    lifecycle: Lifecycle = field(default_factory=Lifecycle)

    def task(self, run_id: int) -> TaskRun | None:
        """Return the task with that run id."""
        return next((task for task in self.tasks if task.run_id == run_id), None)

    def to_api(self) -> Json:
        """Return the run as jobs/runs/get shows it."""
        body = self._shared() | {
            "run_id": self.run_id,
            "original_attempt_run_id": self.run_id,
            "run_as_user_name": self.run_as,
            "run_page_url": self.page_url,
            **self.lifecycle.to_api(),
            "tasks": [task.to_api() for task in self.tasks],
        }
        if self.single_task:
            only = self.tasks[0]
            body["task"] = {"notebook_task": only.notebook}
            body["cluster_spec"] = {"new_cluster": only.new_cluster}
            body["cluster_instance"] = {"cluster_id": only.cluster_id}
        return body

    def task_to_api(self, task: TaskRun) -> Json:
        """Return a task's run as a run of its own."""
        body = self._shared() | task.to_api() | {"original_attempt_run_id": task.run_id}
        body["task"] = {"notebook_task": body.pop("notebook_task")}
        body["cluster_spec"] = {"new_cluster": body.pop("new_cluster")}
        body["run_name"] = self.name if self.single_task else task.key
        return body

    def save(self, documents: Documents) -> None:
        """Store the run in its current state."""
        documents.put("run", str(self.run_id), _RUN.dump_python(self, mode="json"))

    def _shared(self) -> Json:
        return {
            "job_id": self.job_id,
            "number_in_job": self.run_id,
            "creator_user_name": self.creator,
            "run_name": self.name,
            "run_type": self.kind,
            "trigger": "ONE_TIME",
            "format": "SINGLE_TASK" if self.single_task else "MULTI_TASK",
        }


_RUN = TypeAdapter(Run)


def all_runs(documents: Documents) -> list[Run]:
    """Return the workspace's runs, oldest first."""
    return [_RUN.validate_python(document) for document in documents.all("run")]


def find_run(documents: Documents, run_id: int) -> tuple[Run, TaskRun | None] | None:
    """Return the run, and its task when the run id is a task's."""
    link = documents.get("task-run", str(run_id))
    document = documents.get("run", str(link["run_id"] if link else run_id))
    if document is None:
        return None
    run = _RUN.validate_python(document)
    return run, run.task(run_id)


def find_submitted(database: Database, token: str) -> Run | None:
    """Return the run of any workspace that was submitted with an idempotency token."""
    located = find_everywhere(database, "token", token)
    if located is None:
        return None
    run = find_run(Documents(database, located[0]), int(located[1]["run_id"]))
    return None if run is None else run[0]


def find_run_everywhere(database: Database, run_id: int) -> tuple[Run, TaskRun | None] | None:
    """Return the run of any workspace, and its task when the run id is a task's."""
    located = find_everywhere(database, "task-run", str(run_id)) or find_everywhere(database, "run", str(run_id))
    return None if located is None else find_run(Documents(database, located[0]), run_id)
