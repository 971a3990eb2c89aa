"""/metadata/endpoints: the existing clouds and their services' addresses; requested before any sign-in.

The answer's form depends on the api-version, as on management.azure.com: one small object up to 2018, then a list of
clouds.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from localcloud.arm.rules import api_version
from localcloud.arm.wire import JsonResponse, error_response, stamp
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json

_SUFFIXES = {
    "storage": "core.windows.net",
    "keyVaultDns": "vault.azure.net",
    "acrLoginServer": "azurecr.io",
    "sqlServerHostname": "database.windows.net",
    "azureDataLakeStoreFileSystem": "azuredatalakestore.net",
    "azureDataLakeAnalyticsCatalogAndJob": "azuredatalakeanalytics.net",
    "mhsmDns": "managedhsm.azure.net",
    "mysqlServerEndpoint": "mysql.database.azure.com",
    "postgresqlServerEndpoint": "postgres.database.azure.com",
    "mariadbServerEndpoint": "mariadb.database.azure.com",
    "synapseAnalytics": "dev.azuresynapse.net",
    "attestationEndpoint": "attest.azure.net",
    "storageSyncEndpointSuffix": "afs.azure.net",
    "azureFrontDoorEndpointSuffix": "azurefd.net",
}


_ONE_CLOUD = {"2020-06-01", "2022-09-01"}
"""Versions that answer with the cloud itself; all others since 2019-05-01 answer with a list of clouds."""


def cloud(base_url: str) -> Json:
    """Return the description of the cloud.

    `base_url` is the request's address: clients use the cloud whose resourceManager is in their metadata URL. The name
    is AzureCloud and the portal's domain .com because azure-ai-ml derives its token audience and the registry
    discovery address from them. Sign-in stays at the request's address when that is localhost.
    """
    local = "//localhost" in base_url or "//127.0.0.1" in base_url
    login = base_url if local else "https://login.microsoftonline.com"
    return {
        "name": "AzureCloud",
        "portal": "https://portal.azure.com",
        "resourceManager": base_url,
        "authentication": {
            "loginEndpoint": login,
            "audiences": [base_url, "https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "graph": "https://graph.windows.net/",
        "graphAudience": "https://graph.windows.net/",
        "microsoftGraphResourceId": "https://graph.microsoft.com/",
        "batch": "https://batch.core.windows.net/",
        "gallery": "https://gallery.azure.com/",
        "media": "https://rest.media.azure.net",
        "sqlManagement": "https://management.core.windows.net:8443/",
        "vmImageAliasDoc": "https://raw.githubusercontent.com/Azure/azure-rest-api-specs/main/arm-compute/quickstart-templates/aliases.json",
        "appInsightsResourceId": "https://api.applicationinsights.io",
        "logAnalyticsResourceId": "https://api.loganalytics.io",
        "synapseAnalyticsResourceId": "https://dev.azuresynapse.net",
        "ossrDbmsResourceId": "https://ossrdbms-aad.database.windows.net",
        "activeDirectoryDataLake": "https://datalake.azure.net/",
        "attestationResourceId": "https://attest.azure.net",
        "suffixes": dict(_SUFFIXES),
    }


async def endpoints(request: Request) -> Response:
    """GET /metadata/endpoints?api-version=… No sign-in."""
    try:
        version = api_version(request.query_params)
    except ServiceError as error:
        return stamp(request, error_response(error))
    description = cloud(f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}")
    if version < "2019-05-01":
        old: Json = {
            "galleryEndpoint": description["gallery"],
            "graphEndpoint": description["graph"],
            "portalEndpoint": description["portal"],
            "authentication": {
                "loginEndpoint": description["authentication"]["loginEndpoint"],
                "audiences": description["authentication"]["audiences"],
            },
        }
        return stamp(request, JsonResponse(old))
    # 2022-09-01: hashicorp/go-azure-sdk, `sdk/internal/metadata/client_test.go`.
    return stamp(request, JsonResponse(description if version in _ONE_CLOUD else [description]))
