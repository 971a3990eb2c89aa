"""Discovery of a registry (registrymanagement) and the second address of its assets (mferp/managementfrontend)."""

from __future__ import annotations

import json
import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.arm import rules
from localcloud.arm.routes import METHODS, Arm
from localcloud.azureml import registries
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.settings import TENANT_ID

_FRONT = "/mferp/managementfrontend"
_ID = re.compile(
    rf"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(registries.TYPE)}/(.+/.+)", re.IGNORECASE
)
_AUDIENCES = frozenset(
    host + end for host in ("https://ml.azure.com", "https://management.azure.com") for end in ("", "/")
)


class RegistryFront:
    """`arm` answers for the assets: they are the same resources by another address."""

    def __init__(self, ctx: Context, arm: Arm) -> None:
        self._ctx = ctx
        self._arm = arm.accepting(_AUDIENCES)

    async def discover(self, request: Request) -> Response:
        """GET …/registries/NAME/discovery: the subscription, resource group and address of a registry."""
        try:
            principal = self._ctx.identities.authenticate(request.headers.get("authorization"), _AUDIENCES)
            registry = registries.named(self._ctx, request.path_params["name"])
            rules.authorize(self._ctx, principal, f"{registries.TYPE}/read", registry.id)
        except ServiceError as error:
            content = {"error": {"code": error.code, "message": error.message}}
            return JSONResponse(content, error.status, dict(error.headers))
        regions = [detail["location"] for detail in registry.properties["regionDetails"]]
        address = f"https://{registry.location}.api.azureml.ms/"
        return JSONResponse(
            {
                "registryName": registry.name, "tenantId": TENANT_ID, "primaryRegion": registry.location,
                "regions": regions, "subscriptionId": registry.id.split("/")[2],
                "resourceGroup": registry.id.split("/")[4], "workspaceName": None,
                "primaryRegionResourceProviderUri": address,
                "registryFqdns": {region: {"uri": f"https://{region}.api.azureml.ms/"} for region in regions},
            }
        )  # fmt: skip

    async def assets(self, request: Request) -> Response:
        scope = dict(request.scope)
        scope["path"] = scope["path"][len(_FRONT) :]
        scope["raw_path"] = scope["path"].encode()
        answer = await self._arm(Request(scope, request.receive))
        return answer if answer.status_code >= 400 or not answer.body else _renamed(answer)


def _renamed(answer: Response) -> Response:
    """Return content with the front's ids (azureml://registries/…), and the next page at the front's own address."""
    body = json.loads(bytes(answer.body))
    for item in body.get("value", [body]) if isinstance(body, dict) else []:
        if isinstance(item, dict) and (match := _ID.fullmatch(str(item.get("id")))):
            item["id"] = f"azureml://registries/{match[1]}"
    if isinstance(body, dict) and body.get("nextLink"):
        body["nextLink"] = str(body["nextLink"]).replace("/subscriptions/", f"{_FRONT}/subscriptions/", 1)
    return JSONResponse(body, answer.status_code)


def build_routes(ctx: Context) -> list[BaseRoute]:
    front = RegistryFront(ctx, ctx.offered[Arm])
    return [
        Route("/registrymanagement/v1.0/registries/{name}/discovery", front.discover, methods=["GET"]),
        Route(f"{_FRONT}/subscriptions/{{path:path}}", front.assets, methods=METHODS),
    ]
