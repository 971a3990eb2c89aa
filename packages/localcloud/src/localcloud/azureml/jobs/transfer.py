"""Data between storage and a job's folder, as the job's identity: requests that storage would refuse are refused here.

The check is the storage front's own; the bytes then go straight to and from Azurite. Blocking: call it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from localcloud.arm import private_link
from localcloud.azureml import paths, registries, registry_storage
from localcloud.azureml.paths import BlobPath
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.storage import errors
from localcloud.storage.addresses import Target
from localcloud.storage.operations import need_of

_ACCOUNT = "Microsoft.Storage/storageAccounts"
_WORKERS = 8


State = dict[str, tuple[int, int]]
"""Files of a folder by relative path: (time of change in ns, size)."""


def state_of(folder: Path) -> State:
    result = {file: file.stat() for file in sorted(folder.rglob("*")) if file.is_file()}
    return {file.relative_to(folder).as_posix(): (stat.st_mtime_ns, stat.st_size) for file, stat in result.items()}


class Transfer:
    """Transfers of one localcloud: the threads are shared by all jobs."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="azureml-transfer")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def reach(
        self,
        workspace: Resource,
        principal: Principal | None,
        uri: str,
        *,
        write: bool = False,
        submitter: Principal | None = None,
    ) -> BlobPath:
        """Return the blobs of a URI, if `principal` may read (or write) them.

        The service hands out a registry's files to readers of its assets: the job's identity or its submitter.

        Raises ServiceError 403 in storage's words (AuthorizationPermissionMismatch …), 404 for an unknown account.
        """
        place = paths.blob_path(self._ctx, workspace, uri)
        account = self._ctx.resources.named(_ACCOUNT, place.account)
        if account is None:
            raise ServiceError(404, "AccountDoesNotExist", f"There is no storage account '{place.account}'.")
        if private_link.refused(self._ctx, account, "blob"):
            raise errors.network_refused()
        kind = self._credentials(workspace, uri)
        if kind == "AccountKey" and account.properties.get("allowSharedKeyAccess") is False:
            raise errors.key_refused()
        if kind in {"AccountKey", "Sas"}:
            return place
        if principal is not None and self._allowed(principal, account, place, write=write):
            return place
        # This check is last: it searches every registry, and few files are in one.
        if not write and self._in_registry(place.account, principal, submitter):
            return place
        if principal is None:
            raise ServiceError(
                403, "NoIdentity", "The job has no identity to reach storage with: give its compute a managed identity."
            )
        raise errors.permission_mismatch()

    def _allowed(self, principal: Principal, account: Resource, place: BlobPath, *, write: bool) -> bool:
        need = need_of("PUT" if write else "GET", Target(place.container, place.path or "-"), {}, {})
        scope = f"{account.id}/blobServices/default/containers/{place.container}"
        return any(self._ctx.authorizer.allows(principal, action, scope, data=need.data) for action in need.actions)

    def _in_registry(self, account: str, *readers: Principal | None) -> bool:
        registry = registries.holding(self._ctx, account)
        return registry is not None and any(
            self._ctx.authorizer.allows(reader, f"{registry_storage.PERMISSION}/read", registry.id)
            for reader in readers
            if reader is not None
        )

    def _credentials(self, workspace: Resource, uri: str) -> str:
        _, separator, rest = uri.partition("/datastores/")
        store = self._ctx.resources.get(f"{workspace.id}/datastores/{rest.split('/')[0]}") if separator else None
        credentials = (store.properties.get("credentials") if store is not None else None) or {}
        return str(credentials.get("credentialsType", "None"))

    def download_file(self, place: BlobPath, target: Path) -> Path:
        """Download one blob into the folder `target`, by its name. Raises ServiceError 404."""
        target.mkdir(parents=True, exist_ok=True)
        file = target / PurePosixPath(place.path).name
        try:
            self._fetch(self._container(place), place.path, file)
        except ResourceNotFoundError as error:
            file.unlink(missing_ok=True)
            raise _not_found(place) from error
        return file

    def download_folder(self, place: BlobPath, target: Path) -> Path:
        """Download every blob below a prefix. Raises ServiceError 404 when there is none."""
        prefix = place.path.rstrip("/") + "/" if place.path.strip("/") else ""
        container = self._container(place)
        target.mkdir(parents=True, exist_ok=True)
        try:
            blobs = list(container.list_blobs(name_starts_with=prefix or None, include=["metadata"]))
        except ResourceNotFoundError as error:
            raise _not_found(place) from error
        names = [item.name for item in blobs if not item.name.endswith("/") and not _is_directory(item.metadata)]
        files = [(name, _inside(target, name[len(prefix) :])) for name in names]
        if not blobs:
            raise _not_found(place)
        for folder in {file.parent for _, file in files}:
            folder.mkdir(parents=True, exist_ok=True)
        self._all(lambda pair: self._fetch(container, *pair), files)
        return target

    def is_file(self, place: BlobPath) -> bool:
        if not place.path:
            return False
        try:
            blob = self._container(place).get_blob_client(place.path).get_blob_properties()
        except ResourceNotFoundError:
            return False
        return not _is_directory(blob.metadata)

    def upload_folder(self, source: Path, place: BlobPath, before: State | None = None) -> None:
        """Upload every file of a folder below a prefix; with `before` only the changes since then, deletions too."""
        container = self._container(place)
        prefix = place.path.rstrip("/") + "/" if place.path.strip("/") else ""
        known, after = before or {}, state_of(source)
        changed = [name for name, state in after.items() if known.get(name) != state]
        self._all(lambda name: self._send(container, source / name, prefix + name), changed)
        self._all(lambda name: container.delete_blob(prefix + name), [name for name in known if name not in after])

    def upload_file(self, source: Path, place: BlobPath) -> None:
        self._send(self._container(place), source, place.path)

    def _container(self, place: BlobPath) -> Any:
        return self._ctx.storage.service_client(place.account).get_container_client(place.container)

    def _all(self, work: Any, items: Iterable[Any]) -> None:
        for _ in self._pool.map(work, items):
            pass

    @staticmethod
    def _fetch(container: Any, name: str, file: Path) -> None:
        with file.open("wb") as content:
            container.download_blob(name).readinto(content)

    @staticmethod
    def _send(container: Any, file: Path, name: str) -> None:
        with file.open("rb") as content:
            container.upload_blob(name, content, overwrite=True)


def _inside(target: Path, relative: str) -> Path:
    """Blob names may hold `..`: none may leave the job's folder."""
    file = (target / relative).resolve()
    if not file.is_relative_to(target.resolve()):
        raise ServiceError(400, "InvalidBlobName", f"The blob name '{relative}' leads out of the input's folder.")
    return file


def _is_directory(metadata: dict[str, str] | None) -> bool:
    """Whether a blob represents a directory of Data Lake Storage: Spark's outputs have such blobs at every level."""
    return any(name.lower() == "hdi_isfolder" for name in metadata or {})


def _not_found(place: BlobPath) -> ServiceError:
    return ServiceError(404, "NotFound", f"There is nothing at '{place.url}'.")
