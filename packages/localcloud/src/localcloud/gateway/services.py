"""All services of one localcloud: their dependencies, and the routes of each host name."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from localcloud.arm import service as arm_service
from localcloud.azureml import service as azureml_service
from localcloud.containerregistry import routes as registry_routes
from localcloud.core.context import Context
from localcloud.core.database import Database
from localcloud.core.errors import not_emulated
from localcloud.core.settings import Settings
from localcloud.databricks import arm as databricks_types
from localcloud.databricks import service as databricks_service
from localcloud.entra import identity_endpoint
from localcloud.entra import service as entra_service
from localcloud.entra.directory import Directory
from localcloud.gateway import deployer
from localcloud.gateway.clock import ClockRoute
from localcloud.gateway.deployer import DeployerCheck
from localcloud.gateway.faults import FaultRoute, Faults
from localcloud.gateway.hosts import Service
from localcloud.gateway.pages import Pages
from localcloud.integration import service as integration_service
from localcloud.keyvault import arm as keyvault_types
from localcloud.keyvault import routes as keyvault_routes
from localcloud.monitor import service as monitor_service
from localcloud.storage import arm as storage_types
from localcloud.storage import routes as storage_routes
from localcloud.storage.azurite_accounts import StorageFabric


@dataclass(frozen=True)
class Services:
    """Services of the gateway."""

    context: Context
    directory: Directory
    arm: arm_service.ArmService
    storage: StorageFabric
    routers: dict[Service, Router]
    identity_app: Starlette


def build(settings: Settings, faults: Faults) -> Services:
    """Open the database and make every service. Starts nothing."""
    database = Database(settings.database)
    parts = arm_service.parts(database)
    storage = StorageFabric(settings, parts.resources)
    directory = Directory(database)
    context = Context(
        settings=settings, database=database, identities=directory, authorizer=parts.authorizer,
        storage=storage, resources=parts.resources, types=parts.types, check_operation=faults.check_operation,
    )  # fmt: skip
    arm = arm_service.create(context, parts.propagation)
    for types in (storage_types, keyvault_types, databricks_types):
        types.register(context)
    monitor_routes = monitor_service.build(context)
    workflow_routes = integration_service.build(context)
    databricks = databricks_service.build(context)
    azureml = azureml_service.build(context)
    entra = entra_service.build(directory, parts.resources, settings.tls / "bundle.pem")
    check = DeployerCheck(settings, directory)
    pages = Pages(settings, check)
    local: list[BaseRoute] = [
        Route("/_localcloud/ready", _ready),
        Route(
            "/_localcloud/faults",
            FaultRoute(faults, check).answer,
            methods=["GET", "POST", "DELETE"],
        ),
        Route("/_localcloud/clock", ClockRoute(context.clock, check).answer, methods=["GET", "POST", "DELETE"]),
        *pages.routes(),
        *pages.guarded([*databricks.page_routes, *azureml.page_routes]),
        *databricks.local_routes,
        *entra.routes,
        *arm.local_routes,
        *arm.routes,
    ]
    routes: dict[Service, list[BaseRoute]] = {
        Service.LOCAL: local,
        Service.ARM: arm.routes,
        Service.ENTRA: entra.routes,
        Service.GRAPH: entra.graph_routes,
        Service.STORAGE: storage_routes.build_routes(context),
        Service.KEY_VAULT: keyvault_routes.build_routes(context),
        Service.CONTAINER_REGISTRY: registry_routes.build_routes(context),
        Service.DATABRICKS: databricks.routes,
        Service.AZURE_ML: azureml.routes,
        Service.SCORING: azureml.scoring_routes,
        Service.MONITOR: monitor_routes,
        Service.LOGIC: workflow_routes,
        Service.OTHER: [],
    }
    routers = {service: Router(table, redirect_slashes=False, default=_unknown) for service, table in routes.items()}
    identity_app = identity_endpoint.build(directory, lambda: deployer.read(settings).client_id)
    return Services(context, directory, arm, storage, routers, identity_app)


async def _ready(request: Request) -> Response:
    return JSONResponse({"status": "ready"})


async def _unknown(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a path without a route: name the operation that is not emulated."""
    request = Request(scope)
    error = not_emulated(f"{request.method} https://{request.headers.get('host', '')}{request.url.path}")
    body = {"error": {"code": error.code, "message": error.message}, "error_code": error.code, "message": error.message}
    await JSONResponse(body, error.status)(scope, receive, send)
