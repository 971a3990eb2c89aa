"""Runs: status and results of a job and of each step of a pipeline. Each has a row, selected by id or parent."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from localcloud.core.database import Database
from localcloud.core.json import Json
from localcloud.core.resource import now

TERMINAL = frozenset({"Completed", "Failed", "Canceled"})
_SCHEMA = """
CREATE TABLE IF NOT EXISTS azureml_runs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_key TEXT NOT NULL,
    id TEXT NOT NULL,
    parent TEXT,
    root TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (workspace_key, id)
);
CREATE INDEX IF NOT EXISTS azureml_runs_parent ON azureml_runs (workspace_key, parent);
"""


@dataclass
class Run:
    """A job or a step. Times are ARM's; `uri`s are azureml:// or https://."""

    id: str
    workspace_id: str
    kind: str
    """"pipeline" or "command"."""
    name: str
    """The step's name in its pipeline, the job's own name at the root."""
    root: str
    parent: str | None = None
    experiment: str = "Default"
    display_name: str = ""
    description: str | None = None
    hidden: bool = False
    status: str = "NotStarted"
    created: str = field(default_factory=now)
    started: str | None = None
    ended: str | None = None
    submitter: str = ""
    """Object id of the job's submitter."""
    compute: str | None = None
    """ARM id."""
    error: Json | None = None
    """{code, message, …} as run history shows it; "cause" is the last line of a failed command's log."""
    tags: dict[str, str] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    inputs: Json = field(default_factory=dict)
    """Inputs by name: {"type": "literal", "value"} or {"type", "uri", "mode"}."""
    outputs: Json = field(default_factory=dict)
    """Outputs by name: {"type", "uri", "mode", "asset_name", "asset_version"}."""
    spec: Json = field(default_factory=dict)
    """Plan of a command run: command, code, environment, variables, identity, timeout_seconds, component."""
    mlflow_run_id: str | None = None
    logs: list[str] = field(default_factory=list)
    """Log files in the run's artifacts, relative to their root."""
    process: Json | None = None
    """{"pid", "created"} of the running command."""
    states: list[list[str]] = field(default_factory=list)
    """[status, time] in order."""
    reused: str | None = None
    """Id of the earlier run whose outputs, logs and metrics are this one's."""
    number: int = 0
    revision: int = 0

    @property
    def over(self) -> bool:
        return self.status in TERMINAL

    @property
    def path(self) -> str:
        """Steps are named by it in errors, as in "/train"."""
        return str(self.spec.get("path") or f"/{self.name}")

    @property
    def origin(self) -> str:
        """Return the id of the run that made the outputs and logs: another's if the step was reused."""
        return self.reused or self.id

    @property
    def reason(self) -> str:
        """Return the error on one line: the cause of a command's failure, else the first line; "" without an error."""
        if self.error is None:
            return ""
        return str(self.error.get("cause") or str(self.error["message"]).partition("\n")[0])

    def move(self, status: str) -> None:
        """Note a new status and its time; terminal ones are final."""
        if self.over or status == self.status:
            return
        stamp = now()
        self.status = status
        self.revision += 1
        self.states.append([status, stamp])
        if status == "Running" and self.started is None:
            self.started = stamp
        if status in TERMINAL:
            self.ended = stamp

    def fail(self, code: str, message: str, **more: Any) -> None:
        """Note an error and end with the status Failed."""
        self.error = {"code": code, "message": message, **more}
        self.move("Failed")


class RunStore:
    """The table of runs.

    `get` returns the stored state; an active run is its scheduler's own object, saved by `save`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def add(self, run: Run) -> None:
        """Keep a new run. Raises ValueError when the workspace has a run of that id."""
        if self.get(run.workspace_id, run.id) is not None:
            raise ValueError(f"run {run.id} exists")
        self._database.execute(
            "INSERT INTO azureml_runs (workspace_key, id, parent, root, status, body) VALUES (?, ?, ?, ?, ?, ?)",
            (_key(run.workspace_id), run.id, run.parent, run.root, run.status, _body(run)),
        )
        run.number = self._row(run.workspace_id, run.id)["number"]

    def save(self, run: Run) -> None:
        self._database.execute(
            "UPDATE azureml_runs SET status = ?, body = ? WHERE workspace_key = ? AND id = ?",
            (run.status, _body(run), _key(run.workspace_id), run.id),
        )

    def get(self, workspace_id: str, id_: str) -> Run | None:
        row = self._row(workspace_id, id_)
        return None if row is None else _run(row)

    def children(self, workspace_id: str, parent: str) -> list[Run]:
        """Return the runs in the order of their creation."""
        rows = self._database.query(
            "SELECT number, body FROM azureml_runs WHERE workspace_key = ? AND parent = ? ORDER BY number",
            (_key(workspace_id), parent),
        )
        return [_run(row) for row in rows]

    def tree(self, workspace_id: str, root: str) -> list[Run]:
        """Return a job and everything below it."""
        rows = self._database.query(
            "SELECT number, body FROM azureml_runs WHERE workspace_key = ? AND root = ? ORDER BY number",
            (_key(workspace_id), root),
        )
        return [_run(row) for row in rows]

    def jobs(self, workspace_id: str) -> list[Run]:
        """Root runs, newest first."""
        rows = self._database.query(
            "SELECT number, body FROM azureml_runs WHERE workspace_key = ? AND parent IS NULL ORDER BY number DESC",
            (_key(workspace_id),),
        )
        return [_run(row) for row in rows]

    def unfinished(self) -> list[Run]:
        """Return the unfinished runs of all workspaces."""
        rows = self._database.query(
            "SELECT number, body FROM azureml_runs WHERE status NOT IN ('Completed', 'Failed', 'Canceled')"
            " ORDER BY number"
        )
        return [_run(row) for row in rows]

    def delete(self, workspace_id: str, root: str) -> None:
        """Forget a job and everything below it."""
        self._database.execute(
            "DELETE FROM azureml_runs WHERE workspace_key = ? AND root = ?", (_key(workspace_id), root)
        )

    def _row(self, workspace_id: str, id_: str) -> Any:
        return self._database.row(
            "SELECT number, body FROM azureml_runs WHERE workspace_key = ? AND id = ?", (_key(workspace_id), id_)
        )


def _key(workspace_id: str) -> str:
    return workspace_id.strip("/").lower()


def _body(run: Run) -> str:
    return json.dumps(asdict(run))


def _run(row: Any) -> Run:
    run = Run(**json.loads(row["body"]))
    run.number = row["number"]
    return run
