"""Batch endpoints and their pipeline-component deployments."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.arm import resource_types
from localcloud.arm.resource_types import Call, ProviderRoute, ResourceType
from localcloud.arm.wire import page
from localcloud.azureml import endpoint_names, paths
from localcloud.azureml.common import API_VERSIONS, WORKSPACE, user_error, workspace_of
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource

ENDPOINT = f"{WORKSPACE}/batchEndpoints"
DEPLOYMENT = f"{ENDPOINT}/deployments"
_VERSIONS = tuple(version for version in API_VERSIONS if version >= "2022-02-01-preview")


def _complete_endpoint(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    mode = properties.get("authMode")
    if str(mode).lower() != "aadtoken":
        raise user_error(f"authMode '{mode}' is not valid for a batch endpoint: use AADToken.")
    properties["authMode"] = "AADToken"
    defaults = properties.get("defaults") or {}
    default_name = defaults.get("deploymentName")
    if default_name and ctx.resources.get(f"{resource.id}/deployments/{default_name}") is None:
        raise user_error(f"The default deployment '{default_name}' of endpoint '{resource.name}' does not exist.")
    properties["defaults"] = defaults
    if existing is None:
        endpoint_names.check_new_endpoint(ctx, resource)
    region = resource.location or workspace_of(ctx, resource.id).location
    properties["scoringUri"] = f"https://{resource.name}.{region}.inference.ml.azure.com/jobs"
    properties["swaggerUri"] = f"https://{resource.name}.{region}.inference.ml.azure.com/openapi/jobs.json"
    properties.setdefault("properties", {})
    properties.pop("keys", None)


def _complete_deployment(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    configuration = properties.get("deploymentConfiguration")
    if not isinstance(configuration, dict):
        raise not_emulated("batch deployments of a model: localcloud has pipeline-component deployments")
    kind = configuration.get("deploymentConfigurationType")
    if kind != "PipelineComponent":
        raise user_error(f"deploymentConfigurationType '{kind}' is not valid: use PipelineComponent.")
    workspace = workspace_of(ctx, resource.id)
    asset = str((configuration.get("componentId") or {}).get("assetId") or "")
    component = paths.resolve_asset(ctx, workspace, asset, "components")
    if component.properties["componentSpec"].get("type") != "pipeline":
        raise user_error(f"The component '{asset}' is not a pipeline component.")
    settings = configuration.get("settings") or {}
    compute = settings.get("default_compute")
    if compute:
        name = str(compute).removeprefix("azureml:").rsplit("/", 1)[-1]
        if name != "serverless" and ctx.resources.get(f"{workspace.id}/computes/{name}") is None:
            raise user_error(f"The compute '{name}' of the deployment does not exist in workspace '{workspace.name}'.")
    properties.setdefault("properties", {})
    if existing is None:
        endpoint_names.check_new_deployment(ctx, resource)


async def _on_put_deployment(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Make the first deployment the default, as the service does for batch endpoints."""
    endpoint = ctx.resources.get(resource.id.rsplit("/deployments/", 1)[0])
    if endpoint is not None and not endpoint.properties["defaults"].get("deploymentName"):
        endpoint.properties["defaults"]["deploymentName"] = resource.name
        ctx.resources.put(endpoint)


def _check_delete_deployment(ctx: Context, resource: Resource) -> None:
    """Check a deletion of the deployment alone, not with its endpoint or workspace."""
    endpoint = ctx.resources.get(resource.id.rsplit("/deployments/", 1)[0])
    if endpoint is None or endpoint.state == "Deleting":
        return
    if endpoint.properties["defaults"].get("deploymentName") == resource.name:
        raise ServiceError(
            400,
            "UserError",
            f"Deployment '{resource.name}' is the default deployment of endpoint '{endpoint.name}': make another one "
            "the default before you delete it.",
        )


async def _jobs(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """List the jobs that invocations of an endpoint, or of one deployment, made."""
    workspace = workspace_of(ctx, parameters["workspace"]).id
    endpoint = ctx.resources.get(f"{workspace}/batchEndpoints/{parameters['endpoint']}")
    if endpoint is None:
        raise user_error(f"There is no batch endpoint '{parameters['endpoint']}'.", 404, "NotFound")
    properties_ = {"azureml.endpointname": endpoint.name}
    if "deployment" in parameters:
        properties_["azureml.deploymentname"] = parameters["deployment"]
    jobs = resource_types.of(ctx).get(f"{WORKSPACE}/jobs")
    if jobs is None or jobs.list_in is None or jobs.render is None:
        raise not_emulated(f"GET {endpoint.id}/jobs")
    every_job = await jobs.list_in(ctx, workspace, call)
    matching = [job for job in every_job if properties_.items() <= (job.properties.get("properties") or {}).items()]
    where = f"/deployments/{parameters['deployment']}" if "deployment" in parameters else ""
    return page([jobs.render(ctx, job) for job in matching], call.query, f"{call.base_url}{endpoint.id}{where}/jobs")


async def _list_keys(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    raise user_error("Keys are not supported for endpoints with authMode AADToken.")


def register(ctx: Context) -> None:
    root = "{workspace...}/batchEndpoints/{endpoint}"
    ctx.types.register_routes(
        ProviderRoute(method="GET", template=f"{root}/jobs", permission=f"{ENDPOINT}/jobs/read", handler=_jobs),
        ProviderRoute(
            method="GET",
            template=f"{root}/deployments/{{deployment}}/jobs",
            permission=f"{ENDPOINT}/deployments/jobs/read",
            handler=_jobs,
        ),
    )
    ctx.types.register(
        ResourceType(
            type=ENDPOINT,
            api_versions=_VERSIONS,
            name=endpoint_names.NAME,
            tracked=True,
            required=("properties.authMode",),
            complete=_complete_endpoint,
            actions={"listKeys": _list_keys},
            long_running=frozenset({"put", "delete"}),
        ),
        ResourceType(
            type=DEPLOYMENT,
            api_versions=_VERSIONS,
            name=endpoint_names.NAME,
            tracked=True,
            complete=_complete_deployment,
            on_put=_on_put_deployment,
            check_delete=_check_delete_deployment,
            long_running=frozenset({"put", "delete"}),
        ),
    )
