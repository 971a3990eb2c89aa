"""The steps of a pipeline run, as Azure ML's run history has them: states, times, errors, logs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

from mlops.errors import MissingError

if TYPE_CHECKING:
    from mlops.clients import Clients

_SCOPE = "https://ml.azure.com/.default"
ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
_LOG = "user_logs/std_log.txt"


@dataclass(frozen=True)
class Step:
    """`name` is the step's; `run` its own run. Times are UTC, None while unknown."""

    name: str
    run: str
    status: str
    start: datetime | None = None
    end: datetime | None = None
    error: str = ""
    reused: str = ""
    """The earlier run whose outputs and logs are this step's, where Azure ML reused it."""

    @property
    def origin(self) -> str:
        """Return the run that wrote the step's outputs and logs."""
        return self.reused or self.run

    @property
    def seconds(self) -> float | None:
        return None if self.start is None or self.end is None else (self.end - self.start).total_seconds()


class History:
    """The run history of a workspace, by the routes that azure-ai-ml uses (its _restclient/runhistory).

    The host is the workspace's discovery URL's, as in azure-ai-ml (`_job_operations._get_workspace_url`): a closed
    workspace answers at a host of its own (MicrosoftDocs/azure-docs how-to-custom-dns.md).
    """

    def __init__(self, clients: Clients) -> None:
        from azure.core import PipelineClient
        from azure.core.pipeline import policies

        self._clients = clients
        bearer = policies.BearerTokenCredentialPolicy(clients.credential, _SCOPE)

        def common() -> list[Any]:
            # A policy belongs to one pipeline: it knows the policy that comes after it.
            return [policies.UserAgentPolicy("dataopsml"), policies.RetryPolicy(retry_total=5)]

        self._client: Any = PipelineClient("https://ml.azure.com", policies=[*common(), bearer])
        self._plain: Any = PipelineClient("https://ml.azure.com", policies=common())

    def run(self, name: str) -> Step:
        """Return a run by name."""
        return _step(self._json(self._client, f"{self._runs}/{name}"))

    def steps(self, name: str) -> list[Step]:
        """Return the child runs of a pipeline run, in the order in which they began."""
        children = self._json(self._client, f"{self._runs}/{name}/children").get("value") or []
        return sorted(
            (_step(child) for child in children), key=lambda step: (step.start is None, step.start or datetime.min)
        )

    def log(self, step: Step) -> str:
        """Return the output of the step's process, or of the reused step's; it may be empty."""
        details = self._json(self._client, f"{self._runs}/{step.origin}/details")
        address = (details.get("logFiles") or {}).get(_LOG)
        if not address:
            return ""
        response = self._plain.send_request(HttpRequest("GET", address))
        return str(response.text()) if response.status_code == 200 else ""

    def artifact(self, run: str, path: str) -> str | None:
        """Return the text of a file that was logged to the run, None when there is none.

        The route: azureml-mlflow 1.62, _restclient/artifact/operations, get_content_information.
        """
        address = f"{self._host}/artifact/v2.0{self._clients.workspace_id}/artifacts/ExperimentRun/dcid.{run}"
        try:
            place = self._json(self._client, f"{address}/contentinfo?path={quote(path)}")
        except HttpResponseError as error:
            if error.status_code == 404:
                return None
            raise
        response = self._plain.send_request(HttpRequest("GET", place["contentUri"]))
        return str(response.text()) if response.status_code == 200 else None

    @property
    def _runs(self) -> str:
        return f"{self._host}/history/v1.0{self._clients.workspace_id}/runs"

    @cached_property
    def _host(self) -> str:
        """Raises MissingError without the workspace."""
        workspace = self._clients.arm.get(self._clients.workspace_id)
        if workspace is None:
            raise MissingError(f"The workspace {self._clients.workspace_id} does not exist.")
        services = self._json(self._plain, workspace["properties"]["discoveryUrl"])
        return str(services["api"]).rstrip("/")

    @staticmethod
    def _json(client: Any, address: str) -> dict[str, Any]:
        response = client.send_request(HttpRequest("GET", address))
        if response.status_code >= 400:
            raise HttpResponseError(response=response)
        content: dict[str, Any] = response.json()
        return content


def _step(run: dict[str, Any]) -> Step:
    error = ((run.get("error") or {}).get("error") or {}).get("message", "")
    properties = run.get("properties") or {}
    # azure-ai-ml, constants/_job/pipeline.py: REUSED_FLAG_FIELD, REUSED_JOB_ID.
    reused = str(properties.get("azureml.isreused") or "").lower() == "true"
    name = properties.get("azureml.moduleName") or run.get("displayName") or run["runId"]
    return Step(
        name=str(properties.get("azureml.nodeName") or run.get("displayName") or name),
        run=str(run["runId"]),
        status=str(run["status"]),
        start=time(run.get("startTimeUtc")),
        end=time(run.get("endTimeUtc")),
        error=str(error or ""),
        reused=str(properties.get("azureml.reusedrunid") or "") if reused else "",
    )


def time(text: str | None) -> datetime | None:
    """Return Azure's time, in UTC where the text has no zone; None for none."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
