"""/api/2.0/policies/clusters and /api/2.0/policy-families."""

from __future__ import annotations

import secrets

from localcloud.core.json import Json
from localcloud.databricks import errors, permissions, policy_rules
from localcloud.databricks.clock import now_ms
from localcloud.databricks.request import Call, check_unknown

_FIELDS = frozenset({"name", "definition", "description", "max_clusters_per_user", "policy_id"})


def create(call: Call) -> Json:
    call.require_admin("create cluster policies")
    policy = _checked(call, None)
    policy_id = secrets.token_hex(8).upper()
    policy |= {
        "policy_id": policy_id,
        "creator_user_name": call.caller.name,
        "created_at_timestamp": now_ms(),
        "is_default": False,
    }
    call.documents.put("policy", policy_id, policy)
    return {"policy_id": policy_id}


def edit(call: Call) -> Json:
    call.require_admin("edit cluster policies")
    old = _require(call, call.text("policy_id"))
    kept = {key: old[key] for key in ("policy_id", "creator_user_name", "created_at_timestamp", "is_default")}
    call.documents.put("policy", old["policy_id"], _checked(call, old["policy_id"]) | kept)
    return {}


def get(call: Call) -> Json:
    policy = _require(call, call.text("policy_id"))
    permissions.require(
        call.documents, call.caller, "cluster-policies", policy["policy_id"], "CAN_USE", f"policy {policy['name']}"
    )
    return policy


def list_(call: Call) -> Json:
    visible = [
        policy
        for policy in call.documents.all("policy")
        if permissions.allows(call.documents, call.caller, "cluster-policies", policy["policy_id"], "CAN_USE")
    ]
    visible.sort(key=lambda policy: policy["name"], reverse=call.optional_text("sort_order") == "DESC")
    return {"policies": visible, "total_count": len(visible)}


def delete(call: Call) -> Json:
    call.require_admin("delete cluster policies")
    policy = _require(call, call.text("policy_id"))
    call.documents.delete("policy", policy["policy_id"])
    permissions.delete_acl(call.documents, "cluster-policies", policy["policy_id"])
    return {}


def families(call: Call) -> Json:
    """Return no family: families are Databricks' own templates, and a policy needs none."""
    return {"policy_families": []}


def _require(call: Call, policy_id: str) -> Json:
    policy = call.documents.get("policy", policy_id)
    if policy is None:
        raise errors.missing(f"Can't find a cluster policy with id: {policy_id}.")
    return policy


def _checked(call: Call, policy_id: str | None) -> Json:
    body = {key: value for key, value in call.parameters.items() if value is not None and value != ""}
    check_unknown(body, _FIELDS, "cluster policies")
    name = call.text("name")
    if not 1 <= len(name) <= 100:
        raise errors.invalid(f"Policy name {name!r} must have 1 to 100 characters.")
    for other in call.documents.all("policy"):
        if other["name"] == name and other["policy_id"] != policy_id:
            raise errors.invalid(f"Cluster policy name {name} is already used by policy {other['policy_id']}.")
    policy_rules.parse(call.text("definition"))
    return body
