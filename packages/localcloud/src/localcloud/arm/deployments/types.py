"""Microsoft.Resources/deployments of resource groups and of the subscription."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from localcloud.arm import ids, resource_types
from localcloud.arm.deployments.engine import Run
from localcloud.arm.deployments.scope import Place
from localcloud.arm.deployments.template import DEPLOYMENT, Template
from localcloud.arm.deployments.what_if import WhatIf
from localcloud.arm.resource_types import Call, NameRule, ProviderRoute, ResourceType
from localcloud.arm.resources import Resources
from localcloud.arm.routes import Arm
from localcloud.arm.wire import page
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.core.settings import SUBSCRIPTION_ID

_VERSIONS = (
    "2015-11-01", "2016-02-01", "2016-07-01", "2016-09-01", "2017-05-10", "2018-02-01", "2018-05-01", "2019-03-01",
    "2019-05-01", "2019-05-10", "2019-07-01", "2019-08-01", "2019-10-01", "2020-06-01", "2020-08-01", "2020-10-01",
    "2021-01-01", "2021-04-01", "2022-09-01", "2023-07-01", "2024-03-01", "2024-07-01", "2024-11-01", "2025-03-01",
    "2025-04-01", "2026-06-01",
)  # fmt: skip


def _place(ctx: Context, id_: str) -> Place:
    rid = ids.parse(id_)
    if rid is None:
        raise ValueError(f"{id_!r} is not a resource id")
    subscription = f"/subscriptions/{rid.subscription}"
    group = ctx.resources.get(f"{subscription}/resourceGroups/{rid.resource_group}") if rid.resource_group else None
    return Place(subscription, group, rid.name)


def _template(ctx: Context, id_: str, properties: Json) -> Template:
    """Return the template.

    Raises ServiceError 400 for an invalid template, 501 for a template that localcloud does not deploy.
    """
    if not isinstance(properties, dict):
        raise ServiceError(400, "InvalidRequestContent", "The request content was invalid: 'properties' is no object.")
    if properties.get("templateLink") or properties.get("parametersLink"):
        raise not_emulated("deployments with a templateLink or parametersLink; send the template itself")
    mode = str(properties.get("mode"))
    if mode.lower() == "complete":
        raise not_emulated("deployments in Complete mode")
    if mode.lower() != "incremental":
        raise ServiceError(400, "InvalidDeployment", f"The deployment mode '{mode}' is not valid: use Incremental.")
    if not isinstance(properties.get("template"), dict):
        raise ServiceError(400, "InvalidRequestContent", "The request content was invalid: there is no 'template'.")
    template = Template(properties["template"], properties.get("parameters") or {}, _place(ctx, id_))
    for planned in template.resources:
        if resource_types.of(ctx).get(planned.type) is None:
            raise not_emulated(f"resource type {planned.type} (in deployment {id_})")
    return template


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check the template and keep it apart: only exportTemplate shows it."""
    properties = resource.properties
    template = _template(ctx, resource.id, properties)
    resource.private["template"] = properties.pop("template")
    resource.private["parameters"] = properties.pop("parameters", None) or {}
    resource.private["operations"] = []
    text = json.dumps(resource.private["template"], sort_keys=True)
    namespaces: dict[str, set[str]] = {}
    for planned in template.resources:
        namespaces.setdefault(planned.type.split("/", 1)[0], set()).add(planned.type.split("/", 1)[1])
    resource.properties = {
        "templateHash": str(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")),
        "parameters": template.shown_parameters(),
        "mode": "Incremental",
        "timestamp": now(),
        "duration": "PT0S",
        "correlationId": str(uuid.uuid4()),
        "providers": [
            {"namespace": name, "resourceTypes": [{"resourceType": type_name} for type_name in sorted(types)]}
            for name, types in namespaces.items()
        ],
        "dependencies": [],
    }
    resource.system_data = None


async def _on_put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    began = datetime.now(UTC)
    properties = {"mode": "Incremental", "template": resource.private["template"]}
    template = _template(ctx, resource.id, properties | {"parameters": resource.private["parameters"]})
    resource.properties["provisioningState"] = "Running"

    def keep(operations: list[Json]) -> None:
        resource.private["operations"] = operations
        resource.properties["timestamp"] = now()
        resource.properties["duration"] = f"PT{(datetime.now(UTC) - began).total_seconds():.7f}S"
        ctx.resources.put(resource)

    _register_namespaces(ctx, template, call)
    run = Run(_resources(ctx), template, call, keep)
    try:
        resource.properties["outputs"] = await run.all()
    except ServiceError as error:
        resource.properties["error"] = {"code": error.code, "message": error.message, "details": list(error.details)}
        raise
    finally:
        resource.private["parameters"] = {}  # secure ones are deleted after their use
    resource.properties["outputResources"] = [{"id": planned.id} for planned in template.resources]


def _register_namespaces(ctx: Context, template: Template, call: Call) -> None:
    """Register the providers that the template names, as far as the caller may: a deployment does so by itself.

    Source: learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types.
    """
    for namespace in sorted({planned.type.split("/", 1)[0] for planned in template.resources}):
        if ctx.authorizer.allows(call.principal, f"{namespace}/register/action", f"/subscriptions/{SUBSCRIPTION_ID}"):
            ctx.resources.registrations.register([namespace])


def _resources(ctx: Context) -> Resources:
    resources: Resources = ctx.offered[Arm].resources
    return resources


async def _list(ctx: Context, parent: str, call: Call) -> list[Resource]:
    return ctx.resources.children(parent, DEPLOYMENT)


async def _export(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    return {"template": resource.private["template"]}


def _deployment(ctx: Context, parameters: Mapping[str, str]) -> Resource:
    deployment = ctx.resources.get(f"{parameters['scope']}/providers/{DEPLOYMENT}/{parameters['name']}")
    if deployment is None:
        raise ServiceError(404, "DeploymentNotFound", f"Deployment '{parameters['name']}' could not be found.")
    return deployment


async def _operations(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    deployment = _deployment(ctx, parameters)
    url = f"{deployment.id}/operations"
    operations = [
        {"id": f"{url}/{operation['operationId']}", **operation}
        for operation in deployment.private.get("operations", [])
    ]
    return page(operations, call.query, f"{call.base_url}{url}")


async def _operation(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    deployment = _deployment(ctx, parameters)
    for operation in deployment.private.get("operations", []):
        if operation["operationId"] == parameters["operation"]:
            return {"id": f"{deployment.id}/operations/{operation['operationId']}", **operation}
    raise ServiceError(
        404, "DeploymentOperationNotFound", f"The operation '{parameters['operation']}' could not be found."
    )


async def _validate(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    id_ = f"{parameters['scope']}/providers/{DEPLOYMENT}/{parameters['name']}"
    template = _template(ctx, id_, body.get("properties") or {})
    return {
        "id": id_, "name": parameters["name"], "type": DEPLOYMENT,
        "properties": {
            "mode": "Incremental", "provisioningState": "Succeeded", "timestamp": now(), "duration": "PT0S",
            "parameters": template.shown_parameters(), "correlationId": str(uuid.uuid4()),
            "validatedResources": [{"id": planned.id} for planned in template.resources],
        },
    }  # fmt: skip


async def _what_if(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """POST …/whatIf. Azure answers 202 first; its clients accept an immediate result as well."""
    id_ = f"{parameters['scope']}/providers/{DEPLOYMENT}/{parameters['name']}"
    properties = body.get("properties") or {}
    template = _template(ctx, id_, properties)
    settings = properties.get("whatIfSettings") or {}
    full = str(settings.get("resultFormat", "FullResourcePayloads")).lower() != "resourceidonly"
    prediction = WhatIf(ctx, _resources(ctx), lambda id_, inner: _template(ctx, id_, inner), full=full)
    rid = ids.parse(id_)
    group = rid.parent if rid is not None and rid.resource_group else None
    if group is not None and ctx.resources.get(group) is None:
        name = group.rsplit("/", 1)[-1]
        raise ServiceError(404, "ResourceGroupNotFound", f"Resource group '{name}' could not be found.")
    return {"status": "Succeeded", "properties": {"changes": await prediction.changes(template, group)}}


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=DEPLOYMENT,
            api_versions=_VERSIONS,
            name=NameRule(
                r"[A-Za-z0-9_.()-]{1,64}",
                "The deployment name '{name}' is not valid: use 1 to 64 letters, digits, '-', '.', '_', '(' and ')'.",
                "InvalidDeploymentName",
            ),
            required=("properties",),
            complete=_complete,
            on_put=_on_put,
            list_in=_list,
            actions={"exportTemplate": _export},
            patchable=False,
            long_running=frozenset({"put", "delete"}),
        )
    )
    root = "{scope...}/providers/Microsoft.Resources/deployments/{name}"
    short = "{scope...}/deployments/{name}"  # so that a search finds the operations of a resource group's deployments
    routes = (
        ("GET", f"{root}/operations", "operations/read", _operations),
        ("GET", f"{root}/operations/{{operation}}", "operations/read", _operation),
        ("POST", f"{root}/validate", "validate/action", _validate),
        ("POST", f"{root}/whatIf", "whatIf/action", _what_if),
        ("GET", f"{short}/operations", "operations/read", _operations),
        ("GET", f"{short}/operations/{{operation}}", "operations/read", _operation),
    )
    ctx.types.register_routes(
        *(
            ProviderRoute(
                method=method,
                template=template,
                permission=f"{DEPLOYMENT}/{verb}",
                handler=handler,
                api_versions=_VERSIONS,
            )
            for method, template, verb, handler in routes
        )
    )
