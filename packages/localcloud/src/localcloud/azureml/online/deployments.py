"""workspaces/onlineEndpoints/deployments as an ARM type.

Source: the ARM specification (ManagedOnlineDeployment), azure-ai-ml `_online_deployment_operations.py`,
learn.microsoft.com "CLI (v2) managed online deployment YAML schema".
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm.exclusive import itself
from localcloud.arm.resource_types import Call, ProviderRoute, ResourceType
from localcloud.azureml import endpoint_names
from localcloud.azureml.common import user_error, workspace_of
from localcloud.azureml.online import endpoints, instance_types, settings
from localcloud.azureml.online.launches import Launches
from localcloud.azureml.online.servers import Servers
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

TYPE = instance_types.DEPLOYMENT
_DEFAULT_INSTANCE_TYPE = "Standard_F4s_v2"
_DEFAULT_TAIL = 100
_MOST_LINES = 5000
_CONTAINERS = {"inferenceserver": "inference-server", "storageinitializer": "storage-initializer"}
_SECRET = "${{azureml://"  # noqa: S105  a reference to a secret


class DeploymentType:
    """The hooks of the type."""

    def __init__(self, launches: Launches, servers: Servers) -> None:
        self._launches = launches
        self._servers = servers

    def register(self, ctx: Context) -> None:
        template = "{workspace...}/onlineEndpoints/{endpoint}/deployments/{deployment}/skus"
        ctx.types.register_routes(
            ProviderRoute(method="GET", template=template, permission=f"{TYPE}/skus/read", handler=_skus)
        )
        ctx.types.register(
            ResourceType(
                type=TYPE,
                api_versions=endpoints.VERSIONS,
                name=endpoint_names.NAME,
                tracked=True,
                required=("properties.endpointComputeType",),
                immutable=("properties.instanceType",),
                immutable_code="BadArgument",
                immutable_message="The property '{property}' of an online deployment cannot be changed.",
                complete=_complete,
                on_put=self._put,
                on_delete=self._delete,
                check_delete=_check_delete,
                actions={"getLogs": self._get_logs},
                locks=itself,
                long_running=frozenset({"put", "delete"}),
            )
        )

    async def _put(self, ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
        """Run the deployment's server. The former server runs on until the new one is ready, and if that fails."""
        before = resource.private.get("launch")
        launch = await self._launches.of(resource)
        if before != launch.to_json() or not self._servers.runs(resource.id):
            await self._servers.deploy(resource.id, launch)
        resource.private["launch"] = launch.to_json()

    async def _delete(self, ctx: Context, resource: Resource, call: Call) -> None:
        await self._servers.remove(resource.id)
        endpoint = ctx.resources.get(_endpoint_id(resource))
        if endpoint is None:
            return
        for field in ("traffic", "mirrorTraffic"):
            endpoint.properties[field].pop(resource.name, None)
        ctx.resources.put(endpoint)

    async def _get_logs(self, ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
        """Return the end of a container's log: DeploymentLogsRequest {containerType, tail}."""
        kind = str(body.get("containerType") or "InferenceServer")
        container = _CONTAINERS.get(kind.lower())
        if container is None:
            raise user_error(f"containerType '{kind}' is not valid: use InferenceServer or StorageInitializer.")
        tail = body.get("tail")
        if tail is None:
            tail = _DEFAULT_TAIL
        if not isinstance(tail, int) or isinstance(tail, bool) or not 0 < tail <= _MOST_LINES:
            raise user_error(f"tail {tail!r} is not valid: use a number of lines from 1 to {_MOST_LINES}.")
        return {"content": self._servers.log(resource.id, container, tail)}


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    _check_kind(ctx, resource)
    if existing is not None and properties.get("instanceType") is None:
        properties["instanceType"] = existing.properties["instanceType"]
    properties["instanceType"] = properties.get("instanceType") or _DEFAULT_INSTANCE_TYPE
    sku = {key: value for key, value in (resource.sku or {}).items() if value is not None}
    resource.sku = {"name": "Default", "capacity": 1} | sku
    if existing is None:
        endpoint_names.check_new_deployment(ctx, resource)
    instance_types.check(ctx, resource)
    settings.completed(properties)
    _check_scale(properties)
    _check_model(resource)
    _check_variables(properties)
    properties["scaleSettings"] = {"scaleType": "Default"}
    properties["appInsightsEnabled"] = bool(properties.get("appInsightsEnabled"))
    properties["egressPublicNetworkAccess"] = properties.get("egressPublicNetworkAccess") or "Enabled"
    properties["properties"] = dict(properties.get("properties") or {})
    resource.kind = resource.kind or "Managed"


async def _skus(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Return the one SKU, which represents a number of instances (the specification's SkuResource)."""
    endpoint = f"{workspace_of(ctx, parameters['workspace']).id}/onlineEndpoints/{parameters['endpoint']}"
    deployment = ctx.resources.get(f"{endpoint}/deployments/{parameters['deployment']}")
    if deployment is None:
        raise user_error(f"There is no deployment '{parameters['deployment']}'.", 404, "NotFound")
    capacity = {"default": 1, "minimum": 1, "maximum": instance_types.MOST_INSTANCES, "scaleType": "Manual"}
    return {
        "value": [
            {"resourceType": TYPE, "sku": {"name": "Default", "tier": "Standard"}, "capacity": capacity},
        ]
    }


def _check_kind(ctx: Context, resource: Resource) -> None:
    """Refuse deployments that localcloud cannot run. Raises ServiceError 501, or 400 for a missing network."""
    properties = resource.properties
    kind = properties["endpointComputeType"]
    if kind != "Managed":
        raise not_emulated(f"online deployments with endpointComputeType '{kind}': localcloud has managed ones")
    if str(properties.get("egressPublicNetworkAccess") or "Enabled").lower() != "enabled":
        raise not_emulated("egressPublicNetworkAccess 'Disabled' of online deployments: use the managed network")
    collections = (properties.get("dataCollector") or {}).get("collections") or {}
    if any(str((item or {}).get("dataCollectionMode")).lower() == "enabled" for item in collections.values()):
        raise not_emulated("data collection of online deployments (dataCollector)")
    if properties.get("modelMountPath"):
        raise not_emulated("custom containers of online deployments (modelMountPath)")
    if properties.get("startupProbe"):
        raise not_emulated("startup probes of online deployments: use the liveness probe")
    network = workspace_of(ctx, resource.id).properties.get("managedNetwork") or {}
    active = (network.get("status") or {}).get("status") == "Active"
    if str(network.get("isolationMode") or "Disabled") != "Disabled" and not active:
        raise ServiceError(
            400,
            "WorkspaceManagedNetworkNotReady",
            "The workspace's managed virtual network is not provisioned: provision it before you create an online "
            "deployment. Please see troubleshooting guide, available here: "
            "https://aka.ms/oe-tsg#error-workspacemanagednetworknotready",
        )


def _check_scale(properties: Json) -> None:
    scale = properties.get("scaleSettings") or {}
    if str(scale.get("scaleType") or "Default") != "Default":
        raise user_error(
            f"scaleSettings.scaleType '{scale['scaleType']}' is not valid for a managed deployment: use Default.",
            code="BadArgument",
        )


def _check_model(resource: Resource) -> None:
    """Refuse a deployment from which no server can be made, with the rules of azure-ai-ml's schema."""
    properties = resource.properties
    code = properties.get("codeConfiguration") or {}
    if not code and not properties.get("model"):
        raise user_error(f"The deployment '{resource.name}' has no model.", code="BadArgument")
    if code and (not code.get("codeId") or not code.get("scoringScript")):
        raise user_error("codeConfiguration needs codeId and scoringScript.", code="BadArgument")
    if code and not properties.get("environmentId"):
        raise user_error(
            f"The deployment '{resource.name}' has a scoring script: it needs an environment too.", code="BadArgument"
        )


def _check_variables(properties: Json) -> None:
    variables = properties["environmentVariables"] = dict(properties.get("environmentVariables") or {})
    for name, value in variables.items():
        if not isinstance(value, str) or "\0" in name + value or "=" in name or not name:
            raise user_error(f"The environment variable {name!r} must have a text as its value.", code="BadArgument")
        if _SECRET in value:
            raise not_emulated("secret injection into online deployments")


def _check_delete(ctx: Context, resource: Resource) -> None:
    """Check a deletion of the deployment alone, not with its endpoint or workspace."""
    endpoint = ctx.resources.get(_endpoint_id(resource))
    if endpoint is None or endpoint.state == "Deleting":
        return
    for field, kind in (("traffic", "traffic"), ("mirrorTraffic", "mirrored traffic")):
        if share := endpoint.properties[field].get(resource.name):
            raise user_error(
                f"The deployment '{resource.name}' has {share} percent of the {kind} of endpoint '{endpoint.name}': "
                "set it to 0 before you delete the deployment.",
                code="BadArgument",
            )


def _endpoint_id(resource: Resource) -> str:
    return resource.id.rsplit("/deployments/", 1)[0]
