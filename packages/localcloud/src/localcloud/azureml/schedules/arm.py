"""workspaces/schedules as an ARM type.

Source: azure-ai-ml's SchedulesOperations (`_restclient/arm_ml_service`) and its recorded tests of schedules: 201 with
Azure-AsyncOperation, an enabled schedule cannot be deleted, `listViewType` is EnabledOnly by default.
"""

from __future__ import annotations

from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml.common import API_VERSIONS, user_error
from localcloud.azureml.schedules import definitions, triggers
from localcloud.azureml.schedules.scheduler import TYPE, Scheduler
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_VERSIONS = tuple(version for version in API_VERSIONS if version >= "2022-06-01-preview")
_VIEWS = {"enabledonly": (True,), "disabledonly": (False,), "all": (True, False)}
_NAME = NameRule(
    r"[a-zA-Z0-9][a-zA-Z0-9\-_]{0,254}",
    "The schedule name '{name}' is invalid: use letters, digits, '-' and '_', at most 255, and begin with a letter or "
    "digit.",
    "UserError",
)


def register(ctx: Context) -> None:
    """Register the type, and let the scheduler start with the gateway."""
    hooks = _Hooks(Scheduler(ctx))
    ctx.on_start.append(hooks.scheduler.start)
    ctx.types.register(
        ResourceType(
            type=TYPE,
            api_versions=_VERSIONS,
            name=_NAME,
            required=("properties.trigger", "properties.action"),
            complete=_complete,
            on_put=hooks.put,
            on_delete=hooks.delete,
            check_delete=_check_delete,
            list_in=_list,
            actions={"trigger": hooks.trigger},
            long_running=frozenset({"put", "delete"}),
            patchable=False,
        )
    )


class _Hooks:
    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler

    async def put(self, ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
        """Plan it. A new one without a start time runs at once (azure-ai-ml's CronTrigger)."""
        resource.private["writer"] = call.principal.object_id
        resource.private.setdefault("created", ctx.clock.now().isoformat())
        at_once = existing is None and resource.properties["trigger"]["startTime"] is None
        self.scheduler.plan(resource, at_once=at_once)

    async def delete(self, ctx: Context, resource: Resource, call: Call) -> None:
        self.scheduler.forget(resource)

    async def trigger(self, ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
        """Start the job of an enabled schedule once, now (azure-ai-ml's ScheduleTriggerResult)."""
        if not resource.properties["isEnabled"]:
            raise user_error(f"The schedule '{resource.name}' is disabled: enable it before you trigger it.")
        job = await self.scheduler.fire(resource, ctx.clock.now())
        return {"scheduleActionType": "CreateJob", "submissionId": job.name}


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    trigger = triggers.parse(properties["trigger"])
    properties["action"] = definitions.complete(ctx, resource, properties["action"])
    properties["trigger"] = trigger.to_json()
    enabled = properties.get("isEnabled")
    if enabled not in (True, False, None):
        raise user_error(f"properties.isEnabled must be true or false, not {enabled!r:.100}.")
    properties["isEnabled"] = enabled is not False
    # A schedule that is over can still be disabled and deleted.
    if properties["isEnabled"] and trigger.end is not None and trigger.end <= ctx.clock.now():
        raise user_error(
            f"The endTime '{properties['trigger']['endTime']}' of the trigger of schedule '{resource.name}' is in the "
            "past: it would never run."
        )
    for name in ("tags", "properties"):
        properties[name] = dict(properties.get(name) or {})


def _check_delete(ctx: Context, resource: Resource) -> None:
    if resource.properties["isEnabled"]:
        raise user_error(
            f"Cannot delete an active trigger: disable the schedule '{resource.name}' before you delete it."
        )


async def _list(ctx: Context, parent: str, call: Call) -> list[Resource]:
    view = call.query.get("listViewType", "EnabledOnly")
    view_type = _VIEWS.get(view.lower())
    if view_type is None:
        raise user_error(f"The listViewType '{view}' is not valid: use EnabledOnly, DisabledOnly or All.")
    return [
        schedule for schedule in ctx.resources.children(parent, TYPE) if schedule.properties["isEnabled"] in view_type
    ]
