"""ARM as a part of localcloud: the first parts of its context, its routes, and the content of a new subscription."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import BaseRoute, Route

from localcloud.arm import globally_unique_names
from localcloud.arm.authorization import Authorization
from localcloud.arm.globally_unique_names import ElsewhereRoute
from localcloud.arm.propagation import PATH, Propagation, PropagationRoute
from localcloud.arm.resource_types import ResourceTypes
from localcloud.arm.routes import Arm, routes_of
from localcloud.arm.store import ResourceStore
from localcloud.arm.types import register_all
from localcloud.core.context import Context
from localcloud.core.database import Database


@dataclass(frozen=True)
class ArmParts:
    """Members of the Context: resources, types, authorizer."""

    resources: ResourceStore
    types: ResourceTypes
    authorizer: Authorization
    propagation: Propagation


def parts(database: Database) -> ArmParts:
    """Return ARM's parts of Context, before there is a Context."""
    resources = ResourceStore(database)
    propagation = Propagation()
    authorization = Authorization(resources, propagation)
    return ArmParts(resources, ResourceTypes(), authorization, propagation)


@dataclass(frozen=True)
class ArmService:
    """Routes of Azure Resource Manager and the services behind them."""

    ctx: Context
    arm: Arm
    routes: list[BaseRoute]
    local_routes: list[BaseRoute]
    """Routes of localcloud itself, on localhost only."""


def create(ctx: Context, propagation: Propagation) -> ArmService:
    """Register ARM's own types and make its routes. Other services may register theirs before or after."""
    register_all(ctx)
    arm = Arm(ctx)
    ctx.offered[Arm] = arm
    local: list[BaseRoute] = [
        Route(globally_unique_names.PATH, ElsewhereRoute(ctx, arm.audiences).answer, methods=["GET", "POST", "DELETE"]),
        Route(PATH, PropagationRoute(ctx, propagation, arm.audiences).answer, methods=["GET", "POST"]),
    ]
    return ArmService(ctx, arm, routes_of(arm), local)
