"""Fault injection: what Azure does on a bad day, on demand. Off until someone asks for it.

A fault is JSON: {"host": "*.blob.core.windows.net", "path": "*", "method": "PUT", "status": 429, "retry_after": 1,
"code": "TooManyRequests", "delay": 0, "drop": false, "count": 2, "rate": 1.0}. LOCALCLOUD_FAULTS holds a list of them
from the start; GET, POST (one) and DELETE (all) /_localcloud/faults on localhost change them, with an ARM token.
"""

from __future__ import annotations

import asyncio
import fnmatch
import json
import os
import random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from localcloud.core.context import Identities
from localcloud.core.errors import ConfigurationError, ServiceError

VARIABLE = "LOCALCLOUD_FAULTS"


class Fault(BaseModel):
    """One rule. `count`: how many requests it hits (None: all); `rate`: the share of matching requests, 0 to 1."""

    model_config = ConfigDict(extra="forbid")

    host: str = "*"
    path: str = "*"
    method: str = "*"
    status: int | None = Field(None, ge=400, le=599)
    code: str = "InjectedFault"
    retry_after: int | None = Field(None, ge=0)
    delay: float = Field(0, ge=0, le=600, description="Seconds before the request is answered.")
    drop: bool = False
    count: int | None = Field(None, ge=1)
    rate: float = Field(1.0, gt=0, le=1)

    def matches(self, scope: Scope, host: str) -> bool:
        pairs = ((self.host, host), (self.path, scope["path"]), (self.method, scope["method"]))
        return all(fnmatch.fnmatch(value.lower(), pattern.lower()) for pattern, value in pairs)


class Faults:
    """The rules in force."""

    def __init__(self, rules: list[Fault]) -> None:
        self._rules = rules

    @classmethod
    def from_environment(cls) -> Faults:
        """Raises ConfigurationError when LOCALCLOUD_FAULTS is not a list of faults."""
        text = os.environ.get(VARIABLE)
        if not text:
            return cls([])
        try:
            return cls(TypeAdapter(list[Fault]).validate_json(text))
        except ValidationError as error:
            raise ConfigurationError(f"{VARIABLE} is not a list of faults: {error}") from error

    async def answer(self, scope: Scope, host: str, receive: Receive, send: Send) -> bool:
        """Play the first matching fault; True when the request is thereby answered."""
        if not self._rules:
            return False
        fault = next((rule for rule in self._rules if rule.matches(scope, host)), None)
        if fault is None or random.random() > fault.rate:  # noqa: S311
            return False
        if fault.count is not None:
            fault.count -= 1
            if fault.count == 0:
                self._rules.remove(fault)
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.drop:
            # A start without an end: uvicorn closes the connection, and the client sees it break.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
            raise ConnectionResetError("fault injection dropped the connection")
        if fault.status is None:
            return False
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        message = f"Fault injection answered {fault.status}."
        body = {"error": {"code": fault.code, "message": message}, "error_code": fault.code, "message": message}
        await JSONResponse(body, fault.status, headers)(scope, receive, send)
        return True

    def shown(self) -> list[dict[str, Any]]:
        return [rule.model_dump() for rule in self._rules]

    def add(self, rule: Fault) -> None:
        self._rules.append(rule)

    def clear(self) -> None:
        self._rules.clear()


class FaultRoute:
    """/_localcloud/faults."""

    def __init__(self, faults: Faults, identities: Identities, audiences: frozenset[str]) -> None:
        self._faults, self._identities, self._audiences = faults, identities, audiences

    async def answer(self, request: Request) -> Response:
        try:
            self._identities.authenticate(request.headers.get("authorization"), self._audiences)
            if request.method == "POST":
                self._faults.add(Fault.model_validate_json(await request.body()))
            elif request.method == "DELETE":
                self._faults.clear()
        except ServiceError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.status)
        except ValidationError as error:
            details = json.loads(error.json(include_url=False))
            return JSONResponse({"error": {"code": "InvalidFault", "message": str(error), "details": details}}, 400)
        return JSONResponse({"faults": self._faults.shown()})
