"""Secrets of a vault: set, read, list, delete softly, recover, purge, back up and restore."""

from __future__ import annotations

import time

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.keyvault.authorization import (
    Action,
    Handler,
    VaultCall,
    check_purge,
    deletion,
    held,
    json_body,
    paged,
    recovery,
)
from localcloud.keyvault.backups import Backups
from localcloud.keyvault.secret_store import Secret, SecretStore

_LARGEST = 25 * 1024
"""Bytes of a value ("Azure Key Vault secrets": 25k)."""


def _action(name: str, permission: str) -> Action:
    return Action("secrets", name, permission)


class Secrets:
    """Handlers over one context."""

    def __init__(self, ctx: Context) -> None:
        self._store = SecretStore(ctx.database)
        self._backups = Backups(ctx.database)

    def table(self) -> list[tuple[str, str, Action, Handler]]:
        """Return method, path, permission and handler."""
        read, listed = _action("getSecret", "get"), _action("readMetadata", "list")
        written = _action("setSecret", "set")
        return [
            ("GET", "/secrets", listed, self.list_all),
            ("GET", "/secrets/{name}/versions", listed, self.versions),
            ("PUT", "/secrets/{name}", written, self.put),
            ("GET", "/secrets/{name}", read, self.get),
            ("GET", "/secrets/{name}/{version}", read, self.get),
            ("PATCH", "/secrets/{name}/{version}", written, self.update),
            ("DELETE", "/secrets/{name}", _action("delete", "delete"), self.delete),
            ("POST", "/secrets/{name}/backup", _action("backup", "backup"), self.backup),
            ("POST", "/secrets/restore", _action("restore", "restore"), self.restore),
            ("GET", "/deletedsecrets", listed, self.list_deleted),
            ("GET", "/deletedsecrets/{name}", listed, self.get_deleted),
            ("DELETE", "/deletedsecrets/{name}", _action("purge", "purge"), self.purge),
            ("POST", "/deletedsecrets/{name}/recover", _action("recover", "recover"), self.recover),
        ]

    async def put(self, call: VaultCall) -> Json:
        body = await json_body(call)
        if not isinstance(body.get("value"), str):
            raise ServiceError(400, "BadParameter", "Property  has invalid value: value is missing or not text.")
        if len(body["value"].encode()) > _LARGEST:
            raise ServiceError(
                400, "BadParameter", f"The value of secret {call.name} is too long: at most {_LARGEST} bytes are kept."
            )
        self._check_free(call, call.name)
        secret = self._store.put(
            call.vault.name, call.name, body["value"], body.get("contentType"), body.get("tags") or {},
            body.get("attributes") or {},
        )  # fmt: skip
        return self._render(call, secret)

    def _check_free(self, call: VaultCall, name: str) -> None:
        if self._store.get(call.vault.name, name, deleted=True) is not None:
            raise held("Secret", name)

    async def backup(self, call: VaultCall) -> Json:
        """Return all versions of a secret, sealed: only a vault of the same subscription can open it."""
        self._existing(call)
        return {"value": self._backups.seal(self._store.versions(call.vault.name, call.name))}

    async def restore(self, call: VaultCall) -> Json:
        """Restore a backup. Raises 409 for the name of an existing or recoverable secret, 400 for other bytes."""
        body = await json_body(call)
        versions = self._backups.open(body.get("value"))
        name = versions[0].name
        self._check_free(call, name)
        if self._store.get(call.vault.name, name) is not None:
            raise ServiceError(409, "Conflict", f"The secret {name} already exists in vault {call.vault.name}.")
        self._store.restore(call.vault.name, versions)
        return self._render(call, self._store.versions(call.vault.name, name)[0], value=False)

    async def get(self, call: VaultCall) -> Json:
        secret = self._existing(call)
        if not secret.attributes.get("enabled", True):
            raise ServiceError(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
        return self._render(call, secret)

    async def update(self, call: VaultCall) -> Json:
        body = await json_body(call)
        changed = self._store.update(
            self._existing(call), body.get("contentType"), body.get("tags"), body.get("attributes") or {}
        )
        return self._render(call, changed, value=False)

    async def list_all(self, call: VaultCall) -> Json:
        return paged(call, [self._item(call, secret) for secret in self._store.current(call.vault.name)])

    async def versions(self, call: VaultCall) -> Json:
        versions = self._store.versions(call.vault.name, call.name)
        return paged(call, [self._item(call, secret, versioned=True) for secret in versions])

    async def delete(self, call: VaultCall) -> Json:
        self._existing(call)
        self._store.mark(call.vault.name, call.name, int(time.time()))
        return self._deleted(call)

    async def get_deleted(self, call: VaultCall) -> Json:
        return self._deleted(call)

    async def list_deleted(self, call: VaultCall) -> Json:
        deleted = self._store.current(call.vault.name, deleted=True)
        return paged(
            call,
            [self._item(call, secret) | deletion(call, "secrets", secret.name, secret.deleted) for secret in deleted],
        )

    async def recover(self, call: VaultCall) -> Json:
        secret = self._existing(call, deleted=True)
        self._store.mark(call.vault.name, call.name, None)
        return self._render(call, secret, value=False)

    async def purge(self, call: VaultCall) -> None:
        self._existing(call, deleted=True)
        check_purge(call)
        self._store.purge(call.vault.name, call.name)

    def _existing(self, call: VaultCall, *, deleted: bool = False) -> Secret:
        secret = self._store.get(call.vault.name, call.name, call.version, deleted=deleted)
        if secret is None:
            name = f"{call.name}/{call.version}" if call.version else call.name
            raise ServiceError(
                404,
                "SecretNotFound",
                f"A {'deleted ' if deleted else ''}secret with (name/id) {name} was not found in this key vault. If "
                "you recently deleted this secret you may be able to recover it using the correct recovery command. "
                "For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
            )
        return secret

    def _item(self, call: VaultCall, secret: Secret, *, versioned: bool = False) -> Json:
        item: Json = {
            "id": f"{call.base}/secrets/{secret.name}" + (f"/{secret.version}" if versioned else ""),
            "attributes": secret.attributes | recovery(call.vault),
            "tags": secret.tags,
        }
        if secret.content_type is not None:
            item["contentType"] = secret.content_type
        return item

    def _render(self, call: VaultCall, secret: Secret, *, value: bool = True) -> Json:
        item = self._item(call, secret, versioned=True)
        return {"value": secret.value} | item if value else item

    def _deleted(self, call: VaultCall) -> Json:
        secret = self._existing(call, deleted=True)
        return self._render(call, secret, value=False) | deletion(call, "secrets", secret.name, secret.deleted)
