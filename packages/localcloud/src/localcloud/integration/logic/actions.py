"""The Http action: its sign-in with a managed identity, its attempts, and its part of the run history."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from localcloud.core.context import Context, Principal
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.integration.logic.definitions import Http
from localcloud.integration.logic.expressions import Scope
from localcloud.integration.requests import Requests

_TIMEOUT_SECONDS = 120.0
"""learn.microsoft.com/azure/logic-apps/logic-apps-limits-and-config, "Timeout duration": outbound synchronous call."""
_RETRIED = frozenset({408, 429})


@dataclass(frozen=True)
class Outcome:
    """End of an action. Its contents link shows `outputs`, other actions see `body`."""

    status: str
    code: str | None = None
    error: Json | None = None
    outputs: Json | None = None
    body: Any = None


class HttpActions:
    """Sends the requests of workflows."""

    def __init__(self, ctx: Context, requests: Requests) -> None:
        self._ctx, self._requests = ctx, requests

    async def send(self, workflow: Resource, action: Http, scope: Scope) -> Outcome:
        """Send a request, repeated by the action's policy, and return its result."""
        url, params = str(action.uri(scope)), {str(key): str(value) for key, value in action.queries(scope).items()}
        headers = {str(key): str(value) for key, value in action.headers(scope).items()}
        content = None if action.body is None else action.body(scope)
        body = (
            content.encode() if isinstance(content, str) else None if content is None else json.dumps(content).encode()
        )
        if body is not None and not isinstance(content, str):
            headers.setdefault("Content-Type", "application/json")
        if action.audience is not None:
            principal = _principal(self._ctx, workflow, action.identity)
            if principal is None:
                return _without_identity(workflow)
            headers["Authorization"] = f"Bearer {self._ctx.identities.issue_token(principal, action.audience)}"
        for delay in (*action.retry.delays, None):
            outcome, again = await self._attempt(action, url, params, headers, body)
            if not again or delay is None:
                return outcome
            await asyncio.sleep(delay)
        return outcome

    async def _attempt(
        self, action: Http, url: str, params: dict[str, str], headers: dict[str, str], body: bytes | None
    ) -> tuple[Outcome, bool]:
        """Return the outcome of one attempt, and whether another one may have a better one."""
        try:
            answer = await self._requests.send(
                action.method, url, headers=headers, body=body, params=params or None, seconds=_TIMEOUT_SECONDS
            )
        except httpx.HTTPError as error:
            reason = {"code": "BadRequest", "message": f"Http request failed: '{type(error).__name__}'."}
            return Outcome("Failed", "BadRequest", reason), True
        if answer.status_code == 202 and action.follows and "location" in answer.headers:
            missing = not_emulated("answers with 202 that are followed: set operationOptions to DisableAsyncPattern")
            return Outcome("Failed", missing.code, {"code": missing.code, "message": missing.message}), False
        content = _content(answer)
        outputs = {"statusCode": answer.status_code, "headers": _without_cookies(answer.headers), "body": content}
        code = HTTPStatus(answer.status_code).phrase.replace(" ", "")
        if answer.status_code < 400:
            return Outcome("Succeeded", code, None, outputs, content), False
        again = answer.status_code in _RETRIED or answer.status_code >= 500
        return Outcome("Failed", code, None, outputs, content), again


def _principal(ctx: Context, workflow: Resource, identity: str | None) -> Principal | None:
    """Return the identity that an action names, if the workflow has it; the system-assigned one where none is named."""
    block = workflow.identity or {}
    if identity is None:
        object_id = block.get("principalId")
    else:
        assigned = {id_.lower() for id_ in block.get("userAssignedIdentities") or {}}
        resource = ctx.resources.get(identity) if identity.lower() in assigned else None
        object_id = None if resource is None else resource.properties["principalId"]
    return None if object_id is None else ctx.identities.by_object_id(str(object_id))


def _without_identity(workflow: Resource) -> Outcome:
    code = "WorkflowManagedIdentityNotSpecified"
    message = f"The workflow '{workflow.name}' does not have managed identity enabled or the identity has been deleted."
    return Outcome("Failed", code, {"code": code, "message": message})


def _content(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _without_cookies(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "set-cookie"}
