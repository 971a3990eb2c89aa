"""The states of runs and of their tasks, in both forms: `state` (2.0) and `status` (2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from localcloud.core.json import Json
from localcloud.databricks.clock import now_ms

FAILED_MESSAGE = "Workload failed, see run output for details"
_UPSTREAM = ("UPSTREAM_FAILED", "UPSTREAM_CANCELED")


@dataclass(frozen=True)
class Outcome:
    """The end of a run. `code` and `type` are from status.termination_details."""

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
        """Return the outcome that a driver reports."""
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
    def succeeded(cls) -> Outcome:
        """Return the outcome of a run whose tasks all succeeded."""
        return cls("TERMINATED", "SUCCESS", "", "SUCCESS", "SUCCESS")

    @classmethod
    def internal_error(cls, message: str, code: str = "INTERNAL_ERROR") -> Outcome:
        """Return the outcome of a run that could not be run."""
        kind = "INTERNAL_ERROR" if code in ("INTERNAL_ERROR", "DRIVER_ERROR") else "CLIENT_ERROR"
        return cls("INTERNAL_ERROR", "FAILED", message, code, kind, error=message)

    @classmethod
    def canceled(cls) -> Outcome:
        """Return the outcome of a run that a client canceled."""
        return cls("TERMINATED", "CANCELED", "Run cancelled.", "USER_CANCELED", "CLIENT_ERROR")

    @classmethod
    def timed_out(cls) -> Outcome:
        """Return the outcome of a run that took longer than its limit."""
        return cls("TERMINATED", "TIMEDOUT", "Run timed out", "CANCELED", "CLIENT_ERROR")


@dataclass
class Lifecycle:
    """The state and the times of a run or of a task, in milliseconds. `outcome` is there when it is over."""

    state: str = "PENDING"
    message: str = ""
    start_time: int = field(default_factory=now_ms)
    end_time: int = 0
    setup_duration: int = 0
    execution_duration: int = 0
    outcome: Outcome | None = None

    @property
    def is_over(self) -> bool:
        """Whether the run has an outcome."""
        return self.outcome is not None

    @property
    def result(self) -> str | None:
        """The result state, None while there is none."""
        return None if self.outcome is None else self.outcome.result_state

    @property
    def shown_state(self) -> str:
        """The result state, and the life cycle state of a run that has none yet."""
        return self.result or self.state

    @property
    def run_duration(self) -> int | None:
        """Return the time from start to end, None while the run is not over."""
        return self.end_time - self.start_time if self.is_over else None

    def move(self, state: str, message: str = "") -> None:
        """Enter PENDING, BLOCKED, RUNNING or TERMINATING. Notes the time when the run begins to run."""
        self.state, self.message = state, message
        if state == "RUNNING":
            self.setup_duration = now_ms() - self.start_time

    def finish(self, outcome: Outcome) -> None:
        """Enter the outcome's state."""
        self.outcome, self.state, self.message = outcome, outcome.life_cycle_state, outcome.message
        self.end_time = now_ms()
        if self.setup_duration:
            self.execution_duration = max(self.end_time - self.start_time - self.setup_duration, 0)

    def to_api(self) -> Json:
        """Return the fields of runs and of tasks about their state."""
        state: Json = {"life_cycle_state": self.state, "state_message": self.message}
        status: Json = {"state": self.state}
        times: Json = {
            "start_time": self.start_time, "end_time": self.end_time, "setup_duration": self.setup_duration,
            "execution_duration": self.execution_duration, "cleanup_duration": 0,
        }  # fmt: skip
        if (outcome := self.outcome) is not None:
            state["result_state"] = outcome.result_state
            details = {"code": outcome.code, "type": outcome.type, "message": outcome.message}
            status = {"state": "TERMINATED", "termination_details": details}
            times["run_duration"] = self.run_duration
        state["user_cancelled_or_timedout"] = self.result in ("CANCELED", "TIMEDOUT")
        return times | {"state": state, "status": status}


def skipped(run_if: str, upstream: Sequence[Lifecycle]) -> Outcome | None:
    """Return the outcome of a task that is not run after the tasks it depends on; None when it is run."""
    results = [lifecycle.result for lifecycle in upstream]
    if run_if == "ALL_DONE" or all(result == "SUCCESS" for result in results):
        return None
    canceled = any(result in ("CANCELED", "UPSTREAM_CANCELED") for result in results)
    result = "UPSTREAM_CANCELED" if canceled else "UPSTREAM_FAILED"
    reason = "was canceled" if canceled else "failed"
    return Outcome("SKIPPED", result, f"An upstream task {reason}.", "SKIPPED", "CLIENT_ERROR")


def combine(outcomes: dict[str, Outcome], stopped: Outcome | None) -> Outcome:
    """Return a run's outcome from its tasks' outcomes, by task key in the run's order."""
    if stopped is not None and any(outcome.result_state != "SUCCESS" for outcome in outcomes.values()):
        return stopped
    for key, outcome in outcomes.items():
        if outcome.result_state not in ("SUCCESS", *_UPSTREAM):
            message = f"Task {key} failed with message: {outcome.message}."
            if len(outcomes) > 1:
                message += " This caused all downstream tasks to get skipped."
            result = outcome.result_state if outcome.result_state in ("CANCELED", "TIMEDOUT") else "FAILED"
            return Outcome(outcome.life_cycle_state, result, message, outcome.code, outcome.type)
    return Outcome.succeeded()
