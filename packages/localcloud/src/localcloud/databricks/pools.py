"""/api/2.0/instance-pools. A pool's idle instances are warm Spark drivers (warm.py)."""

from __future__ import annotations

import secrets

from localcloud.core.json import Json
from localcloud.databricks import errors, permissions
from localcloud.databricks.catalog import NODE_TYPES, check_runtime
from localcloud.databricks.request import Call, check_unknown

_FIELDS = frozenset(
    {
        "instance_pool_name", "node_type_id", "min_idle_instances", "max_capacity", "custom_tags", "azure_attributes",
        "idle_instance_autotermination_minutes", "preloaded_spark_versions", "enable_elastic_disk", "disk_spec",
    }
)  # fmt: skip
_FIXED = ("node_type_id", "azure_attributes", "enable_elastic_disk", "disk_spec")
MAX_IDLE_MINUTES = 10_000


def create(call: Call) -> Json:
    if not call.caller.is_admin and "allow-instance-pool-create" not in call.caller.entitlements:
        raise errors.permission_denied(
            f"{call.caller.name} is not authorized to create instance pools. Please contact your administrator."
        )
    name = call.text("instance_pool_name")
    call.text("node_type_id")
    pool = _checked(call, dict(call.parameters))
    _check_name(call, name, None)
    pool_id = f"{secrets.token_hex(2)}-{secrets.token_hex(3)}-pool-{secrets.token_hex(4)}"
    pool |= {"instance_pool_id": pool_id, "state": "ACTIVE", "creator": call.caller.name}
    pool["default_tags"] = {
        "Vendor": "Databricks",
        "DatabricksInstancePoolId": pool_id,
        "DatabricksInstancePoolCreatorId": call.caller.id,
    }
    call.documents.put("pool", pool_id, pool)
    if not call.caller.is_admin:
        permissions.write_acl(
            call.documents, "instance-pools", pool_id, {f"service_principal_name:{call.caller.name}": "CAN_MANAGE"}
        )
    call.services.warm.pool_changed(call.workspace, pool)
    return {"instance_pool_id": pool_id}


def edit(call: Call) -> Json:
    pool_id = call.text("instance_pool_id")
    old = _require(call, pool_id, "CAN_MANAGE")
    name = call.text("instance_pool_name")
    changes = {key: value for key, value in call.parameters.items() if key != "instance_pool_id"}
    for key in _FIXED:
        if key in changes and key in old and changes[key] != old[key] and not isinstance(changes[key], dict):
            raise errors.invalid(f"The field {key} of instance pool {pool_id} cannot be changed: it is {old[key]!r}.")
    _check_name(call, name, pool_id)
    kept = {key: old[key] for key in (*_FIXED, "instance_pool_id", "state", "creator", "default_tags") if key in old}
    pool = _checked(call, {**{k: v for k, v in kept.items() if k in _FIXED}, **changes}) | {
        k: v for k, v in kept.items() if k not in _FIXED
    }
    # An edit replaces its settings, but a pool retains its preloaded runtimes when none are named.
    pool.setdefault("preloaded_spark_versions", old.get("preloaded_spark_versions", []))
    call.documents.put("pool", pool_id, pool)
    call.services.warm.pool_changed(call.workspace, pool)
    return {}


def get(call: Call) -> Json:
    return _render(call, _require(call, call.text("instance_pool_id"), "CAN_ATTACH_TO"))


def list_(call: Call) -> Json:
    visible = [
        _render(call, pool)
        for pool in call.documents.all("pool")
        if permissions.allows(call.documents, call.caller, "instance-pools", pool["instance_pool_id"], "CAN_ATTACH_TO")
    ]
    return {"instance_pools": visible} if visible else {}


def delete(call: Call) -> Json:
    pool_id = call.text("instance_pool_id")
    _require(call, pool_id, "CAN_MANAGE")
    call.documents.delete("pool", pool_id)
    permissions.delete_acl(call.documents, "instance-pools", pool_id)
    call.services.warm.pool_deleted(call.workspace, pool_id)
    return {}


def _require(call: Call, pool_id: str, level: str) -> Json:
    pool = call.documents.get("pool", pool_id)
    if pool is None:
        raise errors.missing(f"Can't find an instance pool with id: {pool_id}.")
    permissions.require(call.documents, call.caller, "instance-pools", pool_id, level, f"instance pool {pool_id}")
    return pool


def _check_name(call: Call, name: str, pool_id: str | None) -> None:
    if not 1 <= len(name) <= 100:
        raise errors.invalid(f"Instance pool name {name!r} must have 1 to 100 characters.")
    for other in call.documents.all("pool"):
        if other["instance_pool_name"] == name and other["instance_pool_id"] != pool_id:
            raise errors.invalid(f"Instance pool name {name} is already used by pool {other['instance_pool_id']}.")


def _checked(call: Call, body: Json) -> Json:
    check_unknown(body, _FIELDS, "instance pools")
    body = {key: value for key, value in body.items() if value is not None}
    node_type = body.get("node_type_id")
    if node_type not in NODE_TYPES:
        raise errors.invalid(f"Node type {node_type} is not supported. Supported node types: {', '.join(NODE_TYPES)}.")
    body["min_idle_instances"] = _count(body, "min_idle_instances", 0, 0)
    body["idle_instance_autotermination_minutes"] = _count(body, "idle_instance_autotermination_minutes", 60, 0)
    if body["idle_instance_autotermination_minutes"] > MAX_IDLE_MINUTES:
        raise errors.invalid(f"idle_instance_autotermination_minutes must be between 0 and {MAX_IDLE_MINUTES}.")
    if "max_capacity" in body:
        capacity = _count(body, "max_capacity", 1, 1)
        if capacity < body["min_idle_instances"]:
            raise errors.invalid(
                f"max_capacity ({capacity}) must not be less than min_idle_instances ({body['min_idle_instances']})."
            )
        body["max_capacity"] = capacity
    versions = body.get("preloaded_spark_versions") or []
    if len(versions) > 1:
        raise errors.invalid(f"At most one preloaded Spark version is allowed, got {', '.join(versions)}.")
    for version in versions:
        check_runtime(str(version), "pools that preload")
    body.setdefault("azure_attributes", {"availability": "ON_DEMAND_AZURE"})
    body.setdefault("enable_elastic_disk", True)
    return body


def _count(body: Json, name: str, default: int, least: int) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise errors.invalid(f"{name} must be an integer of at least {least}, got {value!r}.")
    return value


def _render(call: Call, pool: Json) -> Json:
    stats = call.services.warm.counts(call.workspace, pool["instance_pool_id"])
    return {key: value for key, value in pool.items() if key != "creator"} | {"stats": stats, "status": {}}
