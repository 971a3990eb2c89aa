"""Single ARM requests, for fast commands: azure.ai.ml needs seconds before its first request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import (
    BearerTokenCredentialPolicy,
    HeadersPolicy,
    RetryPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

Json = dict[str, Any]
MACHINE_LEARNING = "2024-10-01"
"""API version of the Azure ML resources."""
HOST = "https://management.azure.com"
_RETRIES = 5
_POLL_SECONDS = 1.0


class Arm:
    """Resources by id."""

    def __init__(self, credential: TokenCredential) -> None:
        policies = [
            HeadersPolicy(),
            UserAgentPolicy("dataopsml"),
            RetryPolicy(retry_total=_RETRIES, retry_connect=2),
            BearerTokenCredentialPolicy(credential, f"{HOST}/.default"),
        ]
        self._client: PipelineClient[Any, Any] = PipelineClient(HOST, policies=policies)

    def get(self, path: str, api_version: str = MACHINE_LEARNING, **query: str) -> Json | None:
        """Return the resource, or None when there is none. Raises azure.core's exceptions."""
        answer = self._client.send_request(
            HttpRequest("GET", HOST + path, params={"api-version": api_version, **query})
        )
        if answer.status_code == 404 and _code(answer) in {"ResourceNotFound", "NotFound", "UserError"}:
            return None
        return self._json(answer)

    def list(self, path: str, api_version: str = MACHINE_LEARNING, **query: str) -> Iterator[Json]:
        """All resources of a collection, page after page. Raises azure.core's exceptions."""
        page = self.get(path, api_version, **query) or {}
        while True:
            yield from page.get("value") or []
            following = page.get("nextLink")
            if not following:
                return
            page = self._json(self._client.send_request(HttpRequest("GET", str(following))))

    def post(self, path: str, api_version: str = MACHINE_LEARNING) -> Json:
        """Run an action of a resource. Raises azure.core's exceptions."""
        return self._json(
            self._client.send_request(HttpRequest("POST", HOST + path, params={"api-version": api_version}))
        )

    def delete(self, path: str, api_version: str = MACHINE_LEARNING) -> None:
        """Delete a resource and wait until it is gone; a missing resource counts as deleted.

        Raises azure.core's exceptions.
        """
        answer = self._client.send_request(HttpRequest("DELETE", HOST + path, params={"api-version": api_version}))
        if answer.status_code == 404:
            return
        self._json(answer)
        while answer.status_code == 202 and (address := answer.headers.get("Location")):
            time.sleep(float(answer.headers.get("Retry-After") or _POLL_SECONDS))
            answer = self._client.send_request(HttpRequest("GET", address))
            if answer.status_code == 404:
                return
            self._json(answer)

    @staticmethod
    def _json(answer: Any) -> Json:
        if answer.status_code >= 400:
            raise HttpResponseError(response=answer)
        return dict(answer.json()) if answer.content else {}


def _code(answer: Any) -> str:
    try:
        return str(answer.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""
