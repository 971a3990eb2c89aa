"""The states of runs and of their tasks, in both forms: `state` (2.0) and `status` (2.2)."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.core.json import Json
from localcloud.databricks.request import now_ms

OVER = frozenset({"TERMINATED", "SKIPPED", "INTERNAL_ERROR"})
FAILED_MESSAGE = "Workload failed, see run output for details"


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `code` and `type` are those of status.termination_details."""

    life_cycle_state: str
    result_state: str
    message: str
    code: str
    type: str
    value: str | None = None
    truncated: bool = False
    error: str | None = None
    error_trace: str | None = None

    @classmethod
    def of_driver(cls, event: Json) -> Outcome:
        if event["result"] == "SUCCESS":
            return cls(
                "TERMINATED", "SUCCESS", "", "SUCCESS", "SUCCESS",
                value=event.get("value"), truncated=bool(event.get("truncated")),
            )  # fmt: skip
        if event["result"] == "FAILED":
            return cls(
                "TERMINATED", "FAILED", FAILED_MESSAGE, "RUN_EXECUTION_ERROR", "CLIENT_ERROR",
                error=event["error"], error_trace=event["error_trace"],
            )  # fmt: skip
        return cls.internal_error(event["error"], "DRIVER_ERROR")

    @classmethod
    def internal_error(cls, message: str, code: str = "INTERNAL_ERROR") -> Outcome:
        kind = "INTERNAL_ERROR" if code in ("INTERNAL_ERROR", "DRIVER_ERROR") else "CLIENT_ERROR"
        return cls("INTERNAL_ERROR", "FAILED", message, code, kind, error=message)

    @classmethod
    def canceled(cls) -> Outcome:
        return cls("TERMINATED", "CANCELED", "Run cancelled.", "USER_CANCELED", "CLIENT_ERROR")

    @classmethod
    def timed_out(cls) -> Outcome:
        return cls("TERMINATED", "TIMEDOUT", "Run timed out", "CANCELED", "CLIENT_ERROR")


def begin(run: Json, state: str = "PENDING") -> None:
    run["start_time"] = now_ms()
    run["end_time"] = 0
    for name in ("setup_duration", "execution_duration", "cleanup_duration"):
        run[name] = 0
    move(run, state)


def move(run: Json, state: str, message: str = "") -> None:
    """PENDING, BLOCKED, RUNNING or TERMINATING. Notes the time when the run began to run."""
    run["state"] = {"life_cycle_state": state, "state_message": message, "user_cancelled_or_timedout": False}
    run["status"] = {"state": state}
    if state == "RUNNING":
        run["setup_duration"] = now_ms() - run["start_time"]


def finish(run: Json, outcome: Outcome) -> None:
    """The end: durations in milliseconds; `_outcome` keeps what get-output shows."""
    run["end_time"] = now_ms()
    total = run["end_time"] - run["start_time"]
    run["run_duration"] = total
    if run["setup_duration"]:
        run["execution_duration"] = max(total - run["setup_duration"], 0)
    run["state"] = {
        "life_cycle_state": outcome.life_cycle_state,
        "result_state": outcome.result_state,
        "state_message": outcome.message,
        "user_cancelled_or_timedout": outcome.result_state in ("CANCELED", "TIMEDOUT"),
    }
    run["status"] = {
        "state": "TERMINATED",
        "termination_details": {"code": outcome.code, "type": outcome.type, "message": outcome.message},
    }
    run["_"]["output"] = {
        "value": outcome.value,
        "truncated": outcome.truncated,
        "error": outcome.error,
        "error_trace": outcome.error_trace,
    }


def is_over(run: Json) -> bool:
    return run["state"]["life_cycle_state"] in OVER


def upstream(task: Json, needed: list[Json]) -> Outcome | None:
    """Why a task is not run, by its run_if; None when it is."""
    results = [item["state"].get("result_state") for item in needed]
    if task["_"]["run_if"] == "ALL_DONE" or all(result == "SUCCESS" for result in results):
        return None
    canceled = any(result in ("CANCELED", "UPSTREAM_CANCELED") for result in results)
    result = "UPSTREAM_CANCELED" if canceled else "UPSTREAM_FAILED"
    why = "was canceled" if canceled else "failed"
    return Outcome("SKIPPED", result, f"An upstream task {why}.", "SKIPPED", "CLIENT_ERROR")


def combine(tasks: list[Json], stopped: Outcome | None) -> Outcome:
    """The run's end from those of its tasks."""
    if stopped is not None and any(task["state"].get("result_state") != "SUCCESS" for task in tasks):
        return stopped
    failed = [
        task
        for task in tasks
        if task["state"].get("result_state") not in ("SUCCESS", "UPSTREAM_FAILED", "UPSTREAM_CANCELED")
    ]
    if not failed:
        return Outcome("TERMINATED", "SUCCESS", "", "SUCCESS", "SUCCESS")
    first = failed[0]
    state, details = first["state"], first["status"]["termination_details"]
    message = f"Task {first['task_key']} failed with message: {state['state_message']}."
    if len(tasks) > 1:
        message += " This caused all downstream tasks to get skipped."
    result = state["result_state"] if state["result_state"] in ("CANCELED", "TIMEDOUT") else "FAILED"
    return Outcome(state["life_cycle_state"], result, message, details["code"], details["type"])
