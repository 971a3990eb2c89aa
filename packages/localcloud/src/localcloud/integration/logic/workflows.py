"""Microsoft.Logic/workflows of the Consumption plan, and the address of their trigger.

Source: azure-rest-api-specs, Microsoft.Logic 2019-05-01 (Workflows, WorkflowTriggers_ListCallbackUrl), and
pulumi_azure_native.logic. Names: learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping

from localcloud.arm.resource_types import Call, NameRule, ProviderRoute, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now
from localcloud.integration.logic import definitions, signatures
from localcloud.integration.logic.definitions import Http
from localcloud.integration.logic.run_store import WORKFLOW
from localcloud.integration.logic.runner import Runner

VERSIONS = ("2016-06-01", "2018-07-01-preview", "2019-05-01")
TEMPLATE = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Logic/workflows/{workflow}"
_NOT_HERE = (
    "integrationAccount",
    "integrationServiceEnvironment",
    "endpointsConfiguration",
    "accessControl",
    "parameters",
)


def register(ctx: Context, runner: Runner) -> None:
    """Register the type, and the operation that returns the trigger's address."""
    hooks = _Hooks(runner)
    ctx.types.register(
        ResourceType(
            type=WORKFLOW,
            api_versions=VERSIONS,
            name=NameRule(
                r"[\w.()-]{1,43}",
                "The workflow name '{name}' is invalid: it must be 1 to 43 letters, digits, '-', '_', '.' and "
                "parentheses.",
            ),
            tracked=True,
            required=("properties.definition",),
            complete=_complete,
            on_delete=hooks.delete,
            actions={"enable": hooks.enable, "disable": hooks.disable},
            patchable=False,
            note="a Request trigger; the actions Http, If, Wait and Terminate",
        )
    )
    ctx.types.register_routes(
        ProviderRoute(
            method="POST",
            template=f"{TEMPLATE}/triggers/{{trigger}}/listCallbackUrl",
            permission=f"{WORKFLOW}/triggers/listCallbackUrl/action",
            handler=_callback_url,
            api_versions=VERSIONS,
        )
    )


def workflow_of(ctx: Context, parameters: Mapping[str, str]) -> Resource:
    """Return the workflow that a path names. Raises ServiceError 404."""
    id_ = (
        f"/subscriptions/{parameters['subscription']}/resourceGroups/{parameters['group']}/providers/{WORKFLOW}/"
        f"{parameters['workflow']}"
    )
    workflow = ctx.resources.get(id_)
    if workflow is None:
        raise ServiceError(
            404,
            "ResourceNotFound",
            f"The Resource '{WORKFLOW}/{parameters['workflow']}' under resource group '{parameters['group']}' was not "
            "found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        )
    return workflow


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    for name in _NOT_HERE:
        if properties.get(name):
            raise not_emulated(f"workflows with {name}")
    state = properties.get("state") or "Enabled"
    if state not in {"Enabled", "Disabled"}:
        raise definitions.invalid(f"The state {state!r:.40} must be Enabled or Disabled.")
    definition = definitions.parse(properties["definition"])
    _check_identities(resource, [action.work for action in definition.all() if isinstance(action.work, Http)])
    guid = resource.private.setdefault("guid", uuid.uuid4().hex)
    resource.private.setdefault("key", secrets.token_urlsafe(32))
    before = {} if existing is None else existing.properties
    properties["state"] = state
    properties["createdTime"] = before.get("createdTime") or now()
    properties["changedTime"] = now()
    properties["version"] = f"{(1 << 63) - uuid.uuid4().int % 10**15:020d}"
    properties["accessEndpoint"] = f"https://{signatures.host(resource)}:443/workflows/{guid}"


def _check_identities(resource: Resource, requests: list[Http]) -> None:
    """Raise ServiceError 400 where an action signs in with an identity that the workflow does not have."""
    block = resource.identity or {}
    assigned = {id_.lower() for id_ in block.get("userAssignedIdentities") or {}}
    system = "systemassigned" in str(block.get("type", "")).lower()
    for request in requests:
        if request.audience is None:
            continue
        if not system if request.identity is None else request.identity.lower() not in assigned:
            raise ServiceError(
                400,
                "WorkflowManagedIdentityNotSpecified",
                f"The workflow '{resource.name}' does not have managed identity enabled or the identity has been "
                f"deleted: an action signs in as {request.identity or 'the system-assigned identity'}.",
            )


class _Hooks:
    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def delete(self, ctx: Context, resource: Resource, call: Call) -> None:
        self._runner.forget(resource.id)

    async def enable(self, ctx: Context, resource: Resource, body: Json, call: Call) -> None:
        _switch(ctx, resource, "Enabled")

    async def disable(self, ctx: Context, resource: Resource, body: Json, call: Call) -> None:
        _switch(ctx, resource, "Disabled")


def _switch(ctx: Context, resource: Resource, state: str) -> None:
    resource.properties["state"] = state
    ctx.resources.put(resource)


async def _callback_url(ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
    """Return the address that starts a run for any holder: it is signed."""
    workflow = workflow_of(ctx, parameters)
    name = definitions.parse(workflow.properties["definition"]).trigger.name
    if parameters["trigger"] != name:
        raise ServiceError(
            404, "WorkflowTriggerNotFound",
            f"The workflow '{workflow.name}' trigger '{parameters['trigger']}' could not be found.",
        )  # fmt: skip
    return signatures.callback(workflow, name)
