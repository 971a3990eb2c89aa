"""Microsoft.KeyVault/vaults/secrets: creation of secrets by ARM. It shows no value and deletes none, as on Azure."""

from __future__ import annotations

from localcloud.arm.resource_types import Call, ResourceType
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.keyvault.arm.objects import VaultObjects
from localcloud.keyvault.arm.vaults import VAULT, VERSIONS
from localcloud.keyvault.authorization import held
from localcloud.keyvault.secret_store import Secret, SecretStore

SECRET = f"{VAULT}/secrets"
_VALUE = "properties.value"


def _render(vault: Resource, secret: Secret) -> Resource:
    uri = f"{str(vault.properties['vaultUri']).rstrip('/')}/secrets/{secret.name}"
    properties: Json = {
        "attributes": dict(secret.attributes), "secretUri": uri, "secretUriWithVersion": f"{uri}/{secret.version}",
    }  # fmt: skip
    if secret.content_type is not None:
        properties["contentType"] = secret.content_type
    return Resource(
        id=f"{vault.id}/secrets/{secret.name}", type=SECRET, name=secret.name, location=vault.location,
        tags=dict(secret.tags), properties=properties,
    )  # fmt: skip


_OBJECTS = VaultObjects("secret", SecretStore, _render)


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Check a secret. Raises ServiceError 400 for a new one without a value, 409 for the name of a deleted one."""
    vault = _OBJECTS.vault_of(ctx, resource.id)
    value = resource.private.get("writeOnly", {}).get(_VALUE)
    if (existing is None or value is not None) and not isinstance(value, str):
        raise ServiceError(400, "BadRequest", f"The secret '{resource.name}' needs a value, which is a text.")
    if not isinstance(resource.properties.get("attributes") or {}, dict):
        raise ServiceError(400, "BadRequest", "The property 'attributes' is no object.")
    if vault is not None and SecretStore(ctx.database).get(vault.name, resource.name, deleted=True) is not None:
        raise held("Secret", resource.name)
    resource.system_data = None


async def _put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    """Make a new version with a value; without one, change attributes of the current version."""
    vault = _OBJECTS.vault_of(ctx, resource.id)
    if vault is None:
        return
    store, properties = SecretStore(ctx.database), resource.properties
    value = resource.private.get("writeOnly", {}).get(_VALUE)
    tags, attributes = dict(resource.tags or {}), dict(properties.get("attributes") or {})
    kind = properties.get("contentType")
    current = store.get(vault.name, resource.name)
    if value is not None or current is None:
        store.put(vault.name, resource.name, str(value), kind, tags, attributes)
    else:
        store.update(current, kind, tags, attributes)


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=SECRET,
            api_versions=tuple(version for version in VERSIONS if version >= "2016-10-01"),
            name=_OBJECTS.name,
            write_only=(_VALUE,),
            complete=_complete,
            on_put=_put,
            read=_OBJECTS.read,
            list_in=_OBJECTS.list_in,
            provisioning_state=False,
            allow_delete=False,
        )
    )
