"""Entra as a part of localcloud: its routes on login.microsoftonline.com, and Graph's on graph.microsoft.com."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from starlette.routing import BaseRoute, Route

from localcloud.core.resource import ResourceStore
from localcloud.entra import discovery
from localcloud.entra.directory import Directory
from localcloud.entra.federation import Federation
from localcloud.entra.graph import Graph
from localcloud.entra.tokens import TokenEndpoint, unknown_operation


@dataclass(frozen=True)
class EntraService:
    """Routes of Entra ID and of Microsoft Graph."""

    routes: list[BaseRoute]
    graph_routes: list[BaseRoute]


def build(directory: Directory, resources: ResourceStore, roots: Path | None = None) -> EntraService:
    """`resources` has the federated credentials of managed identities; `roots` is where their issuers are trusted."""
    token = TokenEndpoint(directory, Federation(resources, roots))
    keys = discovery.Keys(directory)
    well_known = ".well-known/openid-configuration"
    routes: list[BaseRoute] = [
        Route("/{tenant}/oauth2/v2.0/token", token.answer, methods=["POST"]),
        Route("/{tenant}/oauth2/token", token.answer, methods=["POST"]),
        Route(f"/{{tenant}}/v2.0/{well_known}", discovery.configuration),
        Route(f"/{{tenant}}/{well_known}", discovery.configuration),
        Route("/{tenant}/discovery/instance", discovery.instances),
        Route("/{tenant}/discovery/v2.0/keys", keys.answer),
        Route("/{tenant}/discovery/keys", keys.answer),
        Route("/{tenant}/oauth2/{operation:path}", unknown_operation, methods=["GET", "POST"]),
    ]
    methods = ["GET", "POST", "PATCH", "PUT", "DELETE"]
    return EntraService(routes, [Route("/{path:path}", Graph(directory).answer, methods=methods)])
