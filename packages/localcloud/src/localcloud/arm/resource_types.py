"""Registry of resource types: versions, names, rules, hooks. Services register theirs here."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast

from localcloud.arm.conditions import Attributes
from localcloud.arm.exclusive import Lock
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

if TYPE_CHECKING:
    from starlette.responses import Response

    from localcloud.core.context import Context, Principal


LOCATIONS: Mapping[str, str] = {
    "eastus": "East US", "eastus2": "East US 2", "westus": "West US", "westus2": "West US 2", "westus3": "West US 3",
    "centralus": "Central US", "northcentralus": "North Central US", "southcentralus": "South Central US",
    "westcentralus": "West Central US", "canadacentral": "Canada Central", "canadaeast": "Canada East",
    "brazilsouth": "Brazil South", "northeurope": "North Europe", "westeurope": "West Europe", "uksouth": "UK South",
    "ukwest": "UK West", "francecentral": "France Central", "germanywestcentral": "Germany West Central",
    "switzerlandnorth": "Switzerland North", "norwayeast": "Norway East", "swedencentral": "Sweden Central",
    "polandcentral": "Poland Central", "italynorth": "Italy North", "spaincentral": "Spain Central",
    "southafricanorth": "South Africa North", "uaenorth": "UAE North", "israelcentral": "Israel Central",
    "centralindia": "Central India", "southindia": "South India", "eastasia": "East Asia",
    "southeastasia": "Southeast Asia", "japaneast": "Japan East", "japanwest": "Japan West",
    "koreacentral": "Korea Central", "australiaeast": "Australia East", "australiasoutheast": "Australia Southeast",
    "qatarcentral": "Qatar Central", "mexicocentral": "Mexico Central",
}  # fmt: skip
"""Region name to display name, of public Azure."""


@dataclass(frozen=True)
class Call:
    """The request behind a hook: the caller, the api-version, and the public address of ARM."""

    principal: Principal
    api_version: str
    base_url: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


Complete = Callable[["Context", Resource, Resource | None], None]
"""Check and finish a body before it is stored: defaults, read-only properties. `existing` is None on create.
Raises ServiceError to refuse. Changes `resource` in place; has no other effect."""
OnPut = Callable[["Context", Resource, Resource | None, Call], Awaitable[None]]
"""Make it real (a container, a principal …). A ServiceError fails the request, or the operation when long-running."""
OnDelete = Callable[["Context", Resource, Call], Awaitable[None]]
CheckDelete = Callable[["Context", Resource], None]
"""Raises ServiceError when something still uses the resource.

It is not called when its resource group is deleted as a whole.
"""
Purge = Callable[["Context", str, Call], Awaitable[bool]]
"""Forget a soft-deleted resource by id; False when there is none."""
Read = Callable[["Context", str], Awaitable[Resource | None]]
"""Lookup of a resource by id, instead of the store's, for types that are a view of something else."""
ListIn = Callable[["Context", str, Call], Awaitable[list[Resource]]]
"""List of the resources in a parent id, instead of the store's, for views and types with their own filters.
`call.query` has the request's filters."""
AttributesOf = Callable[["Context", str, "Json | None"], Attributes]
"""Attributes for conditions on role assignments: of a request's body, or (None) of the resource that has the id."""
Render = Callable[["Context", Resource], Json]
Action = Callable[["Context", Resource, Json, Call], Awaitable["Json | Response | None"]]
"""A POST below a resource: body in, JSON out (None for 200 without a body, or a Response for full control)."""
RouteHandler = Callable[["Context", Mapping[str, str], Json, Call], Awaitable["Json | Response | None"]]
"""A ProviderRoute's: the template's parameters, the body ({} when there is none), the call."""


@dataclass(frozen=True)
class NameRule:
    """`pattern` must match the whole name. Messages may use {name}. `unique`: once in all of Azure, of this type."""

    pattern: str
    message: str
    code: str = "InvalidResourceName"
    unique: bool = False
    taken_code: str = "NameUnavailable"
    taken_message: str = "The name '{name}' is already in use."
    own_code: str = ""
    """Code of services that answer differently when the caller's own subscription has the name."""
    own_message: str = ""

    def check(self, name: str) -> None:
        """Check a name. Raises ServiceError 400 with the type's own code."""
        if re.fullmatch(self.pattern, name) is None:
            raise ServiceError(400, self.code, self.message.format(name=name))


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """A resource type.

    Property paths are dotted and relative to the body: "properties.tenantId", "sku.name", "kind".
    """

    type: str
    """"Microsoft.Storage/storageAccounts", nested "Microsoft.Storage/storageAccounts/blobServices/containers"."""
    api_versions: tuple[str, ...]
    name: NameRule | None = None
    tracked: bool = False
    """Tracked resources have a location and tags and are in the resource group's list; proxy resources do not."""
    locations: tuple[str, ...] = tuple(LOCATIONS)
    parent_required: bool = True
    """False for singletons' children and extensions whose parent is not kept in the store (blobServices/default)."""
    extension: bool = False
    """Stands on any scope: {scope}/providers/TYPE/NAME."""
    required: tuple[str, ...] = ()
    immutable: tuple[str, ...] = ()
    immutable_code: str = "PropertyChangeNotAllowed"
    immutable_message: str = "Changing property '{property}' is not allowed."
    write_only: tuple[str, ...] = ()
    """Stored in `private["writeOnly"]` by path and never shown."""
    complete: Complete | None = None
    on_put: OnPut | None = None
    on_delete: OnDelete | None = None
    check_delete: CheckDelete | None = None
    purge: Purge | None = None
    """A DELETE of a missing resource, for types whose deleted resources are held for a while."""
    read: Read | None = None
    list_in: ListIn | None = None
    render: Render | None = None
    locks: Lock | None = None
    """Resources that a PUT, PATCH or DELETE needs for itself while it is active: see arm.exclusive."""
    attributes: AttributesOf | None = None
    long_running: frozenset[Literal["put", "create", "delete"]] = frozenset()
    """These answer 201/202 with Azure-AsyncOperation, Location and Retry-After. "create" is a "put" that creates."""
    create_status: int = 201
    """Status of a creating PUT: 201, 200, or 202 (no body, poll Location). Clients accept only their provider's own."""
    update_status: int = 200
    provisioning_state: bool = True
    """Whether the type has properties.provisioningState."""
    allow_put: bool = True
    allow_delete: bool = True
    actions: Mapping[str, Action] = field(default_factory=dict)
    """Handlers by name ("listKeys"); the permission needed is TYPE/NAME/action."""
    patchable: bool = True
    note: str = ""
    """Note that COVERAGE.md adds where the hooks do not show the depth of emulation."""

    @property
    def namespace(self) -> str:
        return self.type.split("/", 1)[0]

    @property
    def permission(self) -> str:
        """Return the prefix of the type's actions. Resource groups are named below their subscription there."""
        if self.type == "Microsoft.Resources/resourceGroups":
            return "Microsoft.Resources/subscriptions/resourceGroups"
        return self.type

    @property
    def short(self) -> str:
        """Return the type without the namespace: storageAccounts/blobServices."""
        return self.type.split("/", 1)[1]

    @property
    def parent_type(self) -> str | None:
        """The type that holds it, for nested types."""
        return self.type.rsplit("/", 1)[0] if self.type.count("/") > 1 else None


_PARAMETER = re.compile(r"\{(\w+(?:\.\.\.)?)\}")


@dataclass(frozen=True, kw_only=True)
class ProviderRoute:
    """An operation that is not on a resource in the store, such as "checkNameAvailability" or "deletedVaults".

    Routes are matched before the resource types.

    `template` is a full path, "/subscriptions/{subscription}/providers/Microsoft.KeyVault/checkNameAvailability";
    {name} matches one segment and {name...} any number (with its leading slash, or nothing). `permission` is the action
    that the caller needs at that path; None asks for a valid sign-in only.
    """

    method: str
    template: str
    permission: str | None
    handler: RouteHandler
    api_versions: tuple[str, ...] = ()
    """Empty: every version is accepted, but the request must have one."""

    @functools.cached_property
    def literal(self) -> str:
        """Return the longest fixed part of the template, in lower case: each path that matches has it."""
        return max(_PARAMETER.split(self.template)[::2], key=len).lower()

    def match(self, path: str) -> dict[str, str] | None:
        match = _template(self.template).fullmatch(path)
        return None if match is None else match.groupdict()


@functools.cache
def _template(template: str) -> re.Pattern[str]:
    parts = _PARAMETER.split(template)
    pattern = "".join(_group(part) if index % 2 else re.escape(part) for index, part in enumerate(parts))
    return re.compile(pattern + "/?", re.IGNORECASE)


def _group(name: str) -> str:
    return f"(?P<{name[:-3]}>(?:/[^/]+)*?)" if name.endswith("...") else f"(?P<{name}>[^/]+)"


class ResourceTypes:
    """Types by name, in any letter case, and provider routes in order."""

    def __init__(self) -> None:
        self._types: dict[str, ResourceType] = {}
        self._routes: dict[str, list[ProviderRoute]] = {}

    def register_routes(self, *routes: ProviderRoute) -> None:
        for route in routes:
            self._routes.setdefault(route.method.upper(), []).append(route)

    def routes(self) -> list[ProviderRoute]:
        """Return all provider routes."""
        return [route for routes in self._routes.values() for route in routes]

    def match_route(self, method: str, path: str) -> tuple[ProviderRoute, dict[str, str]] | None:
        """Return the first provider route for a path, with the template's parameters."""
        lowered = path.lower()
        for route in self._routes.get(method.upper(), ()):
            # Every request comes here: most routes are told from its path without their pattern.
            parameters = route.match(path) if route.literal in lowered else None
            if parameters is not None:
                return route, parameters
        return None

    def register(self, *types: ResourceType) -> None:
        """Add types. Raises ValueError for a type that is registered already."""
        for type_ in types:
            if type_.type.lower() in self._types:
                raise ValueError(f"resource type {type_.type} is registered twice")
            self._types[type_.type.lower()] = type_

    def get(self, type_: str) -> ResourceType | None:
        return self._types.get(type_.lower())

    def all(self) -> list[ResourceType]:
        """Return the types in the order of registration."""
        return list(self._types.values())

    def namespaces(self) -> dict[str, list[ResourceType]]:
        """Types by resource provider, in the order they were registered."""
        result: dict[str, list[ResourceType]] = {}
        for type_ in self._types.values():
            result.setdefault(type_.namespace, []).append(type_)
        return result

    def in_namespace(self, namespace: str) -> list[ResourceType]:
        return [type_ for type_ in self._types.values() if type_.namespace.lower() == namespace.lower()]


def of(ctx: Context) -> ResourceTypes:
    """Return the types that services have registered in a context."""
    return cast("ResourceTypes", ctx.types)
