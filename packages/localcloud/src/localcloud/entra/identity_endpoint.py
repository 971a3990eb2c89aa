"""The managed identity endpoint of Azure ML jobs: plain HTTP on the loopback interface, opened by a secret.

GET /msi/token?resource=… with the header `secret`, as azure-identity asks in a job (MSI_ENDPOINT, MSI_SECRET; source:
azure-identity `_credentials/azure_ml.py`).
"""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from localcloud.core.settings import TENANT_ID
from localcloud.entra.directory import Directory

LIFETIME_SECONDS = 6 * 3600
"""Long enough for a training job: MLflow asks once."""


class IdentityEndpoint:
    """Tokens for workloads, as the identities that they were granted."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def answer(self, request: Request) -> Response:
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
        token = self._directory.issue_token(principal, resource, lifetime_seconds=LIFETIME_SECONDS)
        expires = int(time.time()) + LIFETIME_SECONDS
        return JSONResponse(
            {
                "access_token": token, "client_id": principal.app_id, "token_type": "Bearer", "resource": resource,
                "expires_in": str(LIFETIME_SECONDS), "expires_on": str(expires), "tenant_id": TENANT_ID,
            },
            headers={"Cache-Control": "no-store"},
        )  # fmt: skip


def _refuse(status: int, error: str, description: str) -> Response:
    return JSONResponse({"error": error, "error_description": description}, status)


def build(directory: Directory) -> Starlette:
    """Return the application of the identity port."""
    endpoint = IdentityEndpoint(directory)
    return Starlette(routes=[Route("/msi/token", endpoint.answer)])
