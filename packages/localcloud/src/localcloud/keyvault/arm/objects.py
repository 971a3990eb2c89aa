"""Common parts of keys and secrets as ARM types: names, their vault, reading and listing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from localcloud.arm import ids
from localcloud.arm.resource_types import Call, NameRule
from localcloud.core.context import Context
from localcloud.core.database import Database
from localcloud.core.resource import Resource
from localcloud.keyvault.versions import V, Versions


@dataclass(frozen=True)
class VaultObjects(Generic[V]):
    """`kind` is key or secret; `shown` makes the resource from an object and its vault."""

    kind: str
    store: Callable[[Database], Versions[V]]
    render: Callable[[Resource, V], Resource]

    @property
    def name(self) -> NameRule:
        return NameRule(
            r"[A-Za-z0-9-]{1,127}",
            f"The {self.kind} name '{{name}}' is invalid: use 1 to 127 letters, digits and hyphens.",
            "BadRequest",
        )

    def vault_of(self, ctx: Context, id_: str) -> Resource | None:
        return ctx.resources.get(id_.rsplit(f"/{self.kind}s/", 1)[0])

    async def read(self, ctx: Context, id_: str) -> Resource | None:
        vault, rid = self.vault_of(ctx, id_), ids.parse(id_)
        version = None if vault is None or rid is None else self.store(ctx.database).get(vault.name, rid.name)
        return None if vault is None or version is None else self.render(vault, version)

    async def list_in(self, ctx: Context, parent: str, call: Call) -> list[Resource]:
        vault = ctx.resources.get(parent)
        return (
            []
            if vault is None
            else [self.render(vault, version) for version in self.store(ctx.database).current(vault.name)]
        )
