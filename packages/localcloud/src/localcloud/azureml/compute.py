"""Computes: AmlCompute clusters. Their nodes are this machine, so a cluster is ready at once."""

from __future__ import annotations

import re

from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.azureml.common import API_VERSIONS, WORKSPACE, user_error
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now

TYPE = f"{WORKSPACE}/computes"
_ADMIN = "properties.properties.userAccountCredentials"
_SIZE = re.compile(r"STANDARD_[A-Z]+\d+[A-Z0-9]*(-\d+[A-Z]*)?(_[A-Z0-9]+)*", re.IGNORECASE)
_DURATION = re.compile(r"P(?=.)(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    outer = resource.properties
    kind = outer.get("computeType")
    if kind != "AmlCompute":
        raise not_emulated(f"computes of type {kind!r}: localcloud has AmlCompute")
    if {"systemassigned", "userassigned"} <= set(
        re.findall(r"\w+", str((resource.identity or {}).get("type")).lower())
    ):
        # "Set up service authentication": one system-assigned identity or several user-assigned ones, not both.
        raise user_error(
            f"Compute '{resource.name}' can have one system-assigned identity or user-assigned identities, not both."
        )
    inner = outer.get("properties") or {}
    before = ((existing.properties.get("properties") if existing is not None else None) or {}) if existing else {}
    size = inner.get("vmSize") or before.get("vmSize")
    check_size(size, "vmSize")
    if before and str(before["vmSize"]).upper() != str(size).upper():
        # Azure/azure-rest-api-specs#18889: a cluster keeps its size for life.
        raise user_error(f"The vmSize of compute '{resource.name}' cannot be changed.", code="BadArgument")
    scale = {"minNodeCount": 0, "nodeIdleTimeBeforeScaleDown": "PT2M"} | (inner.get("scaleSettings") or {})
    _check_scale(resource.name, scale)
    priority = inner.get("vmPriority") or "Dedicated"
    if priority not in {"Dedicated", "LowPriority"}:
        raise user_error(f"vmPriority '{priority}' is not valid: use Dedicated or LowPriority.")
    nodes = int(scale["minNodeCount"])
    inner = {"osType": "Linux", "enableNodePublicIp": True, "isolatedNetwork": False} | inner
    outer["properties"] = inner | {
        "vmSize": str(size).upper(), "vmPriority": priority, "scaleSettings": scale,
        "remoteLoginPortPublicAccess": inner.get("remoteLoginPortPublicAccess") or "Disabled",
        "allocationState": "Steady", "allocationStateTransitionTime": now(), "errors": None,
        "currentNodeCount": nodes, "targetNodeCount": nodes,
        "nodeStateCounts": {
            "idleNodeCount": nodes, "runningNodeCount": 0, "preparingNodeCount": 0, "unusableNodeCount": 0,
            "leavingNodeCount": 0, "preemptedNodeCount": 0,
        },
    }  # fmt: skip
    stamp = now()
    outer["createdOn"] = (existing.properties.get("createdOn") if existing is not None else None) or stamp
    outer["modifiedOn"] = stamp
    outer["computeLocation"] = outer.get("computeLocation") or resource.location
    outer.setdefault("disableLocalAuth", False)
    outer["isAttachedCompute"] = False
    outer["provisioningErrors"] = None


def check_size(size: object, label: str) -> None:
    """Raise ServiceError 400 for a text that is no virtual machine size."""
    if not size or _SIZE.fullmatch(str(size)) is None:
        raise user_error(f"{label} '{size}' is not valid: give a virtual machine size such as STANDARD_DS3_V2.")


def _check_scale(name: str, scale: Json) -> None:
    low, high = scale.get("minNodeCount"), scale.get("maxNodeCount")
    if not isinstance(high, int) or not isinstance(low, int) or not 0 <= low <= high:
        raise user_error(
            f"scaleSettings of compute '{name}' are not valid: minNodeCount is {low!r} and maxNodeCount {high!r}; use "
            "0 <= minNodeCount <= maxNodeCount."
        )
    idle = scale["nodeIdleTimeBeforeScaleDown"]
    if _DURATION.fullmatch(str(idle)) is None:
        raise user_error(f"nodeIdleTimeBeforeScaleDown '{idle}' is not an ISO 8601 duration, such as PT2M.")


async def _on_delete(ctx: Context, resource: Resource, call: Call) -> None:
    """Check underlyingResourceAction, which the API requires; the deletion of a whole workspace has none."""
    if call.query.get("underlyingResourceAction", "Delete") not in {"Delete", "Detach"}:
        raise ServiceError(400, "BadRequest", "underlyingResourceAction must be Delete or Detach.")


async def _list_nodes(ctx: Context, resource: Resource, body: Json, call: Call) -> Json:
    return {"nodes": []}


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=TYPE,
            api_versions=API_VERSIONS,
            name=NameRule(
                r"(?=.{2,16}$)[a-zA-Z][a-zA-Z0-9-]*[a-zA-Z0-9]",
                "The specified compute name '{name}' is invalid: use 2 to 16 letters, digits and hyphens, beginning "
                "with a letter.",
                "UserError",
            ),
            required=("properties.computeType",),
            immutable=("properties.computeType",),
            write_only=tuple(f"{_ADMIN}.{name}" for name in ("adminUserPassword", "adminUserSshPublicKey")),
            complete=_complete,
            on_delete=_on_delete,
            actions={"listNodes": _list_nodes},
            long_running=frozenset({"put", "delete"}),
        )
    )
