"""The four requests of a one-time run. Databricks' SDK imports all of its services, which takes more than a second.

Paths, bodies and error codes: docs.databricks.com/api, "Jobs", version 2.2; databricks-sdk, `service/jobs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.pipeline import policies
from azure.core.rest import HttpRequest

# The application id of Azure Databricks, the same in every tenant.
_SCOPE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"
_PATH = "/api/2.2/jobs/runs"
_RETRIES, _LONGEST_PAUSE_SECONDS = 9, 60
"""A workspace may be busy, or not to be reached, for about four minutes, as with Databricks' SDK."""
_METHODS = frozenset({"GET", "POST"})
"""All requests may be sent again: a run is submitted once for its idempotency token."""


class DatabricksError(Exception):
    """A refusal by Databricks; the text is its own."""


@dataclass(frozen=True)
class Run:
    """A run. `life_cycle` and `result` are the Jobs API's words; `task` is the run of its first task."""

    id: int
    page: str
    life_cycle: str
    result: str
    message: str
    task: int

    @classmethod
    def parse(cls, content: dict[str, Any]) -> Run:
        state, tasks = content.get("state") or {}, content.get("tasks") or [{}]
        return cls(
            id=int(content["run_id"]),
            page=str(content.get("run_page_url") or ""),
            life_cycle=str(state.get("life_cycle_state") or ""),
            result=str(state.get("result_state") or ""),
            message=str(state.get("state_message") or ""),
            task=int(tasks[0].get("run_id") or content["run_id"]),
        )


class Jobs:
    """The Jobs API of a workspace. Methods raise DatabricksError for a refusal, AzureError without an answer."""

    def __init__(self, workspace_url: str, credential: TokenCredential) -> None:
        """Raise DatabricksError for an address that is none."""
        address = urlsplit(workspace_url)
        if address.scheme not in ("https", "http") or not address.hostname or " " in workspace_url:
            raise DatabricksError(f"the workspace {workspace_url!r} is not an address such as https://adb-1.1.example")
        retries = policies.RetryPolicy(
            retry_total=_RETRIES, retry_status=_RETRIES, retry_connect=_RETRIES, retry_read=_RETRIES,
            retry_backoff_max=_LONGEST_PAUSE_SECONDS,
        )  # fmt: skip
        bearer = policies.BearerTokenCredentialPolicy(credential, _SCOPE)
        self._address = workspace_url.rstrip("/")
        self._needs_tls = address.hostname not in ("localhost", "127.0.0.1")
        self._client: PipelineClient[Any, Any] = PipelineClient(self._address, policies=[retries, bearer])

    def submit(self, run: dict[str, Any]) -> int:
        """Start a run, or find the run of its idempotency token; return its id."""
        return int(self._send("POST", "submit", body=run)["run_id"])

    def run(self, run_id: int) -> Run:
        return Run.parse(self._send("GET", "get", run_id=run_id))

    def output(self, task: int) -> dict[str, Any]:
        """Return the output of a task's run: `notebook_output`, `error`, `error_trace`."""
        return self._send("GET", "get-output", run_id=task)

    def cancel(self, run_id: int) -> None:
        """Request the end of a run."""
        self._send("POST", "cancel", body={"run_id": run_id})

    def _send(self, method: str, operation: str, *, body: Any = None, run_id: int | None = None) -> dict[str, Any]:
        query = "" if run_id is None else f"?run_id={run_id}"
        request = HttpRequest(method, f"{self._address}{_PATH}/{operation}{query}", json=body)
        response = self._client.send_request(request, retry_on_methods=_METHODS, enforce_https=self._needs_tls)
        try:
            content = response.json()
        except ValueError as error:
            raise DatabricksError(f"{response.status_code} {response.reason}: the answer is no JSON") from error
        if response.status_code >= 400:
            message = content.get("message") or f"{response.status_code} {response.reason}"
            raise DatabricksError(str(message))
        return dict(content)
