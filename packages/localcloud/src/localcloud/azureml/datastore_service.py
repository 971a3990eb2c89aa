"""The datastore service at https://REGION.api.azureml.ms, by which azureml-fsspec and mltable find storage.

    GET /datastore/v1.0/…/workspaces/WS/datastores[/NAME]
    GET /datastore/v1.0/…/workspaces/WS/default

Source of the fields: azureml-core 1.61 `_restclient/models/{data_store,azure_storage,rest_client_enums}.py`; of the
paths: `_restclient/rest_client.py` there, and the requests of azureml-dataprep-rslex 2.26, the library below both
packages. It repeats requests that are answered with a status of 500 and above for minutes.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.azureml import datastores
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.azureml.mlflow import access
from localcloud.azureml.mlflow.access import RunTokens
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_SECRETS_ACTION = "datastores/listSecrets/action"
_CREDENTIAL_TYPES = {
    "AccountKey": "AccountKey", "Sas": "Sas", "ServicePrincipal": "ClientCredentials",
    "Certificate": "ClientCredentials",
}  # fmt: skip


class DatastoreService:
    """Answers reads of datastores. Callers see a credential if they may list secrets."""

    def __init__(self, ctx: Context, tokens: RunTokens) -> None:
        self._ctx = ctx
        self._tokens = tokens

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the service."""
        return [
            Route("/datastore/v1.0/{path:path}", self._answer, methods=["GET", "POST", "PATCH", "PUT", "DELETE"]),
        ]

    async def _answer(self, request: Request) -> Response:
        try:
            workspace_id, rest = access.split(request.path_params["path"])
            access.enter(self._ctx, self._tokens, request, workspace_id, "datastores/read")
            workspace = access.workspace_at(self._ctx, workspace_id)
            kind, _, name = rest.strip("/").partition("/")
            if request.method != "GET" or (kind, bool(name)) not in {
                ("datastores", False), ("datastores", True), ("default", False),
            }:  # fmt: skip
                raise not_emulated(f"{request.method} {request.url.path}")
            return JSONResponse(self._render(request, workspace, name, default=kind == "default"))
        except ServiceError as error:
            body = {"error": {"code": error.code, "message": error.message, "details": []}}
            return JSONResponse(body, error.status, dict(error.headers))

    def _render(self, request: Request, workspace: Resource, name: str, *, default: bool) -> Json:
        stores = self._ctx.resources.children(workspace.id, f"{WORKSPACE}/datastores")
        if not name and not default:
            return {
                "value": [self._store(request, workspace, store) for store in stores],
                "continuationToken": None,
                "nextLink": None,
            }
        for store in stores:
            if store.name == name or (default and store.properties.get("isDefault")):
                return self._store(request, workspace, store)
        raise user_error(f"Could not find datastore: {name or 'default'}.", 404)

    def _store(self, request: Request, workspace: Resource, store: Resource) -> Json:
        properties = store.properties
        credential_type = str(properties["credentials"]["credentialsType"])
        secrets = self._secrets(request, workspace, store) if credential_type != "None" else {}
        account: Json = {
            "accountName": properties["accountName"],
            "containerName": properties.get("containerName")
            or properties.get("filesystem")
            or properties.get("fileShareName"),
            "endpoint": properties["endpoint"], "protocol": properties["protocol"],
            "credentialType": _CREDENTIAL_TYPES.get(credential_type, "None"),
            "credential": secrets.get("key") or secrets.get("sasToken"), "accountKey": secrets.get("key"),
            "sasToken": secrets.get("sasToken"), "isSas": credential_type == "Sas",
            "clientCredentials": self._client(properties["credentials"], secrets), "blobCacheTimeout": None,
            "areWorkspaceManagedIdentitiesAllowed": properties["serviceDataAccessAuthIdentity"] != "None",
            "serviceDataAccessAuthIdentity": properties["serviceDataAccessAuthIdentity"],
            "subscriptionId": properties["subscriptionId"], "resourceGroup": properties["resourceGroup"],
        }  # fmt: skip
        return {
            "name": store.name, "dataStoreType": properties["datastoreType"], "hasBeenValidated": True,
            "isDefault": bool(properties.get("isDefault")), "tags": properties.get("tags") or {},
            "azureStorageSection": account, "azureDataLakeSection": None, "azureSqlDatabaseSection": None,
            "azurePostgreSqlSection": None, "azureMySqlSection": None, "hdfsSection": None, "glusterFsSection": None,
        }  # fmt: skip

    def _client(self, credentials: Json, secrets: Json) -> Json | None:
        if credentials["credentialsType"] != "ServicePrincipal":
            return None
        return {
            "clientId": credentials.get("clientId"), "tenantId": credentials.get("tenantId"), "isCertAuth": False,
            "clientSecret": secrets.get("clientSecret"),
            "authorityUrl": credentials.get("authorityUrl") or "https://login.microsoftonline.com",
            "resourceUri": credentials.get("resourceUrl") or "https://storage.azure.com",
        }  # fmt: skip

    def _secrets(self, request: Request, workspace: Resource, store: Resource) -> Json:
        """Return the secrets for callers with the right to list them, else none."""
        if self._tokens.find(request.headers.get("authorization")) is not None:
            return {}
        try:
            access.enter(self._ctx, self._tokens, request, workspace.id, _SECRETS_ACTION)
        except ServiceError as error:
            if error.status == 403:
                return {}
            raise
        return datastores.secrets_of(self._ctx, store)


def build_routes(ctx: Context, tokens: RunTokens) -> list[BaseRoute]:
    """Return the routes for *.api.azureml.ms."""
    return DatastoreService(ctx, tokens).routes()
