"""The arguments of a handler: the workspace, the caller, and the parsed request."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.databricks import errors
from localcloud.databricks.runs import Run
from localcloud.databricks.store import Documents

if TYPE_CHECKING:
    from starlette.responses import Response


@dataclass(frozen=True)
class Workspace:
    """A Microsoft.Databricks/workspaces resource. `id` is its number in Azure Databricks (its "org id")."""

    id: str
    host: str
    resource_id: str
    name: str
    documents: Documents


@dataclass(frozen=True)
class Caller:
    """A service principal of the workspace. `name` is its application id, as in creator_user_name."""

    principal: Principal
    id: str
    name: str
    display_name: str
    is_admin: bool
    entitlements: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    by_token: bool = False
    """Signed in by a personal access token, not by Entra."""

    def names(self) -> frozenset[str]:
        """Return the ACL keys that name this caller."""
        return frozenset({f"service_principal_name:{self.name}", *(f"group_name:{group}" for group in self.groups)})


class Runs(Protocol):
    """Active runs: localcloud.databricks.runner.Runner."""

    def start(self, workspace: Workspace, run: Run) -> None:
        """Begin a stored run in the background."""
        ...

    def cancel(self, run_id: int) -> None: ...


class PoolInstances(Protocol):
    """The idle drivers of the instance pools: localcloud.databricks.pool_instances.WarmDrivers."""

    def pool_changed(self, workspace: Workspace, pool: Json) -> None: ...

    def pool_deleted(self, workspace: Workspace, pool_id: str) -> None: ...

    def counts(self, workspace: Workspace, pool_id: str) -> Json: ...


class Regions(Protocol):
    """The regions that have a metastore: localcloud.databricks.unity.regions.MetastoreRegions."""

    def has(self, region: str) -> bool: ...


@dataclass
class Services:
    """Parts of the Databricks service that exist as long as the gateway."""

    context: Context
    runner: Runs
    warm: PoolInstances
    regions: Regions


@dataclass
class Call:
    """A request. `parameters` are the query's and the JSON body's fields together; `path` the route's parameters."""

    services: Services
    workspace: Workspace
    caller: Caller
    parameters: Json
    path: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    version: str = "2.0"

    @property
    def documents(self) -> Documents:
        return self.workspace.documents

    def text(self, name: str) -> str:
        """Return a required string. Raises INVALID_PARAMETER_VALUE when it is missing or empty."""
        value = self.parameters.get(name)
        if value is None or value == "":
            raise errors.invalid(f"Missing required field: {name}")
        if not isinstance(value, str):
            raise errors.malformed(f"Could not parse request object: Expected '{name}' to be a string, got {value!r}.")
        return value

    def optional_text(self, name: str) -> str | None:
        value = self.parameters.get(name)
        return None if value is None or value == "" else str(value)

    def number(self, name: str, default: int | None = None) -> int:
        """Return an integer of the query (text) or body. Raises INVALID_PARAMETER_VALUE."""
        value = self.parameters.get(name)
        if value is None:
            if default is None:
                raise errors.invalid(f"Missing required field: {name}")
            return default
        try:
            return int(value)
        except (TypeError, ValueError):
            raise errors.invalid(f"Field '{name}' must be an integer, got {value!r}.") from None

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.parameters.get(name, default)
        return value if isinstance(value, bool) else str(value).lower() == "true"

    def require_admin(self, action: str) -> None:
        if not self.caller.is_admin:
            raise errors.permission_denied(f"Only workspace admins can {action}; {self.caller.name} is not one.")


Handler = Callable[[Call], "Json | Response | Coroutine[Any, Any, Json | Response]"]


def check_unknown(body: Json, known: frozenset[str], operation: str) -> None:
    """Refuse fields that would be dropped in silence: a 501 that names them."""
    unknown = sorted(set(body) - known)
    if unknown:
        raise ServiceError(
            501, "NOT_IMPLEMENTED", f"localcloud does not emulate {operation} with {', '.join(unknown)}."
        )
