"""https://REGISTRY.azurecr.io: the firewall and the challenge, by which clients recognise a registry.

Images are not stored: jobs are processes of this machine. Everything behind the challenge answers that it is not
emulated. Sources: azure.github.io/acr "Token-BasicAuth" (the challenge), learn.microsoft.com "Troubleshoot network
issues with registry" (the refusal), the OCI distribution specification (the shape of errors).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.arm import private_link
from localcloud.arm.routes import METHODS
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated, unresolved
from localcloud.core.resource import Resource

_TYPE = "Microsoft.ContainerRegistry/registries"


class RegistryHost:
    """Host of every registry."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def challenge(self, request: Request) -> Response:
        """/v2/: where clients read the address of sign-in."""
        return self._answer(request, signing_in=True)

    async def other(self, request: Request) -> Response:
        return self._answer(request, signing_in=False)

    def _answer(self, request: Request, *, signing_in: bool) -> Response:
        host = request.headers.get("host", "").split(":")[0].lower()
        try:
            self._check_network(self._registry(host))
            if signing_in and "authorization" not in request.headers:
                raise ServiceError(
                    401,
                    "UNAUTHORIZED",
                    "authentication required, visit https://aka.ms/acr/authorization for more information.",
                    {"WWW-Authenticate": f'Bearer realm="https://{host}/oauth2/token",service="{host}"'},
                )
            raise not_emulated(f"Container Registry's {request.method} {request.url.path}; there are no images")
        except ServiceError as error:
            content = {"errors": [{"code": error.code, "message": error.message}]}
            headers = {"Docker-Distribution-Api-Version": "registry/2.0", **error.headers}
            return JSONResponse(content, error.status, headers)

    def _registry(self, host: str) -> Resource:
        name = host.partition(".")[0]
        registry = self._ctx.resources.named(_TYPE, name)
        if registry is None:
            raise unresolved(404, "NAME_UNKNOWN", "container registry", name, host)
        return registry

    def _check_network(self, registry: Resource) -> None:
        if private_link.refused(self._ctx, registry, "registry"):
            raise ServiceError(
                403,
                "DENIED",
                f"client with IP '{private_link.client_address()}' is not allowed access. Refer "
                "https://aka.ms/acr/firewall to grant access.",
            )


def build_routes(ctx: Context) -> list[BaseRoute]:
    host = RegistryHost(ctx)
    return [
        Route("/v2/", host.challenge, methods=["GET"]),
        Route("/v2", host.challenge, methods=["GET"]),
        Route("/{path:path}", host.other, methods=METHODS),
    ]
