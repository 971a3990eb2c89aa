"""workspaces/onlineEndpoints as an ARM type.

Source: the ARM specification (OnlineEndpointProperties: traffic sums to 100, mirrored traffic to at most 50),
azure-ai-ml `_online_endpoint_operations.py`, learn.microsoft.com "Authentication for managed online endpoints" (roles,
also of a system-assigned identity), "Perform safe rollout" (traffic).
"""

from __future__ import annotations

from localcloud.arm import identity
from localcloud.arm.exclusive import itself
from localcloud.arm.resource_types import Call, ResourceType
from localcloud.azureml import endpoint_names
from localcloud.azureml.common import API_VERSIONS, WORKSPACE, user_error, workspace_of
from localcloud.azureml.online import credentials
from localcloud.core.context import Context
from localcloud.core.errors import not_emulated
from localcloud.core.resource import Resource

TYPE = f"{WORKSPACE}/onlineEndpoints"
VERSIONS = tuple(version for version in API_VERSIONS if version >= "2021-03-01-preview")
_MODES = {"key": "Key", "amltoken": "AMLToken", "aadtoken": "AADToken"}
_ACCESS = {"enabled": "Enabled", "disabled": "Disabled"}
_MOST_MIRRORED = 50
_STORAGE_ROLE, _REGISTRY_ROLE = "Storage Blob Data Reader", "AcrPull"


def register(ctx: Context) -> None:
    """Register the type."""
    ctx.types.register(
        ResourceType(
            type=TYPE,
            api_versions=VERSIONS,
            name=endpoint_names.NAME,
            tracked=True,
            required=("properties.authMode",),
            complete=_complete,
            on_put=_grant_roles,
            actions={
                "listKeys": credentials.list_keys,
                "regenerateKeys": credentials.regenerate_keys,
                "token": credentials.token,
            },
            locks=itself,
            long_running=frozenset({"put", "delete"}),
        )
    )


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    properties = resource.properties
    if properties.get("compute"):
        raise not_emulated("Kubernetes online endpoints: localcloud has managed ones, without 'compute'")
    mode = _MODES.get(str(properties["authMode"]).lower())
    if mode is None:
        raise user_error(f"authMode '{properties['authMode']}' is not valid: use Key, AMLToken or AADToken.")
    access = _ACCESS.get(str(properties.get("publicNetworkAccess") or "Enabled").lower())
    if access is None:
        raise user_error(
            f"publicNetworkAccess '{properties['publicNetworkAccess']}' is not valid: use Enabled or Disabled."
        )
    if existing is None:
        endpoint_names.check_new_endpoint(ctx, resource)
    properties |= {"authMode": mode, "publicNetworkAccess": access, "compute": None}
    credentials.complete(resource)
    _complete_traffic(ctx, resource)
    # A managed endpoint always has an identity (azure-ai-ml sends this one where none is chosen).
    if not identity.kinds(resource.identity):
        resource.identity = {"type": "SystemAssigned"}
    resource.kind = resource.kind or "Managed"
    region = resource.location or workspace_of(ctx, resource.id).location
    host = f"https://{resource.name.lower()}.{region}.inference.ml.azure.com"
    properties |= {"scoringUri": f"{host}/score", "swaggerUri": f"{host}/swagger.json"}
    own = dict(properties.get("properties") or {})
    properties["properties"] = own | {"azureml.onlineendpointid": resource.id.lower()}


def _complete_traffic(ctx: Context, resource: Resource) -> None:
    traffic = _shares(resource, "traffic")
    mirrored = _shares(resource, "mirrorTraffic")
    for name in {**traffic, **mirrored}:
        if ctx.resources.get(f"{resource.id}/deployments/{name}") is None:
            raise user_error(
                f"The traffic of endpoint '{resource.name}' names the deployment '{name}', which does not exist.",
                code="BadArgument",
            )
    total = sum(traffic.values())
    if total not in {0, 100}:
        raise user_error(
            f"The traffic of endpoint '{resource.name}' sums to {total}: it must sum to 100, or to 0 for none.",
            code="BadArgument",
        )
    if len([name for name, share in mirrored.items() if share]) > 1 or sum(mirrored.values()) > _MOST_MIRRORED:
        raise user_error(
            f"The mirrored traffic of endpoint '{resource.name}' is {mirrored}: at most {_MOST_MIRRORED} percent can "
            "be mirrored, to one deployment.",
            code="BadArgument",
        )
    if both := sorted(name for name, share in mirrored.items() if share and traffic.get(name)):
        raise user_error(
            f"The deployment '{both[0]}' has live traffic: traffic is mirrored to a deployment that has none.",
            code="BadArgument",
        )
    resource.properties |= {"traffic": traffic, "mirrorTraffic": mirrored}


def _shares(resource: Resource, field: str) -> dict[str, int]:
    shares = resource.properties.get(field) or {}
    if not isinstance(shares, dict):
        raise user_error(f"properties.{field} must be an object of deployment names and percentages.")
    for name, share in shares.items():
        if not isinstance(share, int) or isinstance(share, bool) or not 0 <= share <= 100:
            raise user_error(f"properties.{field}['{name}'] is {share!r}: use a whole number from 0 to 100.")
    return shares


async def _grant_roles(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Give a system-assigned identity the roles with which it loads models, as the service does."""
    principal = ctx.identities.by_object_id(str((resource.identity or {}).get("principalId") or ""))
    if principal is None:
        return
    workspace = workspace_of(ctx, resource.id)
    for role, linked in ((_STORAGE_ROLE, "storageAccount"), (_REGISTRY_ROLE, "containerRegistry")):
        target = ctx.resources.get(str(workspace.properties.get(linked) or ""))
        if target is not None:
            ctx.authorizer.assign(principal, role, target.id)
