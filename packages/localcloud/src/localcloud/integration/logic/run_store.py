"""Runs of workflows and their actions in SQLite: the content of the run history."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

from localcloud.core.database import Database
from localcloud.core.json import Json
from localcloud.core.resource import now

WORKFLOW = "Microsoft.Logic/workflows"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS logic_runs (
    name TEXT PRIMARY KEY,
    workflow TEXT NOT NULL,
    status TEXT NOT NULL,
    trigger_body TEXT NOT NULL,
    client_tracking_id TEXT NOT NULL,
    queued TEXT NOT NULL,
    started TEXT,
    ended TEXT,
    error TEXT
);
CREATE TABLE IF NOT EXISTS logic_actions (
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    code TEXT,
    started TEXT NOT NULL,
    ended TEXT,
    error TEXT,
    outputs TEXT,
    tracking_id TEXT NOT NULL,
    PRIMARY KEY (run, name)
);
"""
ENDED = ("Succeeded", "Failed", "Cancelled", "TimedOut", "Skipped")


class RunStore:
    """Every run with its trigger's body; bodies are never shown by Resource Manager itself."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def add(self, workflow_id: str, trigger_body: Any, tracking_id: str | None) -> str:
        """Store a waiting run; return its name. Later runs have names that sort before earlier runs' names."""
        elapsed = int((datetime.now(UTC) - datetime(1, 1, 1, tzinfo=UTC)).total_seconds() * 10_000_000)
        name = f"{(1 << 63) - 1 - elapsed:020d}{uuid.uuid4().int % 10**10:010d}CU00"
        self._database.execute(
            "INSERT INTO logic_runs (name, workflow, status, trigger_body, client_tracking_id, queued)"
            " VALUES (?, ?, 'Waiting', ?, ?, ?)",
            (name, workflow_id.lower(), json.dumps(trigger_body), tracking_id or name, now()),
        )
        return name

    def count(self, workflow_id: str, status: str) -> int:
        """Return the number of a workflow's runs with a status."""
        row = self._database.row(
            "SELECT count(*) AS number FROM logic_runs WHERE workflow = ? AND status = ?", (workflow_id.lower(), status)
        )
        return 0 if row is None else int(row["number"])

    def start_next(self, workflow_id: str) -> tuple[str, Any] | None:
        """Let the run that waits longest begin; return its name and the trigger's body, None when none waits."""
        with self._database.transaction():
            row = self._database.row(
                "SELECT name, trigger_body FROM logic_runs WHERE workflow = ? AND status = 'Waiting'"
                " ORDER BY name DESC",
                (workflow_id.lower(),),
            )
            if row is None:
                return None
            self._database.execute(
                "UPDATE logic_runs SET status = 'Running', started = ? WHERE name = ?", (now(), row["name"])
            )
        return row["name"], json.loads(row["trigger_body"])

    def finish(self, name: str, status: str, error: Json | None) -> None:
        """Store the end of a run."""
        self._database.execute(
            "UPDATE logic_runs SET status = ?, ended = ?, error = ? WHERE name = ?",
            (status, now(), None if error is None else json.dumps(error), name),
        )

    def fail_interrupted(self) -> None:
        """End the interrupted runs of a stopped localcloud: the fate of their last request is unknown."""
        error = {"code": "RunInterrupted", "message": "localcloud stopped during the run."}
        for row in self._database.query("SELECT name FROM logic_runs WHERE status = 'Running'"):
            self.finish(row["name"], "Failed", error)

    def action(
        self, run: str, name: str, status: str, started: str, *,
        code: str | None = None, error: Json | None = None, outputs: Any = None,
    ) -> None:  # fmt: skip
        """Keep the state of an action."""
        self._database.execute(
            "INSERT OR REPLACE INTO logic_actions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run, name, status, code, started, now() if status in ENDED else None,
                None if error is None else json.dumps(error), None if outputs is None else json.dumps(outputs),
                str(uuid.uuid4()),
            ),
        )  # fmt: skip

    def runs(self, workflow_id: str) -> list[Json]:
        """Return the runs of a workflow, the newest first."""
        rows = self._database.query("SELECT * FROM logic_runs WHERE workflow = ? ORDER BY name", (workflow_id.lower(),))
        return [dict(row) for row in rows]

    def actions(self, run: str) -> list[Json]:
        """Return the actions of a run in the order in which they began."""
        rows = self._database.query("SELECT * FROM logic_actions WHERE run = ? ORDER BY started, rowid", (run,))
        return [dict(row) for row in rows]

    def waiting_workflows(self) -> list[str]:
        """Return the ids of the workflows that have waiting runs."""
        rows = self._database.query("SELECT DISTINCT workflow FROM logic_runs WHERE status = 'Waiting'")
        return [str(row["workflow"]) for row in rows]

    def forget(self, workflow_id: str) -> None:
        """Forget all runs of a deleted workflow."""
        for run in self.runs(workflow_id):
            self._database.execute("DELETE FROM logic_actions WHERE run = ?", (run["name"],))
        self._database.execute("DELETE FROM logic_runs WHERE workflow = ?", (workflow_id.lower(),))
