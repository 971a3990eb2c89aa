"""Operations that need a resource for themselves: Azure refuses a second one while the first is active.

A write to a storage account, vault or Databricks workspace (or to one of its settings) is refused at once, with 409.
A private endpoint or an outbound rule of a managed network is another provider's resource: that provider accepts it,
calls the target and fails inside its long-running operation, with the target's message.

Texts of the failures: storage accounts, Azure/bicep-registry-modules#6001 and
hashicorp/terraform-provider-azurerm#28112 (the direct refusal: openshift/openshift-azure#1332, and
"StorageAccountOperationInProgress, Conflict (409)" of the storage resource provider's error codes); Databricks,
databricks/terraform-databricks-examples#177; vaults, hashicorp/terraform-provider-azurerm#32095. No public text is
known for the other targets of private endpoints: they answer with ARM's own AnotherOperationInProgress.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

if TYPE_CHECKING:
    from localcloud.core.context import Context

Lock = Callable[["Context", Resource], "Resource | None"]
"""Return the resource that a change of another one needs for itself, None if there is none."""
LINK_SECONDS = 0.8
"""Least duration of an operation that calls another provider; on Azure it is about a minute.

Two operations that a client starts together overlap with certainty, and a poll (operations.wait) still sees the end
of one.
"""


@dataclass(frozen=True)
class _Busy:
    code: str
    message: str


_BUSY = {
    "microsoft.storage/storageaccounts": _Busy(
        "StorageAccountOperationInProgress",
        "An operation is currently performing on this storage account that requires exclusive access.",
    ),
    "microsoft.databricks/workspaces": _Busy(
        "ConcurrentUpdateError",
        "Workspace update could not be completed because it has been updated by another process.",
    ),
    "microsoft.keyvault/vaults": _Busy(
        "ConflictError",
        "A conflict occurred that prevented the operation from completing. The operation failed because the Key Vault "
        "'{name}' changed from the point the operation began. This can happen if parallel operations are being "
        "performed on the Key Vault. To prevent this error, serialize the operations so that only one operation is "
        "performed on the Key Vault at a time.",
    ),
}
_OTHER = _Busy("AnotherOperationInProgress", "Another operation on '{id}' is in progress. Retry later.")


def itself(ctx: Context, resource: Resource) -> Resource:
    """Return the resource: a change of it needs it alone."""
    return resource


def parent_of(levels: int) -> Lock:
    """Return a lock on the resource that is `levels` names above."""

    def find(ctx: Context, resource: Resource) -> Resource | None:
        return ctx.resources.get(resource.id.rsplit("/", 2 * levels)[0])

    return find


class Claim:
    """One operation's exclusive access to a resource, a context manager that releases it.

    `error` is set where another operation has it: entering the claim raises it.
    """

    def __init__(self, held: set[str], key: str | None, seconds: float, error: ServiceError | None = None) -> None:
        self._held, self._key = held, key
        self.seconds, self.error = seconds, error
        if key is not None and error is None:
            held.add(key)

    def __enter__(self) -> None:
        if self.error is not None:
            raise self.error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the resource back. A second time does nothing: another operation may have it by then."""
        if self._key is not None:
            self._held.discard(self._key)
        self._key = None


class Exclusive:
    """Resources that active operations have for themselves, by id."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def claim(self, resource: Resource, target: Resource | None) -> Claim:
        """Claim `target` for an operation on `resource`.

        Raises ServiceError 409 when the target is the resource or above it, and has an active operation.
        """
        if target is None:
            return Claim(self._held, None, 0)
        key, own = target.id.lower(), resource.id.lower()
        direct = own == key or own.startswith(f"{key}/")
        seconds = 0 if direct else LINK_SECONDS
        if key not in self._held:
            return Claim(self._held, key, seconds)
        busy = _BUSY.get(target.type.lower(), _OTHER)
        message = busy.message.format(name=target.name, id=target.id)
        if direct:
            raise ServiceError(409, busy.code, message)
        text = f"Call to {target.type} failed. Error message: {message}"
        return Claim(self._held, None, seconds, ServiceError(409, busy.code, text))
