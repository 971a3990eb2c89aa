"""Requests to ACCOUNT.dfs.core.windows.net: the blob endpoint's checks, then the operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping

from starlette.requests import Request
from starlette.responses import Response

from localcloud.core.context import Principal
from localcloud.core.errors import not_emulated
from localcloud.core.resource import Resource
from localcloud.storage import errors
from localcloud.storage.addresses import Target, check_name, lake_path, query_of, raw_path_of, raw_query_of
from localcloud.storage.authorization import Gate
from localcloud.storage.azurite import HOP_BY_HOP, Azurite
from localcloud.storage.azurite_accounts import StorageFabric
from localcloud.storage.created_blobs import CreatedBlobs
from localcloud.storage.dfs import filesystems, listing, paths, rename, signature, updates
from localcloud.storage.dfs.call import Call, target_of
from localcloud.storage.dfs.needs import Operation, demands_of, operation_of, renamed
from localcloud.storage.dfs.tree import Turns

_HANDLERS: dict[Operation, Callable[[Call], Awaitable[Response]]] = {
    Operation.LIST_FILESYSTEMS: filesystems.list_all,
    Operation.CREATE_FILESYSTEM: filesystems.create,
    Operation.SET_FILESYSTEM_PROPERTIES: filesystems.set_properties,
    Operation.GET_FILESYSTEM_PROPERTIES: filesystems.show,
    Operation.DELETE_FILESYSTEM: filesystems.delete,
    Operation.LIST_PATHS: listing.list_paths,
    Operation.CREATE: paths.create,
    Operation.RENAME: rename.rename,
    Operation.READ: paths.read,
    Operation.PROPERTIES: paths.show,
    Operation.LEASE: paths.lease,
    Operation.UPDATE: updates.update,
    Operation.DELETE: paths.delete,
}


class DataLake:
    """Handler of the dfs endpoint."""

    def __init__(self, gate: Gate, azurite: Azurite, fabric: StorageFabric, created_blobs: CreatedBlobs) -> None:
        self._gate = gate
        self._fabric = fabric
        self._created_blobs = created_blobs
        self._azurite = azurite
        self._turns = Turns()

    async def answer(self, request: Request, host: str) -> Response:
        """Answer a request. Raises ServiceError for every refusal."""
        account = self._gate.account(host, "dfs")
        query = query_of(raw_query_of(request))
        raw_path = raw_path_of(request)
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        # Clients that cannot send PATCH, such as Java's, use a header. The signature is the PUT's.
        method = headers.get("x-http-method-override", request.method).upper()
        target = target_of(raw_path)
        operation = operation_of(method, target, query, headers)
        named = list(_named(operation, target, query, headers))
        for place in named:
            check_name(place)
        entry = self._gate.enter(
            request, account, raw_path, query, headers, lambda: demands_of(operation, target, query, headers)
        )
        principal = entry.principal
        if not entry.trusted:
            principal = self._signed(account, operation, target, query, headers)
        if self._gate.keeps_out_dfs(account):
            raise errors.endpoint_unsupported()
        for place in named:
            if place.container:
                filesystems.check_name(place.container)
        call = Call(request, method, account, target, query, headers, principal, self._azurite, self._turns, self._gate)
        response = await _HANDLERS[operation](call)
        api = _creating(operation, query)
        if api is not None:
            self._created_blobs.in_lake(request, account, target, api, response)
        return response

    def _signed(
        self,
        account: Resource,
        operation: Operation,
        target: Target,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> Principal | None:
        """Return the principal whose delegation key signed the request, None for localcloud's own services."""
        if "sig" not in query:
            raise errors.not_signed_in(public=False, challenge=True)
        if "skoid" not in query:
            raise not_emulated("account and service SAS at the dfs endpoint: use a user delegation SAS or a token")
        signature.check(self._fabric.secret, account.name, operation, target, query, headers)
        return self._gate.delegator(query)


def _creating(operation: Operation, query: Mapping[str, str]) -> str | None:
    """Return the name that events have for an operation which creates a file, None for any other."""
    if operation is Operation.CREATE and query.get("resource", "").lower() == "file":
        return "CreateFile"
    flushes = operation is Operation.UPDATE and query.get("action", "").lower() == "flush"
    return "FlushWithClose" if flushes and query.get("close", "").lower() == "true" else None


def _named(
    operation: Operation, target: Target, query: Mapping[str, str], headers: Mapping[str, str]
) -> Iterator[Target]:
    """Return every place that a request names."""
    yield target
    if operation is Operation.RENAME:
        yield renamed(headers)
    if operation is Operation.LIST_PATHS:
        yield Target(target.container, lake_path(query.get("directory", "")))
