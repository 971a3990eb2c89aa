"""Answers a job as its Databricks workspace does, and as Azure ML's endpoint for its identity.

Paths, bodies and error codes: docs.databricks.com/api, "Jobs", version 2.2. The identity's endpoint is at MSI_ENDPOINT
with MSI_SECRET, which azure-identity recognises as Azure ML's.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from tests.unit.http_service import Request, Response

Json = dict[str, Any]

RUN, TASK_RUN = 711, 712
SECRET = "the-endpoint-s-secret"
TOKEN = "eyJ.an-entra-token.x"
_SCOPE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"


def state(life: str, result: str | None = None, message: str = "") -> Json:
    """Return a run's state as the Jobs API has it."""
    return {"life_cycle_state": life, "state_message": message, **({"result_state": result} if result else {})}


@dataclass
class Workspace:
    """A Databricks workspace with one run.

    `states`: the run's states in the order of requests, the last one stays. `refusals`: errors by operation. `busy`:
    number of requests that are answered with 503 first.
    """

    states: list[Json] = field(default_factory=lambda: [state("RUNNING"), state("TERMINATED", "SUCCESS")])
    output: Json = field(default_factory=lambda: {"notebook_output": {"result": '{"rows": 406}', "truncated": False}})
    refusals: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    identity: tuple[int, Json] | None = None
    submitted: list[Json] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    state_requests: int = 0
    busy: int = 0

    def answer(self, operation: str, query: Json, body: Any) -> tuple[int, Json]:
        if operation in self.refusals:
            status, code, message = self.refusals[operation]
            return status, {"error_code": code, "message": message}
        match operation:
            case "submit":
                self.submitted.append(body)
                return 200, {"run_id": RUN}
            case "get":
                assert query == {"run_id": [str(RUN)]}, query
                now = self.states[min(self.state_requests, len(self.states) - 1)]
                self.state_requests += 1
                return 200, {
                    "run_id": RUN, "state": now, "run_page_url": "https://adb-1.1.azuredatabricks.net/#job/1/run/1",
                    "tasks": [{"run_id": TASK_RUN, "task_key": "notebook", "state": now}],
                }  # fmt: skip
            case "get-output":
                if query != {"run_id": [str(TASK_RUN)]}:
                    message = "Retrieving the output of runs with multiple tasks is not supported."
                    return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message}
                return 200, self.output
            case "cancel":
                self.cancelled.append(body["run_id"])
                return 200, {}
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for '{operation}'"}

    def serve(self, request: Request) -> Response:
        """Answer a request of HTTP; for tests.unit.http_service."""
        if request.path == "/msi/token":
            return _json(*(self.identity or self._token(request)))
        if request.path == "/.well-known/databricks-config":
            return _json(200, {"oidc_endpoint": "https://adb-1.1.azuredatabricks.net/oidc", "workspace_id": "1"})
        if not request.path.startswith("/api/2.2/jobs/runs/"):
            return _json(404, {"error_code": "NOT_FOUND", "message": request.path})
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json(401, {"error_code": "401", "message": "Credential was not sent or was of an unsupported type"})
        if self.busy:
            self.busy -= 1
            return _json(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "busy"}, {"Retry-After": "0"})
        operation = request.path.removeprefix("/api/2.2/jobs/runs/")
        return _json(*self.answer(operation, request.query, json.loads(request.content or b"null")))

    def _token(self, request: Request) -> tuple[int, Json]:
        expected = {"resource": [_SCOPE], "clientid": ["client-1"], "api-version": ["2017-09-01"]}
        if request.headers.get("secret") != SECRET or request.query != expected:
            return 400, {"statusCode": 400, "message": f"not a request of this job: {request.query}"}
        later = str(int(time.time()) + 3600)
        return 200, {"access_token": TOKEN, "expires_on": later, "resource": _SCOPE, "token_type": "Bearer"}


def _json(status: int, answer: Json, headers: dict[str, str] | None = None) -> Response:
    return Response(status, "application/json", json.dumps(answer), headers or {})
