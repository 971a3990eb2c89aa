"""Microsoft.KeyVault/vaults/keys: creation of keys by ARM. It changes and deletes no key, as on Azure."""

from __future__ import annotations

from localcloud.arm.resource_types import Call, ResourceType
from localcloud.core.context import Context
from localcloud.core.resource import Resource
from localcloud.keyvault.arm.objects import VaultObjects
from localcloud.keyvault.arm.vaults import VAULT, VERSIONS
from localcloud.keyvault.key_store import Key, KeyStore
from localcloud.keyvault.keys import Keys, checked_request

KEY = f"{VAULT}/keys"


def _render(vault: Resource, key: Key) -> Resource:
    base = str(vault.properties["vaultUri"]).rstrip("/")
    return Resource(
        id=f"{vault.id}/keys/{key.name}",
        type=KEY,
        name=key.name,
        location=vault.location,
        tags=dict(key.tags),
        properties={
            "attributes": key.attributes,
            "kty": key.kind,
            "keySize": key.private.key_size,
            "keyOps": list(key.operations),
            "keyUri": f"{base}/keys/{key.name}",
            "keyUriWithVersion": f"{base}/keys/{key.name}/{key.version}",
        },
    )


_OBJECTS = VaultObjects("key", KeyStore, _render)


def _complete(ctx: Context, resource: Resource, existing: Resource | None) -> None:
    """Create a key; leave an existing one alone."""
    vault = _OBJECTS.vault_of(ctx, resource.id)
    if existing is None and vault is not None:
        properties = resource.properties
        checked_request(
            properties.get("kty"), properties.get("keySize"), properties.get("keyOps"), vault.properties["sku"]["name"]
        )
        Keys(ctx).check_not_deleted(vault.name, resource.name)
    resource.system_data = None


async def _put(ctx: Context, resource: Resource, existing: Resource | None, call: Call) -> None:
    vault = _OBJECTS.vault_of(ctx, resource.id)
    if existing is not None or vault is None:
        return
    properties = resource.properties
    kind, size, operations = checked_request(
        properties.get("kty"), properties.get("keySize"), properties.get("keyOps"), vault.properties["sku"]["name"]
    )
    KeyStore(ctx.database).create(
        vault.name, resource.name, kind, size, operations, dict(resource.tags or {}), properties.get("attributes") or {}
    )


def register(ctx: Context) -> None:
    ctx.types.register(
        ResourceType(
            type=KEY,
            api_versions=tuple(version for version in VERSIONS if version >= "2019-09-01"),
            name=_OBJECTS.name,
            required=("properties.kty",),
            complete=_complete,
            on_put=_put,
            read=_OBJECTS.read,
            list_in=_OBJECTS.list_in,
            create_status=200,
            provisioning_state=False,
            patchable=False,
            allow_delete=False,
        )
    )
