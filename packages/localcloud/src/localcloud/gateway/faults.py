"""Fault injection: Azure's failures, on demand. It is off by default.

A fault is JSON, such as {"host": "*.blob.core.windows.net", "method": "PUT", "status": 503, "count": 2}; see `Fault`.
LOCALCLOUD_FAULTS holds a list of them from the start; GET, POST (one) and DELETE (all) /_localcloud/faults on localhost
change them, with the deployer's token for Resource Manager.
"""

from __future__ import annotations

import asyncio
import fnmatch
import os
import random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localcloud.core.errors import ConfigurationError, ServiceError
from localcloud.core.local_routes import details_of, read_model
from localcloud.gateway.deployer import DeployerCheck

VARIABLE = "LOCALCLOUD_FAULTS"


class Fault(BaseModel):
    """One rule: the requests (host, path and method, with * and ?), and the fault.

    One of: an answer with `status` (and `code`, `retry_after` in seconds); `drop`, a connection that breaks before the
    request is served; `lose`, a connection that breaks after it, so that the client cannot know; `operation`, a
    long-running PUT or DELETE that is accepted and then fails (`path` is the resource's id); `delay` alone, in seconds,
    which may go with the others too.
    `count` is how many requests it hits (default: all), `rate` the share of them, above 0 to 1.
    """

    model_config = ConfigDict(extra="forbid")

    host: str = "*"
    path: str = "*"
    method: str = "*"
    status: int | None = Field(None, ge=400, le=599)
    code: str = "InjectedFault"
    retry_after: int | None = Field(None, ge=0)
    delay: float = Field(0, ge=0, le=600)
    drop: bool = False
    lose: bool = False
    operation: bool = False
    count: int | None = Field(None, ge=1)
    rate: float = Field(1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _one_kind(self) -> Fault:
        kinds = (self.status is not None, self.drop, self.lose, self.operation)
        if sum(kinds) > 1 or not (any(kinds) or self.delay):
            raise ValueError("give one of status, drop, lose, operation, or a delay")
        return self

    def matches(self, host: str, path: str, method: str) -> bool:
        pairs = ((self.host, host), (self.path, path), (self.method, method))
        return all(fnmatch.fnmatchcase(value.lower(), pattern.lower()) for pattern, value in pairs)


class Faults:
    """The rules in force."""

    def __init__(self, rules: list[Fault]) -> None:
        self._rules = rules

    @classmethod
    def from_environment(cls) -> Faults:
        """Read LOCALCLOUD_FAULTS. Raises ConfigurationError when it is not a list of faults."""
        text = os.environ.get(VARIABLE)
        if not text:
            return cls([])
        try:
            return cls(TypeAdapter(list[Fault]).validate_json(text))
        except ValidationError as error:
            raise ConfigurationError(f"{VARIABLE} is not a list of faults: {error}") from error

    async def serve(self, app: ASGIApp, scope: Scope, host: str, receive: Receive, send: Send) -> None:
        """Play the first fault that matches the request, and let the application answer where the fault does not."""
        fault = self._hit(host, scope["path"], scope["method"], operation=False)
        if fault is not None and fault.delay:
            await asyncio.sleep(fault.delay)
        if fault is None:
            await app(scope, receive, send)
        elif fault.drop:
            await _break(receive)
        elif fault.lose:
            await app(scope, receive, _unsent)
            await _break(receive)
        elif fault.status is None:
            await app(scope, receive, send)
        else:
            await _refuse(fault, fault.status, scope, receive, send)

    def check_operation(self, method: str, resource_id: str) -> None:
        """See core.context.Context."""
        fault = self._hit("management.azure.com", resource_id, method, operation=True)
        if fault is not None:
            raise ServiceError(500, fault.code, "Fault injection let this operation fail.")

    def _hit(self, host: str, path: str, method: str, *, operation: bool) -> Fault | None:
        """Return the first rule in force for a request, and count it."""
        for rule in self._rules:
            if rule.operation is operation and rule.matches(host, path, method):
                if random.random() > rule.rate:  # noqa: S311 -- chance, not a secret
                    return None
                if rule.count is not None:
                    rule.count -= 1
                    if rule.count == 0:
                        self._rules.remove(rule)
                return rule
        return None

    def render(self) -> list[dict[str, Any]]:
        return [rule.model_dump() for rule in self._rules]

    def add(self, rule: Fault) -> None:
        self._rules.append(rule)

    def clear(self) -> None:
        self._rules.clear()


async def _refuse(fault: Fault, status: int, scope: Scope, receive: Receive, send: Send) -> None:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    message = f"Fault injection answered {status}."
    body = {"error": {"code": fault.code, "message": message}, "error_code": fault.code, "message": message}
    await JSONResponse(body, status, headers)(scope, receive, send)


async def _unsent(message: Message) -> None:
    """Take a part of an answer that is lost."""


async def _break(receive: Receive) -> None:
    """End the connection with no answer. ASGI has no word for it: the transport is uvicorn's own."""
    cycle: Any = receive.__self__  # type: ignore[attr-defined]
    cycle.transport.abort()
    while (await receive())["type"] != "http.disconnect":
        continue


class FaultRoute:
    """/_localcloud/faults."""

    def __init__(self, faults: Faults, check: DeployerCheck) -> None:
        self._faults, self._check = faults, check

    async def answer(self, request: Request) -> Response:
        try:
            self._check(request.headers.get("authorization"))
            if request.method == "POST":
                self._faults.add(await read_model(request, Fault))
            elif request.method == "DELETE":
                self._faults.clear()
        except ServiceError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.status)
        except ValidationError as error:
            return JSONResponse(
                {"error": {"code": "InvalidFault", "message": str(error), "details": details_of(error)}}, 400
            )
        return JSONResponse({"faults": self._faults.render()})
