"""Runs workflows: as many at a time as their trigger allows, the others in the order in which they came."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.integration.logic import definitions
from localcloud.integration.logic.actions import HttpActions, Outcome
from localcloud.integration.logic.definitions import Action, Definition, Http, If, Terminate, Wait
from localcloud.integration.logic.expressions import EvaluationError, Scope
from localcloud.integration.logic.run_store import RunStore
from localcloud.integration.requests import Requests

_ACTION_FAILED = {"code": "ActionFailed", "message": "An action failed. No dependent actions succeeded."}
_log = logging.getLogger("localcloud.logic")


class Ended(Exception):
    """A run that an action ended."""

    def __init__(self, status: str, error: Json | None) -> None:
        super().__init__(status)
        self.status, self.error = status, error


@dataclass
class _Run:
    name: str
    workflow: Resource
    trigger_body: Any
    bodies: dict[str, Any] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        return Scope(self.trigger_body, self.bodies)


class Runner:
    """Starts runs, and stores their progress."""

    def __init__(self, ctx: Context, store: RunStore, requests: Requests) -> None:
        self._ctx, self._store = ctx, store
        self._http = HttpActions(ctx, requests)
        self._moved = asyncio.Event()
        ctx.clock.on_move.append(self._clock_moved)

    async def start(self) -> None:
        """End interrupted runs of a stopped localcloud, and continue waiting ones."""
        self._store.fail_interrupted()
        for workflow_id in self._store.waiting_workflows():
            self._continue(workflow_id)

    def submit(self, workflow: Resource, trigger_body: Any, tracking_id: str | None) -> str:
        """Take a request of the trigger; return the run's name. Raises ServiceError 429 when too many runs wait."""
        trigger = definitions.parse(workflow.properties["definition"]).trigger
        if trigger.concurrent is not None:
            running, waiting = (self._store.count(workflow.id, status) for status in ("Running", "Waiting"))
            if running >= trigger.concurrent and waiting >= trigger.waiting:
                raise ServiceError(
                    429,
                    "WorkflowRunWaitingLimitExceeded",
                    f"The number of waiting runs of the workflow '{workflow.name}' is at its limit, {trigger.waiting}.",
                    {"Retry-After": "10"},
                )
        name = self._store.add(workflow.id, trigger_body, tracking_id)
        self._continue(workflow.id)
        return name

    def forget(self, workflow_id: str) -> None:
        """Forget the runs of a workflow that is deleted."""
        self._store.forget(workflow_id)

    def _continue(self, workflow_id: str) -> None:
        """Begin waiting runs as far as the trigger allows."""
        workflow = self._ctx.resources.get(workflow_id)
        if workflow is None:
            self._store.forget(workflow_id)
            return
        definition = definitions.parse(workflow.properties["definition"])
        concurrent = definition.trigger.concurrent
        while concurrent is None or self._store.count(workflow.id, "Running") < concurrent:
            following = self._store.start_next(workflow.id)
            if following is None:
                return
            run = _Run(following[0], workflow, following[1])
            self._ctx.tasks.start(self._run(run, definition), f"workflow {workflow.name}")

    async def _run(self, run: _Run, definition: Definition) -> None:
        try:
            statuses = await self._sequence(run, definition.actions)
        except Ended as end:
            self._store.finish(run.name, end.status, end.error)
        except Exception:
            _log.exception("workflow %s, run %s", run.workflow.name, run.name)
            self._store.finish(run.name, "Failed", {"code": "InternalServerError", "message": "localcloud failed."})
        else:
            failed = _has_failed(definition.actions, statuses)
            self._store.finish(run.name, "Failed" if failed else "Succeeded", _ACTION_FAILED if failed else None)
        _log.info("workflow %s: run %s has ended", run.workflow.name, run.name)
        self._continue(run.workflow.id)

    async def _sequence(self, run: _Run, actions: tuple[Action, ...]) -> dict[str, str]:
        """Run actions, each after its predecessors; return their statuses."""
        statuses: dict[str, str] = {}
        for action in actions:
            if all(statuses[other] in cases for other, cases in action.run_after.items()):
                statuses[action.name] = await self._action(run, action)
            else:
                statuses[action.name] = "Skipped"
                self._skip(run, action, "The condition of the runAfter of the action is not met.")
        return statuses

    async def _action(self, run: _Run, action: Action) -> str:
        started = now()
        self._store.action(run.name, action.name, "Running", started)
        try:
            outcome = await self._work(run, action)
        except EvaluationError as error:
            message = f"Unable to process template language expressions in action '{action.name}' inputs: '{error}'."
            outcome = Outcome("Failed", "InvalidTemplate", {"code": "InvalidTemplate", "message": message})
        if outcome.body is not None:
            run.bodies[action.name] = outcome.body
        self._store.action(
            run.name, action.name, outcome.status, started,
            code=outcome.code, error=outcome.error, outputs=outcome.outputs,
        )  # fmt: skip
        return outcome.status

    async def _work(self, run: _Run, action: Action) -> Outcome:
        work = action.work
        if isinstance(work, Http):
            return await self._http.send(run.workflow, work, run.scope)
        if isinstance(work, Wait):
            await self._pause(work.seconds)
            return Outcome("Succeeded", "OK")
        if isinstance(work, If):
            return await self._branch(run, work)
        return self._terminate(run, action, work)

    async def _branch(self, run: _Run, work: If) -> Outcome:
        holds = work.condition(run.scope)
        if not isinstance(holds, bool):
            raise EvaluationError(f"The condition is {holds!r:.60}, neither true nor false.")
        taken, other = (work.then, work.otherwise) if holds else (work.otherwise, work.then)
        for action in other:
            self._skip(run, action, "The branch of the condition was not taken.")
        statuses = await self._sequence(run, taken)
        if _has_failed(taken, statuses):
            return Outcome("Failed", "ActionFailed", dict(_ACTION_FAILED))
        return Outcome("Succeeded", None)

    def _skip(self, run: _Run, action: Action, reason: str) -> None:
        error = {"code": "ActionSkipped", "message": reason}
        self._store.action(run.name, action.name, "Skipped", now(), code="ActionSkipped", error=error)
        if isinstance(action.work, If):
            for inner in (*action.work.then, *action.work.otherwise):
                self._skip(run, inner, reason)

    def _terminate(self, run: _Run, action: Action, work: Terminate) -> Outcome:
        error = {"code": work.code(run.scope) or "Terminated", "message": work.message(run.scope)}
        self._store.action(run.name, action.name, "Succeeded", now(), code="OK")
        raise Ended(work.status, error if work.status == "Failed" else None)

    def _clock_moved(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    async def _pause(self, seconds: float) -> None:
        """Wait by the clock that tests move."""
        end = self._ctx.clock.now().timestamp() + seconds
        while (left := end - self._ctx.clock.now().timestamp()) > 0:
            try:
                await asyncio.wait_for(self._moved.wait(), left)
            except TimeoutError:
                continue


def _has_failed(actions: tuple[Action, ...], statuses: dict[str, str]) -> bool:
    """Return whether an action failed that no other one took up."""
    taken_up = {
        other
        for action in actions
        for other, cases in action.run_after.items()
        if statuses[other] in cases and statuses[action.name] != "Skipped"
    }
    return any(status in {"Failed", "TimedOut"} and name not in taken_up for name, status in statuses.items())
