"""Context of every service: no module of localcloud keeps state of its own.

The protocols here are the seams between services; their one implementation is named beside each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from localcloud.core.blob_events import BlobListener
from localcloud.core.clock import Clock
from localcloud.core.database import Database
from localcloud.core.resource import ResourceStore
from localcloud.core.settings import Settings


@dataclass(frozen=True)
class Principal:
    """Principal that a token represents. Role assignments name `object_id`; `app_id` is the client id."""

    object_id: str
    app_id: str
    tenant_id: str
    display_name: str
    kind: str = "ServicePrincipal"


class Identities(Protocol):
    """Entra's directory and token service: localcloud.entra.directory.Directory."""

    def create_principal(
        self, display_name: str, *, secret: str | None = None, kind: str = "ServicePrincipal"
    ) -> Principal:
        """Make a service principal (a managed identity has no secret)."""
        ...

    def delete_principal(self, object_id: str) -> None: ...

    def by_object_id(self, object_id: str) -> Principal | None: ...

    def by_app_id(self, app_id: str) -> Principal | None: ...

    def issue_token(self, principal: Principal, audience: str, *, lifetime_seconds: int = 3600) -> str:
        """Return a signed JWT whose `aud` is `audience`."""
        ...

    def authenticate(self, authorization: str | None, audiences: frozenset[str]) -> Principal:
        """Check a `Bearer …` header. Raises ServiceError 401 (InvalidAuthenticationToken or its kin) if not valid."""
        ...

    def grant_workload(self, app_ids: Mapping[str, str] | None, default_app_id: str) -> str:
        """Return a secret for MSI_SECRET.

        Its holder may request tokens of `default_app_id` from the identity endpoint, and of the client ids that are
        values of `app_ids`.
        """
        ...

    def revoke_workload(self, secret: str) -> None: ...


class Authorizer(Protocol):
    """Access control over the role assignments in the ARM store: localcloud.arm.authorization.Authorization."""

    def allows(
        self,
        principal: Principal,
        action: str,
        scope: str,
        *,
        data: bool = False,
        attributes: Mapping[str, Mapping[str, Sequence[str]]] = ...,
    ) -> bool:
        """Return whether a role allows an action, such as Microsoft.Storage/storageAccounts/write, at an ARM id.

        `data` is for dataActions. Conditions on role assignments read `attributes`: see localcloud.arm.conditions.
        """
        ...

    def assign(self, principal: Principal, role_name: str, scope: str) -> None:
        """Give a built-in role at a scope, once, as a service of Azure does for its own managed identities."""
        ...


class BlobStorage(Protocol):
    """Azurite behind the storage frontend: localcloud.storage.azurite_accounts.StorageFabric.

    Server-side access, no role check: callers act for a service of Azure, and check the principal themselves where
    Azure would.
    """

    def blob_url(self, account: str, container: str = "", blob: str = "") -> str:
        """Return the public address: https://ACCOUNT.blob.core.windows.net/CONTAINER/BLOB."""
        ...

    def sas_url(
        self, account: str, container: str, blob: str = "", *, permissions: str = "rl", hours: float = 24
    ) -> str:
        """Return the public address with a service SAS, as Azure ML hands out for uploads and logs."""
        ...

    def directory_sas(
        self, account: str, container: str, directory: str, *, object_id: str, permissions: str, lifetime: timedelta
    ) -> tuple[str, datetime]:
        """Return a principal's user delegation SAS for a directory (empty: the whole container), and its end.

        `permissions` are SAS letters in Azure's order, racwdlmeop.
        """
        ...

    def service_client(self, account: str) -> Any:
        """Return a synchronous azure.storage.blob.BlobServiceClient straight on Azurite, with the account's key."""
        ...


class TypeRegistry(Protocol):
    """ARM's resource types, which services register: localcloud.arm.resource_types.ResourceTypes.

    The types' hooks take a Context, so that only ARM and the services above it know the form of a type.
    """

    def register(self, *types: Any) -> None:
        """Add resource types. Raises ValueError when a type is already there."""
        ...

    def register_routes(self, *routes: Any) -> None:
        """Add operations that are not on a resource in the store."""
        ...


class Tasks:
    """Background work of the gateway: jobs, notebook runs. Cancelled and awaited at shutdown; a failure is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            import logging

            logging.getLogger("localcloud.tasks").error("task %s failed", task.get_name(), exc_info=task.exception())

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Context:
    """Everything a service may use. `hooks_*` are run by the gateway around its life."""

    settings: Settings
    database: Database
    identities: Identities
    authorizer: Authorizer
    storage: BlobStorage
    resources: ResourceStore
    """ARM's generic store: get(id), put(resource), delete(id), children(id, type)."""
    types: TypeRegistry
    """ARM's registered resource types."""
    check_operation: Callable[[str, str], None] = lambda method, resource_id: None
    """Raises the ServiceError with which fault injection wants a long-running PUT or DELETE of a resource to fail."""
    start_tracking: Callable[[], None] = lambda: None
    """Starts MLflow's server unless it runs, and does not wait for it."""
    clock: Clock = field(default_factory=Clock)
    """The time for schedules."""
    tasks: Tasks = field(default_factory=Tasks)
    on_start: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    on_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    blob_listeners: list[BlobListener] = field(default_factory=list)
    """Receivers of the blobs that clients create."""
    offered: dict[type[Any], Any] = field(default_factory=dict)
    """Parts that one service offers another, by class: `ctx.offered[JobRunner]`."""
