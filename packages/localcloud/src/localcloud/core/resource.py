"""A resource of ARM, and the store of all resources as services see it."""

from __future__ import annotations

import builtins
import copy
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from localcloud.core.json import Json


def now() -> str:
    """Return the time as ARM writes it: 2026-11-24T11:30:00.1234560Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


@dataclass
class Resource:
    """A resource in ARM's form.

    `extra` holds other top-level fields (zones, plan, managedBy, etag …). `private` is never shown: keys and internal
    marks.
    """

    id: str
    type: str
    name: str
    location: str | None = None
    tags: dict[str, str] | None = None
    sku: Json | None = None
    kind: str | None = None
    identity: Json | None = None
    properties: Json = field(default_factory=dict)
    system_data: Json | None = None
    extra: Json = field(default_factory=dict)
    private: Json = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the body of a GET. Fields that the resource does not have are left out."""
        body: Json = {"id": self.id, "name": self.name, "type": self.type}
        for key in ("location", "tags", "sku", "kind", "identity"):
            value = getattr(self, key)
            if value is not None:
                body[key] = value
        body.update(self.extra)
        body["properties"] = self.properties
        if self.system_data is not None:
            body["systemData"] = self.system_data
        return copy.deepcopy(body)

    @classmethod
    def from_json(cls, body: Json, private: Json | None = None) -> Resource:
        """Return the resource of a body: the inverse of to_json. `body` is copied."""
        return cls.adopt(copy.deepcopy(body), copy.deepcopy(private or {}))

    @classmethod
    def adopt(cls, body: Json, private: Json) -> Resource:
        """Return the resource of a body that has no other owner: its parts become the resource's."""
        known = {"id", "name", "type", "location", "tags", "sku", "kind", "identity", "properties", "systemData"}
        return cls(
            id=body["id"],
            type=body["type"],
            name=body["name"],
            location=body.get("location"),
            tags=body.get("tags"),
            sku=body.get("sku"),
            kind=body.get("kind"),
            identity=body.get("identity"),
            properties=body.get("properties") or {},
            system_data=body.get("systemData"),
            extra={key: value for key, value in body.items() if key not in known},
            private=private,
        )

    @property
    def state(self) -> str:
        """properties.provisioningState; resources without one are ready."""
        return str(self.properties.get("provisioningState", "Succeeded"))

    def copy(self) -> Resource:
        return copy.deepcopy(self)


class Registrations(Protocol):
    """The resource providers that the subscription is registered for: localcloud.arm.registrations.Registrations."""

    def is_registered(self, namespace: str) -> bool: ...

    def state(self, namespace: str) -> str: ...

    def all(self) -> list[str]: ...

    def register(self, namespaces: Iterable[str]) -> None: ...

    def unregister(self, namespace: str) -> None: ...


class GloballyUniqueNames(Protocol):
    """Names that other subscriptions hold: localcloud.arm.globally_unique_names.NamesElsewhere."""

    def has(self, type_: str, name: str) -> bool: ...

    def add(self, type_: str, name: str) -> None: ...

    def clear(self) -> None: ...

    def all(self) -> list[Json]: ...


class ResourceStore(Protocol):
    """The store of all resources: localcloud.arm.store.ResourceStore.

    A returned Resource is the caller's own copy: `put` stores changes.
    """

    changes: Counter[str]
    """Number of changes by type (in lower case) in this process, for caches of a type."""

    @property
    def elsewhere(self) -> GloballyUniqueNames: ...

    @property
    def registrations(self) -> Registrations: ...

    def get(self, id_: str) -> Resource | None: ...

    def put(self, resource: Resource) -> None:
        """Create or replace. The id keeps the letter case it was created with."""
        ...

    def delete(self, id_: str) -> bool:
        """Forget one resource; resources below it stay. Return True if it existed."""
        ...

    def children(self, id_: str, type_: str | None = None) -> builtins.list[Resource]:
        """Return the resources directly in `id_`, of the full type `type_` if any, by name."""
        ...

    def list(self, type_: str | None = None, scope: str = "") -> builtins.list[Resource]:
        """Return all resources of a full type (any when None) below `scope` (an id; empty for everywhere)."""
        ...

    def below(self, id_: str) -> builtins.list[Resource]:
        """Return all descendants and extensions of `id_`, deepest first."""
        ...

    def named(self, type_: str, name: str) -> Resource | None:
        """Return the resource with a globally unique name, wherever it is."""
        ...

    def is_taken(self, type_: str, name: str) -> bool:
        """Return whether any subscription has a resource with a globally unique name."""
        ...
