"""Long-running operations: the targets of Azure-AsyncOperation and Location.

Operations are kept in SQLite, so that a client may go on polling after a restart, which resumes active ones.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from localcloud.arm.wire import JsonResponse, error_body
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import now

if TYPE_CHECKING:
    from localcloud.core.context import Context


_SCHEMA = """
CREATE TABLE IF NOT EXISTS arm_operations (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    status TEXT NOT NULL,
    started TEXT NOT NULL,
    ended TEXT,
    error_status INTEGER,
    error TEXT,
    client TEXT NOT NULL,
    api_version TEXT NOT NULL
);
"""
_HOLD_SECONDS = 1.0
"""A poll waits this long for the end of an operation: clients poll at once, and then only after Retry-After."""
_log = logging.getLogger("localcloud.arm")


def duration() -> float:
    """LOCALCLOUD_OPERATION_SECONDS: least duration of creating and deleting. Default 0."""
    return float(os.environ.get("LOCALCLOUD_OPERATION_SECONDS", "0"))


@dataclass(frozen=True)
class Operation:
    """`kind` is "put", "delete" or "deleteGroup"; `client` the caller's object id."""

    id: str
    kind: str
    resource_id: str
    status: str
    started: str
    ended: str | None
    error_status: int | None
    error: Json | None
    client: str
    api_version: str


class Operations:
    """Starts, remembers and shows operations."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._running: dict[str, asyncio.Task[Any]] = {}
        ctx.database.script(_SCHEMA)

    def start(
        self,
        kind: str,
        resource_id: str,
        work: Callable[[], Awaitable[None]],
        *,
        client: str,
        api_version: str,
        seconds: float = 0,
    ) -> Operation:
        """Run `work` in the background after the configured duration, or after `seconds` if that is longer.

        A ServiceError of it becomes the operation's error.
        """
        id_ = str(uuid.uuid4())
        self._ctx.database.execute(
            "INSERT INTO arm_operations (id, kind, resource_id, status, started, client, api_version)"
            " VALUES (?, ?, ?, 'InProgress', ?, ?, ?)",
            (id_, kind, resource_id, now(), client, api_version),
        )
        self._launch(id_, kind, work, seconds)
        operation = self.get(id_)
        if operation is None:
            raise RuntimeError(f"operation {id_} was not kept")
        return operation

    def _launch(self, id_: str, kind: str, work: Callable[[], Awaitable[None]], seconds: float = 0) -> None:
        task = self._ctx.tasks.start(self._run(id_, work, seconds), f"{kind} {id_}")
        self._running[id_] = task
        task.add_done_callback(lambda _: self._running.pop(id_, None))

    def resume(self, restart: Callable[[Operation], Callable[[], Awaitable[None]]]) -> None:
        """Resume operations of a stopped process: `restart` returns the work of an operation again."""
        rows = self._ctx.database.query("SELECT id FROM arm_operations WHERE status = 'InProgress'")
        for row in rows:
            operation = self.get(row["id"])
            if operation is not None and operation.id not in self._running:
                self._launch(operation.id, operation.kind, restart(operation))

    async def _run(self, id_: str, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        await asyncio.sleep(max(duration(), seconds))
        try:
            await work()
        except ServiceError as error:
            self._finish(id_, "Failed", error)
        except Exception as error:
            _log.exception("operation %s failed", id_)
            self._finish(id_, "Failed", ServiceError(500, "InternalServerError", f"localcloud failed: {error!r}"))
        else:
            self._finish(id_, "Succeeded", None)

    def _finish(self, id_: str, status: str, error: ServiceError | None) -> None:
        self._ctx.database.execute(
            "UPDATE arm_operations SET status = ?, ended = ?, error_status = ?, error = ? WHERE id = ?",
            (
                status,
                now(),
                None if error is None else error.status,
                None if error is None else json.dumps(error_body(error)),
                id_,
            ),
        )

    def get(self, id_: str) -> Operation | None:
        row = self._ctx.database.row("SELECT * FROM arm_operations WHERE id = ?", (id_.lower(),))
        if row is None:
            return None
        return Operation(
            id=row["id"],
            kind=row["kind"],
            resource_id=row["resource_id"],
            status=row["status"],
            started=row["started"],
            ended=row["ended"],
            error_status=row["error_status"],
            error=json.loads(row["error"]) if row["error"] else None,
            client=row["client"],
            api_version=row["api_version"],
        )

    def under_way(self, kind: str, resource_id: str) -> Operation | None:
        """Return the running operation of a kind on a resource."""
        row = self._ctx.database.row(
            "SELECT id FROM arm_operations WHERE kind = ? AND lower(resource_id) = ? AND status = 'InProgress'",
            (kind, resource_id.lower()),
        )
        return None if row is None else self.get(row["id"])

    async def idle(self) -> None:
        """Wait until no operation is active."""
        while self._running:
            await asyncio.wait(set(self._running.values()))

    async def wait(self, id_: str) -> Operation:
        """Return the operation when it has ended or a second has passed. Raises ServiceError 404."""
        task = self._running.get(id_.lower())
        if task is not None:
            await asyncio.wait({task}, timeout=_HOLD_SECONDS)
        operation = self.get(id_)
        if operation is None:
            raise ServiceError(404, "NotFound", f"The operation '{id_}' was not found.")
        return operation

    def headers(
        self, operation: Operation, base_url: str, subscription: str, namespace: str, location: str
    ) -> dict[str, str]:
        """Return headers with the address to poll: for groups (empty namespace) a Location only, as in Azure."""
        suffix = f"{operation.id}?api-version={operation.api_version}"
        retry = {"Retry-After": str(max(1, min(15, round(duration()))))}
        if not namespace:
            return retry | {"Location": f"{base_url}/subscriptions/{subscription}/operationresults/{suffix}"}
        root = f"{base_url}/subscriptions/{subscription}/providers/{namespace}/locations/{location or 'global'}"
        return retry | {
            "Azure-AsyncOperation": f"{root}/operationStatuses/{suffix}",
            "Location": f"{root}/operationResults/{suffix}",
        }


def status_response(operation: Operation, path: str) -> Response:
    """Azure-AsyncOperation's body: 200 always, the outcome in `status`."""
    body: Json = {"id": path, "name": operation.id, "status": operation.status, "startTime": operation.started}
    if operation.ended:
        body["endTime"] = operation.ended
        body["percentComplete"] = 100.0
    if operation.error:
        body["error"] = operation.error
    headers = {} if operation.ended else {"Retry-After": str(max(1, min(15, round(duration()))))}
    return JsonResponse(body, 200, headers)
