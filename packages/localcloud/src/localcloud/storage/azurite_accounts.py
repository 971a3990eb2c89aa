"""Azurite as the store of every storage account: its accounts file, its command line, and server-side clients of it."""

from __future__ import annotations

import json
import os
import secrets
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import (
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    ExponentialRetry,
    UserDelegationKey,
    generate_blob_sas,
    generate_container_sas,
)

from localcloud.core.settings import TENANT_ID, Settings
from localcloud.storage import delegation_keys

if TYPE_CHECKING:
    from localcloud.core.context import Context
    from localcloud.core.resource import ResourceStore

_ACCOUNT_TYPE = "Microsoft.Storage/storageAccounts"


class StorageFabric:
    """Implements core.context.BlobStorage.

    Keys are stored with the account's resource; Azurite gets a copy in a file.
    """

    def __init__(self, settings: Settings, resources: ResourceStore) -> None:
        self._settings = settings
        self._resources = resources
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], BlobServiceClient] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        self.secret = self._known().get("secret") or secrets.token_hex(32)
        self._write({account.name: account.private["keys"] for account in resources.list(_ACCOUNT_TYPE)})

    @property
    def folder(self) -> Path:
        """Azurite's data, and its accounts file."""
        return self._settings.home / "azurite"

    @property
    def accounts_file(self) -> Path:
        return self.folder / "accounts.json"

    def command(self, node: str, package: Path) -> list[str]:
        """Return the command that starts Azurite: `package` is the folder of the npm package azurite."""
        return [
            node, str(Path(__file__).with_name("azurite.js")), str(package), str(self.accounts_file),
            "--blobHost", "127.0.0.1", "--blobPort", str(self._settings.azurite_port),
            "--location", str(self.folder), "--silent", "--skipApiVersionCheck", "--disableTelemetry",
        ]  # fmt: skip

    def keys(self, account: str) -> list[str] | None:
        """Return the account's two keys, None for a missing account."""
        resource = self._resources.named(_ACCOUNT_TYPE, account)
        return None if resource is None else list(resource.private["keys"])

    def set_account(self, account: str, keys: list[str]) -> None:
        """Let Azurite know an account, or its new keys, at once."""
        with self._lock:
            self._write(self._known()["accounts"] | {account: keys})

    def drop_account(self, account: str) -> None:
        """Delete an account's containers and forget its keys. An account whose creation failed has neither."""
        if account not in self._known().get("accounts", {}):
            return
        for container in self.containers(account):
            self.delete_container(account, container.name)
        with self._lock:
            self._write({name: keys for name, keys in self._known()["accounts"].items() if name != account})

    def _known(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.accounts_file.read_text()) if self.accounts_file.exists() else {}
        return content

    def _write(self, accounts: dict[str, list[str]]) -> None:
        new = self.accounts_file.with_suffix(".new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump({"secret": self.secret, "accounts": accounts}, stream)
        new.replace(self.accounts_file)

    def blob_url(self, account: str, container: str = "", blob: str = "") -> str:
        path = "/".join(part for part in (container, blob) if part)
        return f"https://{account}.blob.core.windows.net/{path}"

    def sas_url(
        self, account: str, container: str, blob: str = "", *, permissions: str = "rl", hours: float = 24
    ) -> str:
        """`permissions` are SAS letters (racwdl…).

        It is a user delegation SAS, so that it is valid where shared keys are off; it needs no role of the delegator.
        """
        if self.keys(account) is None:
            raise KeyError(f"no storage account {account!r}")
        start, end = _period(timedelta(hours=hours))
        key = self._delegation_key(delegation_keys.SERVICE_OBJECT_ID, start, end)
        if blob:
            token = generate_blob_sas(
                account, container, blob, user_delegation_key=key, start=start, expiry=end, protocol="https",
                permission=BlobSasPermissions.from_string(permissions.replace("l", "")),
            )  # fmt: skip
        else:
            token = generate_container_sas(
                account, container, user_delegation_key=key, start=start, expiry=end, protocol="https",
                permission=ContainerSasPermissions.from_string(permissions),
            )  # fmt: skip
        return f"{self.blob_url(account, container, quote(blob, safe='/~'))}?{token}"

    def directory_sas(
        self, account: str, container: str, directory: str, *, object_id: str, permissions: str, lifetime: timedelta
    ) -> tuple[str, datetime]:
        """Make a SAS as azure-storage-file-datalake does. See core.context.BlobStorage."""
        start, end = _period(lifetime)
        key = self._delegation_key(object_id, start, end)
        if not directory:
            token = generate_container_sas(
                account, container, user_delegation_key=key, start=start, expiry=end, protocol="https",
                permission=permissions,
            )  # fmt: skip
        else:
            token = generate_blob_sas(
                account, container, directory, user_delegation_key=key, start=start, expiry=end, protocol="https",
                permission=permissions, is_directory=True, sdd=directory.count("/") + 1,
            )  # fmt: skip
        return str(token), end

    def _delegation_key(self, object_id: str, start: datetime, end: datetime) -> UserDelegationKey:
        key = UserDelegationKey()  # type: ignore[no-untyped-call]
        key.signed_oid, key.signed_tid, key.signed_service = object_id, TENANT_ID, "b"
        key.signed_start, key.signed_expiry = (moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (start, end))
        key.signed_version = delegation_keys.KEY_VERSION
        key.value = delegation_keys.key_value(
            self.secret, object_id, key.signed_start, key.signed_expiry, key.signed_version
        )
        return key

    def service_client(self, account: str) -> BlobServiceClient:
        """Return a client with the account's key. Raises KeyError for a missing account."""
        key = self._first_key(account)
        client = self._clients.get((account, key))
        if client is None:
            client = BlobServiceClient(
                f"http://127.0.0.1:{self._settings.azurite_port}/{account}",
                credential={"account_name": account, "account_key": key},
                retry_policy=ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=3),
            )
            self._clients[account, key] = client
        return client

    def _first_key(self, account: str) -> str:
        keys = self.keys(account)
        if keys is None:
            raise KeyError(f"no storage account {account!r}")
        return keys[0]

    def containers(self, account: str, prefix: str = "") -> list[Any]:
        """azure.storage.blob.ContainerProperties of all containers."""
        return list(
            self.service_client(account).list_containers(name_starts_with=prefix or None, include_metadata=True)
        )

    def container_properties(self, account: str, container: str) -> Any | None:
        try:
            return self.service_client(account).get_container_client(container).get_container_properties()
        except HttpResponseError as error:
            if error.status_code in {400, 404}:  # a name that no container can have is of none
                return None
            raise

    def put_container(self, account: str, container: str, access: str | None, metadata: dict[str, str]) -> None:
        """Create it, or set metadata and public access ("blob", "container" or None) of an existing one."""
        client = self.service_client(account).get_container_client(container)
        try:
            client.create_container(metadata=metadata, public_access=access)
        except ResourceExistsError:
            client.set_container_metadata(metadata)
            client.set_container_access_policy({}, public_access=access)

    def delete_container(self, account: str, container: str) -> None:
        try:
            self.service_client(account).delete_container(container)
        except ResourceNotFoundError:
            return


def _period(lifetime: timedelta) -> tuple[datetime, datetime]:
    """Return the times from a moment ago, for clocks that are late, to the end of the lifetime."""
    now = datetime.now(UTC).replace(microsecond=0)
    return now - timedelta(minutes=5), now + lifetime


def fabric_of(ctx: Context) -> StorageFabric:
    """Return the context's storage with its own type, for ARM's storage types."""
    return cast(StorageFabric, ctx.storage)
