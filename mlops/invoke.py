"""Requests to an online endpoint; a refusal becomes one line that names the mend."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from azure.core import PipelineClient
from azure.core.pipeline.policies import RetryPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

from mlops.clients import Clients
from mlops.errors import RemoteError
from mlops.online_endpoints import Endpoint

_SCOPE = "https://ml.azure.com/.default"
_DEPLOYMENT_HEADER = "azureml-model-deployment"
_MODEL_STATUS, _MODEL_REASON = "ms-azureml-model-error-statuscode", "ms-azureml-model-error-reason"
_PATIENCE_SECONDS = 30
_LONGEST = 1500
_ACTION = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action"
MODEL_ERROR = 424


class InvocationError(RemoteError):
    """A request was not answered; `status` is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Caller:
    """Sends requests to one endpoint, with the credential of the verb's caller."""

    def __init__(self, clients: Clients, endpoint: Endpoint) -> None:
        self._clients, self._endpoint = clients, endpoint
        # A request that changes nothing may be sent again after a lost connection, and is not after an answer.
        policies = [UserAgentPolicy("dataopsml"), RetryPolicy(retry_total=2, retry_status=0)]
        self._client: PipelineClient[Any, Any] = PipelineClient(endpoint.scoring_uri, policies=policies)

    def ask(self, request: dict[str, Any], deployment: str | None = None) -> Any:
        """Return the answer. `deployment`: the colour to call, regardless of its traffic.

        Raises InvocationError, and azure.core's exceptions where nothing answers.
        """
        settings = self._clients.pipeline.online
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._secret}"}
        if deployment is not None:
            headers[_DEPLOYMENT_HEADER] = deployment
        response = self._client.send_request(
            HttpRequest("POST", self._endpoint.scoring_uri, json=request, headers=headers),
            read_timeout=settings.request_timeout + _PATIENCE_SECONDS,
        )
        if response.status_code != 200:
            raise InvocationError(response.status_code, self._refusal(response, deployment))
        try:
            return json.loads(response.text())
        except ValueError as error:
            raise RemoteError(f"The endpoint {self._endpoint.name} answered with something else than JSON.") from error

    @property
    def _secret(self) -> str:
        """The key, or a token that is valid now. It is sent in one header, and is nowhere else."""
        return self._key if self._endpoint.uses_keys else self._clients.credential.get_token(_SCOPE).token

    @cached_property
    def _key(self) -> str:
        return str(self._clients.ml.online_endpoints.get_keys(self._endpoint.name).primary_key)

    def _refusal(self, response: Any, deployment: str | None) -> str:
        """learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints, "HTTPS status codes"."""
        status, name = response.status_code, self._endpoint.name
        target = f"the deployment {deployment} of {name}" if deployment else name
        options, settings = self._clients.options, self._clients.pipeline.online
        text = _short(response.text())
        lines = {
            401: f"{name} takes no request of yours: sign in, such as with `az login`, or get a role that allows "
            f"{_ACTION} on it.",
            403: f"You may not ask {name}: get a role that allows {_ACTION} on it, or come from its network where that "
            "is private.",
            404: f"There is nothing that answers for {target}: run `python -m mlops serve {options}`.",
            408: f"The model did not answer within {settings.request_timeout} s: send fewer rows, or raise "
            "serve.online.request_timeout in pipeline.yml and serve again.",
            MODEL_ERROR: f"The model failed{_model_error(response)}: compare the request with the model's signature, "
            f"and see its log with `python -m mlops serve --log {options}`.",
            429: f"{target} has more requests than it takes at a time: send again later, or raise "
            "serve.online.instances or requests_per_instance in pipeline.yml and serve again.",
        }
        line = lines.get(status, f"{target} failed.")
        return f"{status}: {line}{f' It answered: {text}' if text else ''}"


def _model_error(response: Any) -> str:
    status, reason = response.headers.get(_MODEL_STATUS), response.headers.get(_MODEL_REASON)
    causes = ", ".join(filter(None, (status, reason)))
    return f" ({causes})" if causes else ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
