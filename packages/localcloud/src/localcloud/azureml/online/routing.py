"""Routes from host names to endpoints, and from requests to deployments."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from localcloud.azureml.online import endpoints, instance_types, settings
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource


@dataclass(frozen=True)
class Limits:
    """Limits of a deployment: seconds for a request, and requests at once."""

    seconds: float
    requests: int

    @classmethod
    def of(cls, deployment: Resource) -> Limits:
        properties = deployment.properties
        return cls(
            settings.request_timeout(properties),
            settings.most_requests(properties, instance_types.instances(deployment)),
        )


@dataclass(frozen=True)
class Route:
    """An endpoint with its deployments by name in lower case."""

    endpoint: Resource
    deployments: dict[str, Resource]
    _limits: dict[str, Limits] = field(default_factory=dict)

    def limits_of(self, deployment: Resource) -> Limits:
        """Return the limits of one of the deployments, read from its resource once."""
        if deployment.id not in self._limits:
            self._limits[deployment.id] = Limits.of(deployment)
        return self._limits[deployment.id]

    def choose(self, header: str | None) -> Resource:
        """Return the deployment that the header azureml-model-deployment names, or one by the shares of traffic.

        Raises ServiceError 404 ("The endpoint doesn't have any valid deployment with positive weight":
        learn.microsoft.com "Troubleshoot online endpoints").
        """
        if header:
            deployment = self.deployments.get(header.strip().lower())
            if deployment is None:
                raise ServiceError(
                    404, "NotFound", f"The endpoint '{self.endpoint.name}' has no deployment '{header.strip()}'."
                )
            return deployment
        traffic: dict[str, Any] = self.endpoint.properties["traffic"]
        shares = {name.lower(): share for name, share in traffic.items() if share and name.lower() in self.deployments}
        if not shares:
            raise ServiceError(
                404,
                "NotFound",
                f"The endpoint '{self.endpoint.name}' does not have any valid deployment with positive weight.",
            )
        names = list(shares)
        return self.deployments[random.choices(names, list(shares.values()))[0]]  # noqa: S311  no secret

    def mirror(self, chosen: Resource) -> Resource | None:
        """Return the deployment that gets a copy of a request, by its share of mirrored traffic."""
        for name, share in self.endpoint.properties["mirrorTraffic"].items():
            deployment = self.deployments.get(name.lower())
            if deployment is not None and deployment.id != chosen.id and random.random() * 100 < share:  # noqa: S311
                return deployment
        return None


class Routes:
    """Endpoints by host name: read once, and again after each change of an endpoint or deployment."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._read_at = (-1, -1)
        self._routes: dict[tuple[str, str], Route] = {}

    def find(self, host: str) -> Route | None:
        """Return the endpoint of NAME.REGION.inference.ml.azure.com, None if there is none."""
        name, _, rest = host.lower().partition(".")
        return self._current().get((name, rest.partition(".")[0]))

    def _current(self) -> dict[tuple[str, str], Route]:
        changes = self._ctx.resources.changes
        at = (changes[endpoints.TYPE.lower()], changes[instance_types.DEPLOYMENT.lower()])
        if at != self._read_at:
            routes = {}
            for endpoint in self._ctx.resources.list(endpoints.TYPE):
                deployments = self._ctx.resources.children(endpoint.id, instance_types.DEPLOYMENT)
                route = Route(endpoint, {deployment.name.lower(): deployment for deployment in deployments})
                routes[(endpoint.name.lower(), str(endpoint.location).lower())] = route
            self._routes, self._read_at = routes, at
        return self._routes
