"""Invoking a batch endpoint: POST https://ENDPOINT.REGION.inference.ml.azure.com/jobs makes a pipeline job.

Source: azure-ai-ml `_batch_endpoint_operations.py` (its requests and answers), learn.microsoft.com "Batch scoring
REST".
"""

from __future__ import annotations

import copy
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.arm.wire import LARGEST
from localcloud.azureml import paths
from localcloud.azureml.common import WORKSPACE, user_error, workspace_of
from localcloud.azureml.endpoints import ENDPOINT
from localcloud.azureml.mlflow.access import check_network
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json, parsed
from localcloud.core.resource import Resource
from localcloud.core.streams import whole_body

_AUDIENCES = frozenset({"https://ml.azure.com", "https://ml.azure.com/"})
_ON_ENDPOINT = ("jobs/write", "deployments/jobs/write", "read", "deployments/read")
_ON_WORKSPACE = ("read", "experiments/runs/submit/action", "experiments/runs/write")
"""Actions that "Authorization on batch endpoints" lists for an invocation, without actions on data, keys and changes.

It is unknown whether Azure requires the others where a pipeline component is invoked.
"""


class Invoke:
    """The scoring host of every batch endpoint."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def answer(self, request: Request) -> Response:
        try:
            principal = self._ctx.identities.authenticate(request.headers.get("authorization"), _AUDIENCES)
            endpoint = self._endpoint(request.headers.get("host", ""))
            self._authorize(principal, endpoint)
            # An endpoint has no setting of its own: it is as open as its workspace.
            check_network(self._ctx, workspace_of(self._ctx, endpoint.id))
            too_large = ServiceError(413, "RequestContentTooLarge", "The request has more than 4 MB.")
            body = _body(await whole_body(request, LARGEST, too_large))
            job = await self._submit(endpoint, request.headers.get("azureml-model-deployment"), body, principal)
        except ServiceError as error:
            content = {"error": {"code": error.code, "message": error.message}}
            return JSONResponse(content, error.status, dict(error.headers))
        return JSONResponse({"id": job.id, "name": job.name, "type": job.type, "properties": job.properties})

    def _endpoint(self, host: str) -> Resource:
        name, region = host.split(".")[:2]
        for endpoint in self._ctx.resources.list(ENDPOINT):
            if endpoint.name.lower() == name.lower() and (endpoint.location or "").lower() == region.lower():
                return endpoint
        raise user_error(f"There is no batch endpoint '{name}' in region '{region}'.", 404, "NotFound")

    def _authorize(self, principal: Principal, endpoint: Resource) -> None:
        """Raise ServiceError 403 that names the first action that the caller may not do."""
        workspace = workspace_of(self._ctx, endpoint.id)
        needed = [(f"{ENDPOINT}/{name}", endpoint.id) for name in _ON_ENDPOINT]
        needed += [(f"{WORKSPACE}/{name}", workspace.id) for name in _ON_WORKSPACE]
        for action, scope in needed:
            if not self._ctx.authorizer.allows(principal, action, scope):
                raise ServiceError(
                    403,
                    "AuthorizationFailed",
                    f"The client '{principal.app_id}' with object id '{principal.object_id}' does not have "
                    f"authorization to perform action '{action}' over scope '{scope}'.",
                )

    async def _submit(
        self, endpoint: Resource, deployment_name: str | None, body: Json, principal: Principal
    ) -> Resource:
        from localcloud.azureml.jobs.submit import submit

        name = deployment_name or endpoint.properties["defaults"].get("deploymentName")
        if not name:
            raise user_error(f"Endpoint '{endpoint.name}' has no default deployment: name one.")
        deployment = self._ctx.resources.get(f"{endpoint.id}/deployments/{name}")
        if deployment is None:
            raise user_error(f"Endpoint '{endpoint.name}' has no deployment '{name}'.", 404, "NotFound")
        workspace = workspace_of(self._ctx, endpoint.id)
        job = pipeline_job(self._ctx, workspace, endpoint, deployment, body)
        return await submit(self._ctx, workspace, f"batchjob-{uuid.uuid4()}", job, principal)


def _body(raw: bytes) -> Json:
    try:
        body = parsed(raw or b"{}")
    except ValueError as error:
        raise user_error(f"The request body is not JSON: {error}.") from error
    properties = body.get("properties") if isinstance(body, dict) else None
    if not isinstance(properties, dict):
        raise user_error("The request body needs an object 'properties'.")
    return properties


def pipeline_job(ctx: Context, workspace: Resource, endpoint: Resource, deployment: Resource, invocation: Json) -> Json:
    """ARM's JobBase of a run of the deployment's pipeline component.

    Raises ServiceError 400 for inputs that the component does not have or needs.
    """
    configuration = deployment.properties["deploymentConfiguration"]
    asset = str(configuration["componentId"]["assetId"])
    component = paths.resolve_asset(ctx, workspace, asset, "components")
    spec = component.properties["componentSpec"]
    ports = spec.get("inputs") or {}
    values = invocation.get("inputData") or {}
    if unknown := set(values) - set(ports):
        known = ", ".join(sorted(ports)) or "none"
        raise user_error(f"Unknown inputs: {', '.join(sorted(unknown))}. The pipeline's inputs are: {known}.")
    inputs = {}
    for name, port in ports.items():
        if name in values:
            inputs[name] = copy.deepcopy(values[name])
        elif port.get("default") is not None:
            inputs[name] = {"jobInputType": "literal", "value": str(port["default"])}
        elif not port.get("optional"):
            raise user_error(f"The required input '{name}' of the pipeline is missing.")
    settings = {**(spec.get("settings") or {}), **(configuration.get("settings") or {})}
    properties = invocation.get("properties") or {}
    return {
        "properties": {
            "jobType": "Pipeline",
            "displayName": invocation.get("displayName") or component.properties.get("displayName") or spec.get("name"),
            "experimentName": invocation.get("experimentName") or endpoint.name,
            "description": invocation.get("description"),
            "tags": {**(configuration.get("tags") or {}), **(invocation.get("tags") or {})},
            "properties": {
                **properties,
                "azureml.endpointname": endpoint.name,
                "azureml.deploymentname": deployment.name,
                "azureml.pipelineComponent": asset,
            },
            "settings": settings,
            "inputs": inputs,
            "outputs": invocation.get("outputData") or {},
            "jobs": copy.deepcopy(spec["jobs"]),
            # Its declaration marks optional inputs.
            "componentId": component.id,
            "isArchived": False,
        }
    }


def build_routes(ctx: Context) -> list[BaseRoute]:
    return [Route("/jobs", Invoke(ctx).answer, methods=["POST"])]
