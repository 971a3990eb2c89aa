"""Whom a job runs as: its own choice among the identities of its compute, or the one who submitted it."""

from __future__ import annotations

from typing import Any

from localcloud.arm.store import Resource
from localcloud.azureml.common import user_error
from localcloud.core.context import Context, Principal

Json = dict[str, Any]

_KINDS = {
    "amltoken": "token", "aml_token": "token",
    "managed": "managed", "managed_identity": "managed",
    "useridentity": "user", "user_identity": "user", "user": "user",
}  # fmt: skip


def of_job(ctx: Context, compute: Resource | None, wanted: Json | None, submitter: Principal) -> Principal | None:
    """The principal of a job on `compute` (None: serverless). None when the compute has no identity at all.

    `wanted` is the job's identity, {"identityType": "Managed", "clientId": …}. Raises ServiceError 400 for a managed
    identity that the compute does not have.
    """
    kind = _kind(wanted)
    if kind == "user" or (compute is None and kind == "token"):
        return submitter
    if compute is None:
        raise user_error("Serverless jobs with a managed identity are not emulated: use an AmlCompute cluster.", 501)
    identities = _identities(ctx, compute)
    named = _named(wanted or {})
    if kind == "managed" and named:
        for id_, principal in identities:
            if named & {id_.lower(), principal.app_id.lower(), principal.object_id.lower()}:
                return principal
        raise user_error(
            f"The identity {', '.join(sorted(named))} of the job is not assigned to compute '{compute.name}': "
            "assign it to the compute first."
        )
    if kind == "managed" and not identities:
        raise user_error(f"The job asks for a managed identity, but compute '{compute.name}' has none.")
    return identities[0][1] if identities else None


def _kind(wanted: Json | None) -> str:
    if not wanted:
        return "token"
    given = str(wanted.get("identityType") or wanted.get("identity_type") or wanted.get("type") or "")
    if given.lower() not in _KINDS:
        raise user_error(f"The identity type '{given}' is not valid: use AMLToken, Managed or UserIdentity.")
    return _KINDS[given.lower()]


def _named(wanted: Json) -> set[str]:
    keys = ("clientId", "client_id", "objectId", "object_id", "resourceId", "resource_id", "msi_resource_id")
    return {str(wanted[key]).lower() for key in keys if wanted.get(key)}


def _identities(ctx: Context, compute: Resource) -> list[tuple[str, Principal]]:
    """(resource id, principal): the user-assigned ones first, then the system-assigned one."""
    given = compute.identity or {}
    found = []
    for id_, detail in (given.get("userAssignedIdentities") or {}).items():
        principal = ctx.identities.by_object_id(str((detail or {}).get("principalId", "")))
        if principal is not None:
            found.append((str(id_), principal))
    system = ctx.identities.by_object_id(str(given.get("principalId") or ""))
    if system is not None:
        found.append((compute.id, system))
    return found
