"""The identity that a job runs as: its choice among the identities of its compute, or its submitter."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.azureml.common import user_error
from localcloud.azureml.jobs.specification import Identity
from localcloud.core.context import Context, Principal
from localcloud.core.errors import not_emulated
from localcloud.core.resource import Resource

_KINDS = {
    "amltoken": "token", "aml_token": "token",
    "managed": "managed", "managed_identity": "managed",
    "useridentity": "user", "user_identity": "user", "user": "user",
}  # fmt: skip


@dataclass(frozen=True)
class JobIdentity:
    """`data` reads inputs and writes outputs; `managed` is the identity of the process's tokens. None is no identity.

    `attached` are all identities of the compute, whose tokens the process gets where it names one by its client id
    ("Set up service authentication": "provide the client_id corresponding to the managed identity you want to use").
    """

    data: Principal | None
    managed: Principal | None
    attached: tuple[Principal, ...] = ()


def of_job(ctx: Context, compute: Resource | None, choice: Identity | None, submitter: Principal) -> JobIdentity:
    """Return the identities of a job on `compute` (None: serverless).

    Raises ServiceError 400 for a managed identity that the compute does not have.
    """
    kind = _kind(choice)
    if kind == "user" or (compute is None and kind == "token"):
        compute_identities = _identities(ctx, compute) if compute is not None else []
        principals = tuple(principal for _, principal in compute_identities)
        return JobIdentity(submitter, principals[0] if principals else None, principals)
    if compute is None:
        raise not_emulated("serverless jobs with a managed identity: use an AmlCompute cluster")
    identities = _identities(ctx, compute)
    attached = tuple(principal for _, principal in identities)
    named = choice.ids if choice is not None else frozenset()
    if kind == "managed" and named:
        for id_, principal in identities:
            if named & {id_.lower(), principal.app_id.lower(), principal.object_id.lower()}:
                return JobIdentity(principal, principal, attached)
        raise user_error(
            f"The identity {', '.join(sorted(named))} of the job is not assigned to compute '{compute.name}': "
            "assign it to the compute first."
        )
    if kind == "managed" and not identities:
        raise user_error(f"The job asks for a managed identity, but compute '{compute.name}' has none.")
    first = identities[0][1] if identities else None
    return JobIdentity(first, first, attached)


def _kind(choice: Identity | None) -> str:
    if choice is None:
        return "token"
    if choice.kind.lower() not in _KINDS:
        raise user_error(f"The identity type '{choice.kind}' is not valid: use AMLToken, Managed or UserIdentity.")
    return _KINDS[choice.kind.lower()]


def _identities(ctx: Context, compute: Resource) -> list[tuple[str, Principal]]:
    """Return (resource id, principal) of each identity: the user-assigned ones first, then the system-assigned one."""
    assigned = compute.identity or {}
    principals = []
    for id_, detail in (assigned.get("userAssignedIdentities") or {}).items():
        principal = ctx.identities.by_object_id(str((detail or {}).get("principalId", "")))
        if principal is not None:
            principals.append((str(id_), principal))
    system = ctx.identities.by_object_id(str(assigned.get("principalId") or ""))
    if system is not None:
        principals.append((compute.id, system))
    return principals
