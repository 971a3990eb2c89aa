"""Outputs that a job names become registered data or models when the job has succeeded."""

from __future__ import annotations

from localcloud.arm import resource_types
from localcloud.arm.resource_types import Call
from localcloud.azureml.common import WORKSPACE, user_error
from localcloud.azureml.jobs.runs import Run
from localcloud.azureml.jobs.sources import MODEL_TYPES
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now

_API_VERSION = "2024-10-01"


async def register_outputs(ctx: Context, workspace: Resource, run: Run, principal: Principal) -> None:
    """Register each output with an asset name; notes the version in the run. Raises ServiceError that names it."""
    for name, output in run.outputs.items():
        if output.get("asset_name"):
            try:
                output["asset_version"] = await _register(ctx, workspace, run, output, principal)
            except ServiceError as error:
                raise user_error(f"The output '{name}' cannot be registered: {error.message}") from error


async def _register(ctx: Context, workspace: Resource, run: Run, output: Json, principal: Principal) -> str:
    model = output["type"] in MODEL_TYPES
    type_ = resource_types.of(ctx).get(f"{WORKSPACE}/{'models' if model else 'data'}/versions")
    if type_ is None or type_.complete is None or type_.on_put is None:
        raise RuntimeError("the types of assets are not registered")
    container_id = f"{workspace.id}/{'models' if model else 'data'}/{output['asset_name']}"
    version = str(output.get("asset_version") or await _next(ctx, container_id))
    content: Json = (
        {"modelUri": str(output["uri"]).rstrip("/"), "modelType": output["type"], "jobName": run.id}
        if model
        else {"dataUri": output["uri"], "dataType": output["type"]}
    )
    author = {"createdAt": now(), "createdBy": principal.app_id, "createdByType": "Application"}
    resource = Resource(
        id=f"{container_id}/versions/{version}", type=type_.type, name=version, properties=content, system_data=author
    )
    existing = await type_.read(ctx, resource.id) if type_.read else ctx.resources.get(resource.id)
    if existing is not None:
        raise user_error(f"'{output['asset_name']}' has a version {version} already.", 409, "Conflict")
    type_.complete(ctx, resource, None)
    await type_.on_put(ctx, resource, None, Call(principal, _API_VERSION, ctx.settings.gateway_url))
    if type_.read is None:
        resource.properties["provisioningState"] = "Succeeded"
        ctx.resources.put(resource)
    return version


async def _next(ctx: Context, container_id: str) -> str:
    type_ = resource_types.of(ctx).get(f"{WORKSPACE}/{container_id.rsplit('/', 2)[1]}")
    read = type_.read if type_ is not None else None
    container = await read(ctx, container_id) if read is not None else ctx.resources.get(container_id)
    return str((container.properties.get("nextVersion") if container is not None else None) or 1)
