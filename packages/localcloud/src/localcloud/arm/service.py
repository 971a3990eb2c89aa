"""ARM as a part of localcloud: what its context needs first, its routes, and what a new subscription starts with."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from localcloud.arm import elsewhere
from localcloud.arm.authorization import Authorization
from localcloud.arm.elsewhere import ElsewhereRoute
from localcloud.arm.propagation import PATH, Propagation, PropagationRoute
from localcloud.arm.registry import TypeRegistry
from localcloud.arm.routes import Arm, routes_of
from localcloud.arm.store import ResourceStore
from localcloud.arm.types import register_all
from localcloud.core.context import Context, Principal
from localcloud.core.database import Database
from localcloud.core.settings import Settings
from localcloud.storage.bootstrap import ensure_state
from localcloud.storage.fabric import StorageFabric


@dataclass(frozen=True)
class ArmParts:
    """Members of the Context: resources, types, authorizer, storage."""

    resources: ResourceStore
    types: TypeRegistry
    authorizer: Authorization
    storage: StorageFabric
    propagation: Propagation


def parts(settings: Settings, database: Database) -> ArmParts:
    """What Context wants from ARM and storage, before there is a Context. Writes Azurite's accounts file."""
    resources = ResourceStore(database)
    propagation = Propagation()
    authorization = Authorization(resources, propagation)
    return ArmParts(resources, TypeRegistry(), authorization, StorageFabric(settings, resources), propagation)


@dataclass(frozen=True)
class ArmService:
    ctx: Context
    arm: Arm
    routes: list[BaseRoute]
    local_routes: list[BaseRoute]
    """Of localcloud itself, on localhost only."""

    async def prepare(self, deployer: Principal) -> None:
        """Once the gateway's children run: the deployer's roles and the state account. Idempotent."""
        await ensure_state(self.ctx, self.arm.resources, deployer)


def create(ctx: Context, propagation: Propagation) -> ArmService:
    """Register ARM's own types and make its routes. Other services may register theirs before or after."""
    register_all(ctx)
    arm = Arm(ctx)
    ctx.offered[Arm] = arm
    local: list[BaseRoute] = [
        Route(elsewhere.PATH, ElsewhereRoute(ctx, arm.audiences).answer, methods=["GET", "POST", "DELETE"]),
        Route(PATH, PropagationRoute(ctx, propagation, arm.audiences).answer, methods=["GET", "POST"]),
    ]
    return ArmService(ctx, arm, routes_of(arm), local)
