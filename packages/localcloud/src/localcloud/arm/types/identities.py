"""Microsoft.ManagedIdentity: user-assigned identities and their federated credentials."""

from __future__ import annotations

from localcloud.arm.identity import USER_ASSIGNED
from localcloud.arm.resource_types import Call, NameRule, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

_VERSIONS = (
    "2015-08-31-preview", "2018-11-30", "2021-09-30-preview", "2022-01-31-preview", "2023-01-31", "2023-07-31-preview",
    "2024-11-30", "2025-01-31-preview", "2025-05-31-preview",
)  # fmt: skip


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Make the principal once, with the identity; its ids never change."""
    if existing is not None:
        resource.properties = existing.properties
        return
    principal = ctx.identities.create_principal(resource.name, kind="ServicePrincipal")
    resource.properties = {
        "tenantId": principal.tenant_id,
        "principalId": principal.object_id,
        "clientId": principal.app_id,
    }


async def _delete(ctx: Context, resource: Resource, call: Call) -> None:
    ctx.identities.delete_principal(resource.properties["principalId"])


def _complete_credential(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    audiences = properties.get("audiences")
    if not isinstance(audiences, list) or len(audiences) != 1:
        raise ServiceError(
            400,
            "BadRequest",
            f"audiences has {audiences!r}: give exactly one, such as ['api://AzureADTokenExchange'].",
        )
    if not str(properties.get("issuer", "")).startswith("https://"):
        raise ServiceError(
            400, "BadRequest", f"The issuer {properties.get('issuer')!r} is not valid: it must be an https URL."
        )
    for other in ctx.resources.children(resource.id.rsplit("/", 2)[0], resource.type):
        same = all(other.properties[key] == properties[key] for key in ("issuer", "subject"))
        if same and other.id.lower() != resource.id.lower():
            raise ServiceError(
                409,
                "Conflict",
                f"Issuer and subject combination already exists for this Managed Identity, in '{other.name}'.",
            )


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=USER_ASSIGNED,
            api_versions=_VERSIONS,
            name=NameRule(
                r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
                "The resource name '{name}' is invalid: use 3 to 128 letters, digits, hyphens and underscores, "
                "starting with "
                "a letter or digit.",
                "InvalidResourceName",
            ),
            tracked=True,
            complete=_complete,
            on_delete=_delete,
            provisioning_state=False,
        ),
        ResourceType(
            type=f"{USER_ASSIGNED}/federatedIdentityCredentials",
            api_versions=tuple(version for version in _VERSIONS if version >= "2022"),
            name=NameRule(
                r"[A-Za-z0-9][A-Za-z0-9_-]{2,119}",
                "The federated credential name '{name}' is invalid: use 3 to 120 letters, digits, hyphens and "
                "underscores.",
            ),
            required=("properties.issuer", "properties.subject", "properties.audiences"),
            complete=_complete_credential,
            provisioning_state=False,
        ),
    )
