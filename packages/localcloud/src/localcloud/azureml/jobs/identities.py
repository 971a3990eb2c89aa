"""Whom a job runs as: its own choice among the identities of its compute, or the one who submitted it."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.azureml.common import user_error
from localcloud.core.context import Context, Principal
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_KINDS = {
    "amltoken": "token", "aml_token": "token",
    "managed": "managed", "managed_identity": "managed",
    "useridentity": "user", "user_identity": "user", "user": "user",
}  # fmt: skip


@dataclass(frozen=True)
class JobIdentity:
    """`data`: who reads inputs and writes outputs; `managed`: whom the job's process gets tokens of. None: nobody."""

    data: Principal | None
    managed: Principal | None


def of_job(ctx: Context, compute: Resource | None, wanted: Json | None, submitter: Principal) -> JobIdentity:
    """The identities of a job on `compute` (None: serverless).

    `wanted` is the job's choice, {"identityType": "Managed", "clientId": …}. Raises ServiceError 400 for a managed
    identity that the compute does not have.
    """
    kind = _kind(wanted)
    if kind == "user" or (compute is None and kind == "token"):
        of_compute = _identities(ctx, compute) if compute is not None else []
        return JobIdentity(submitter, of_compute[0][1] if of_compute else None)
    if compute is None:
        raise user_error("Serverless jobs with a managed identity are not emulated: use an AmlCompute cluster.", 501)
    identities = _identities(ctx, compute)
    named = _named(wanted or {})
    if kind == "managed" and named:
        for id_, principal in identities:
            if named & {id_.lower(), principal.app_id.lower(), principal.object_id.lower()}:
                return JobIdentity(principal, principal)
        raise user_error(
            f"The identity {', '.join(sorted(named))} of the job is not assigned to compute '{compute.name}': "
            "assign it to the compute first."
        )
    if kind == "managed" and not identities:
        raise user_error(f"The job asks for a managed identity, but compute '{compute.name}' has none.")
    first = identities[0][1] if identities else None
    return JobIdentity(first, first)


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
