"""The identity endpoints of Azure ML: plain HTTP on the loopback interface, opened by a secret.

GET /msi/token?resource=… with the header `secret`, the request of azure-identity in a job (MSI_ENDPOINT, MSI_SECRET;
source: azure-identity `_credentials/azure_ml.py`).

GET /obo/token?resource=… with the header `secret`, the request of programs on a compute instance for tokens of its
user (AZUREML_OBO_ENABLED, OBO_ENDPOINT, MSI_SECRET; source: azureml-dataprep 5.5
`api/_azure_access_token_resolver.py`). The shells of `localcloud env` resemble a compute instance, and the deployer is
the user: azureml-fsspec and mltable read no client secret from the environment, and would open a browser. They need a
number as the time at which the token expires.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.core.context import Principal
from localcloud.core.settings import TENANT_ID
from localcloud.entra.directory import Directory

LIFETIME_SECONDS = 6 * 3600
"""Long enough for a training job: MLflow requests one token."""


class IdentityEndpoint:
    """Tokens for workloads, as the identities that they were granted."""

    def __init__(self, directory: Directory, user_client_id: Callable[[], str]) -> None:
        self._directory = directory
        self._user_client_id = user_client_id

    async def answer_user(self, request: Request) -> Response:
        """Issue a token of the user to the holder of the user's own secret."""
        client_id = self._user_client_id()
        if not self._directory.has_secret(client_id, request.headers.get("secret", "")):
            return _refuse(403, "forbidden", "The secret of this identity endpoint is missing or wrong.")
        resource = request.query_params.get("resource")
        if not resource:
            return _refuse(400, "invalid_request", "Required query variable 'resource' is missing.")
        user = self._directory.by_app_id(client_id)
        if user is None:
            return _refuse(400, "invalid_request", f"There is no principal with the client id '{client_id}'.")
        return self._token(user, resource, expires_as=int)

    async def answer(self, request: Request) -> Response:
        """Issue a token of an identity to the workload that holds a secret for it."""
        secret = request.headers.get("secret", "")
        granted = self._directory.workload(secret)
        if granted is None:
            return _refuse(403, "forbidden", "The secret of this identity endpoint is missing, wrong or expired.")
        query = request.query_params
        resource = query.get("resource")
        if not resource:
            return _refuse(400, "invalid_request", "Required query variable 'resource' is missing.")
        default, allowed = granted
        client = query.get("clientid") or query.get("client_id") or default
        principal = self._directory.by_app_id(client) if client in allowed else None
        if principal is None:
            return _refuse(
                400, "invalid_request", f"Identity not found: this workload may not act as client id '{client}'."
            )
        return self._token(principal, resource, expires_as=str)

    def _token(self, principal: Principal, resource: str, *, expires_as: type[int] | type[str]) -> Response:
        token = self._directory.issue_token(principal, resource, lifetime_seconds=LIFETIME_SECONDS)
        expires = int(time.time()) + LIFETIME_SECONDS
        return JSONResponse(
            {
                "access_token": token, "client_id": principal.app_id, "token_type": "Bearer", "resource": resource,
                "expires_in": str(LIFETIME_SECONDS), "expires_on": expires_as(expires), "tenant_id": TENANT_ID,
            },
            headers={"Cache-Control": "no-store"},
        )  # fmt: skip


def _refuse(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)


def build(directory: Directory, user_client_id: Callable[[], str]) -> Starlette:
    """Return the application of the identity port. `user_client_id` returns the client id of the deployer."""
    endpoint = IdentityEndpoint(directory, user_client_id)
    return Starlette(routes=[Route("/msi/token", endpoint.answer), Route("/obo/token", endpoint.answer_user)])
