"""Runs as values: their states, their form in the Jobs API, their documents, and the end of a task on its driver."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from localcloud.core.database import Database
from localcloud.core.settings import Settings
from localcloud.databricks import store, workspace_objects
from localcloud.databricks.notebook_run import NotebookRun
from localcloud.databricks.run_states import Lifecycle, Outcome, combine, skipped
from localcloud.databricks.runs import Launch, Run, TaskRun, all_runs, find_run, find_run_everywhere
from localcloud.databricks.store import Documents

FAILED = Outcome("TERMINATED", "FAILED", "no", "RUN_EXECUTION_ERROR", "CLIENT_ERROR", error="no", error_trace="trace")


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    database = Database(tmp_path / "localcloud.db")
    store.create_schema(database)
    return Documents(database, "7405600000000001")


def task(key: str, run_id: int, **declared: Any) -> TaskRun:
    launch = Launch(
        run_as="app", pool_id=None, instances=1, spark_version="17.3.x-scala2.13", spark_conf={}, environment={},
        security_mode="SINGLE_USER",
    )  # fmt: skip
    return TaskRun(
        key=key, run_id=run_id, page_url=f"https://localhost/{run_id}", notebook={"notebook_path": "/n"},
        new_cluster={"spark_version": "17.3.x-scala2.13"}, cluster_id=f"c-{run_id}", declared=declared, launch=launch,
    )  # fmt: skip


def run(*tasks: TaskRun, single_task: bool = False) -> Run:
    return Run(
        run_id=1, job_id=2, creator="me", run_as="app", name="name", kind="SUBMIT_RUN", single_task=single_task,
        page_url="https://localhost/1", workspace_host="adb-1.1.azuredatabricks.net", tasks=list(tasks),
    )  # fmt: skip


def test_a_run_is_read_as_it_was_stored(documents: Documents) -> None:
    first, second = task("a", 11), task("b", 12, depends_on=[{"task_key": "a"}], run_if="ALL_DONE")
    stored = run(first, second)
    first.lifecycle.move("RUNNING", "In run")
    first.lifecycle.finish(FAILED)
    stored.save(documents)
    documents.put("task-run", "12", {"run_id": 1})

    assert all_runs(documents) == [stored]
    assert find_run(documents, 12) == (stored, second) == find_run_everywhere(documents.database, 12)
    assert find_run(documents, 1) == (stored, None)
    assert find_run(documents, 99) is None


def test_the_api_shows_no_private_field() -> None:
    only = task("main", 1, timeout_seconds=5)
    body = run(only, single_task=True).to_api()

    assert body["tasks"][0].keys() == {
        "task_key", "timeout_seconds", "notebook_task", "new_cluster", "cluster_instance", "attempt_number", "run_id",
        "run_page_url", "start_time", "end_time", "setup_duration", "execution_duration", "cleanup_duration", "state",
        "status",
    }  # fmt: skip
    assert (body["format"], body["task"], body["cluster_instance"]) == (
        "SINGLE_TASK", {"notebook_task": {"notebook_path": "/n"}}, {"cluster_id": "c-1"},
    )  # fmt: skip
    assert "run_duration" not in body, "it is not over"


def test_a_finished_run_has_both_forms_of_its_state() -> None:
    lifecycle = Lifecycle()
    assert lifecycle.to_api()["status"] == {"state": "PENDING"}
    lifecycle.finish(Outcome.canceled())

    body = lifecycle.to_api()
    assert body["state"] == {
        "life_cycle_state": "TERMINATED", "result_state": "CANCELED", "state_message": "Run cancelled.",
        "user_cancelled_or_timedout": True,
    }  # fmt: skip
    details = {"code": "USER_CANCELED", "type": "CLIENT_ERROR", "message": "Run cancelled."}
    assert body["status"] == {"state": "TERMINATED", "termination_details": details}
    assert body["run_duration"] == lifecycle.end_time - lifecycle.start_time


@pytest.mark.parametrize(
    ("run_if", "outcome", "result"),
    [
        ("ALL_SUCCESS", Outcome.succeeded(), None),
        ("ALL_SUCCESS", FAILED, "UPSTREAM_FAILED"),
        ("ALL_SUCCESS", Outcome.canceled(), "UPSTREAM_CANCELED"),
        ("ALL_DONE", FAILED, None),
    ],
)
def test_a_task_is_skipped_by_its_condition(run_if: str, outcome: Outcome, result: str | None) -> None:
    upstream = Lifecycle()
    upstream.finish(outcome)

    skip = skipped(run_if, [upstream])

    assert (skip and skip.result_state) == result


def test_a_run_has_the_result_of_its_first_failed_task() -> None:
    skip = Outcome("SKIPPED", "UPSTREAM_FAILED", "An upstream task failed.", "SKIPPED", "CLIENT_ERROR")
    outcome = combine({"a": Outcome.succeeded(), "b": FAILED, "c": skip}, None)

    assert (outcome.result_state, outcome.code) == ("FAILED", "RUN_EXECUTION_ERROR")
    assert outcome.message == ("Task b failed with message: no. This caused all downstream tasks to get skipped.")
    assert combine({"a": FAILED}, Outcome.timed_out()).result_state == "TIMEDOUT"
    assert combine({"a": Outcome.succeeded()}, Outcome.timed_out()).result_state == "SUCCESS"


def test_runs_of_the_earlier_form_are_dropped(documents: Documents) -> None:
    documents.put("run", "5", {"run_id": 5, "run_page_url": "https://localhost/5", "_": {}})
    run(task("a", 11)).save(documents)

    store.create_schema(documents.database)

    assert [item.run_id for item in all_runs(documents)] == [1]


class Driver:
    """A driver that fails to run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.killed = False
        folder.mkdir()
        (folder / "driver.log").write_text("the driver's log")

    async def run(self, *_: object) -> object:
        raise RuntimeError("the driver ended")

    async def kill(self) -> None:
        self.killed = True


class Credentials:
    """Storage and tokens of a run; the token cannot be revoked."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def open(self, *_: object) -> str:
        return "secret"

    def close(self, secret: str) -> None:
        self.closed.append(secret)

    def spark_conf(self, *_: object) -> dict[str, str]:
        return {}

    def grant(self, *_: object) -> str:
        return "token"

    def revoke(self, token: str) -> None:
        raise OSError(f"{token} cannot be revoked")


def test_a_failed_removal_does_not_prevent_others(documents: Documents, tmp_path: Path) -> None:
    workspace_objects.ensure_roots(documents)
    only, driver, credentials = task("a", 11), Driver(tmp_path / "driver"), Credentials()
    workspace = type("Workspace", (), {"documents": documents, "host": "h", "id": "1"})()
    caller = type("Caller", (), {"id": "1", "name": "app", "is_admin": True, "names": lambda self: frozenset()})()
    notebook_run = NotebookRun(
        settings=Settings(home=tmp_path / "home", cache=tmp_path / "cache"), storage=cast("Any", credentials),
        tokens=cast("Any", credentials), workspace=workspace, run=run(only), task=only, caller=caller,
        save=lambda: None,
    )  # fmt: skip

    with pytest.raises(OSError, match="token cannot be revoked"):
        asyncio.run(notebook_run.on(cast("Any", driver)))

    assert driver.killed and credentials.closed == ["secret"]
    assert not driver.folder.exists() and not (notebook_run.folder / "Workspace").exists()
    assert (notebook_run.folder / "driver.log").read_text() == "the driver's log"
