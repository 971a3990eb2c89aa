"""The training endpoint and its runs: active runs, the run of a request, and the start of a run.

Runs are read as the job's own identity. A run is started as another identity of the cluster, which may invoke the
endpoint and nothing else (docs/adr/0040).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import policies
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest, HttpResponse

from steps.retraining import Request, training_inputs

_ARM, _ARM_SCOPE = "https://management.azure.com", "https://management.azure.com/.default"
_ML_SCOPE = "https://ml.azure.com/.default"
_VERSION = "2024-10-01"
_ENDED = frozenset({"Completed", "Failed", "Canceled", "NotResponding"})
_MOST_PAGES = 20
_RETRIES = 2
_CONNECTION_SECONDS, _READ_SECONDS = 30, 60
"""Together far less than a request is held for."""


@dataclass(frozen=True)
class TrainingEndpoint:
    """`uri` is the endpoint's scoring URI; `invoker` may invoke it, `reader` may list runs of the workspace.

    `component` is the name of the pipeline component that trains.
    """

    uri: str
    component: str
    experiment: str
    reader: TokenCredential
    invoker: TokenCredential

    def run_of(self, request: Request) -> str | None:
        """Return the run that a request started, None when there is none."""
        for job in self._runs():
            inputs = job["properties"].get("inputs") or {}
            if (inputs.get("reuse_key") or {}).get("value") == request.name:
                return str(job["name"])
        return None

    def run_under_way(self) -> str | None:
        """Return an active training run, None without one."""
        return next((str(job["name"]) for job in self._runs() if job["properties"].get("status") not in _ENDED), None)

    def start(self, request: Request) -> str:
        """Invoke the endpoint's default deployment, which serves; return the run. Raises HttpResponseError."""
        inputs = {name: {"jobInputType": "literal", "value": value} for name, value in training_inputs(request).items()}
        body = {"properties": {"experimentName": self.experiment, "inputData": inputs}}
        # An invocation without an answer must not be sent again: it may have started a run.
        answer = _send(self.invoker, _ML_SCOPE, HttpRequest("POST", self.uri, json=body), retries=0)
        return str(answer["name"])

    def _runs(self) -> Iterator[dict[str, Any]]:
        """Yield the training runs of the pipeline, the newest first."""
        following: str | None = f"{_ARM}{_workspace()}/jobs?api-version={_VERSION}&jobType=Pipeline"
        for _ in range(_MOST_PAGES):
            if following is None:
                return
            page = _send(self.reader, _ARM_SCOPE, HttpRequest("GET", following), retries=_RETRIES)
            for job in page["value"]:
                if f"/components/{self.component}/" in str(job["properties"].get("componentId") or ""):
                    yield job
            following = page.get("nextLink")


def _workspace() -> str:
    """Return the ARM id of the workspace, from the variables that Azure ML passes to jobs."""
    names = ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME")
    subscription, group, workspace = (os.environ[name] for name in names)
    place = f"/subscriptions/{subscription}/resourceGroups/{group}"
    return f"{place}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}"


def _send(credential: TokenCredential, scope: str, request: HttpRequest, *, retries: int) -> dict[str, Any]:
    """Return the JSON of an answer. Raises HttpResponseError for a refusal, with the service's own words."""
    bearer = policies.BearerTokenCredentialPolicy(credential, scope)
    transport = RequestsTransport(connection_timeout=_CONNECTION_SECONDS, read_timeout=_READ_SECONDS)
    retry = policies.RetryPolicy(retry_total=retries)
    client: PipelineClient[Any, Any] = PipelineClient(_ARM, policies=[retry, bearer], transport=transport)
    with client:
        response = client.send_request(request)
        if response.status_code >= 400:
            raise HttpResponseError(f"{response.status_code} {_reason(response)}")
        answer: dict[str, Any] = response.json()
        return answer


def _reason(response: HttpResponse) -> str:
    try:
        error = response.json()["error"]
        return f"{error['code']}: {error['message']}"
    except (ValueError, KeyError, TypeError):
        return str(response.reason)
