"""Access to pages and to MLflow on localhost, for the deployer alone: by a session's cookie or a bearer token.

A person gets a session by the link of `localcloud open`. Programs send a token of Entra for Resource Manager, or the
tracking token of `localcloud env`.
"""

from __future__ import annotations

import secrets
from html import escape

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from localcloud.core.errors import ServiceError
from localcloud.core.settings import Settings
from localcloud.gateway import deployer
from localcloud.gateway.deployer import DeployerCheck
from localcloud.gateway.sessions import SESSION_SECONDS, Sessions

LINKS_PATH = "/_localcloud/sign-in-links"
OPEN_PATH = "/_localcloud/open"
HOME_PATH = "/_localcloud/azureml"
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_HOW = "Run `make open` (or `localcloud open`) and open the link that it prints in this browser."


class Pages:
    """Guards the routes of pages, and has the routes by which a session begins."""

    def __init__(self, settings: Settings, check: DeployerCheck) -> None:
        self._settings = settings
        self._check = check
        self._sessions = Sessions()
        self._hosts = frozenset(f"{name}:{settings.gateway_port}" for name in ("localhost", "127.0.0.1"))
        # Cookies are for a host name with all its ports: two localclouds of one machine must not share one.
        self._cookie = f"__Host-localcloud-{settings.gateway_port}"

    def guarded(self, routes: list[Route]) -> list[Route]:
        """Return the routes with the check of sign-in before them."""
        guard = Middleware(_Guard, pages=self)
        return [Route(route.path, route.endpoint, methods=route.methods, middleware=[guard]) for route in routes]

    def routes(self) -> list[Route]:
        """Return the routes by which a session begins."""
        return [
            Route(LINKS_PATH, self._make_link, methods=["POST"]),
            Route(OPEN_PATH, self._open, methods=["GET"]),
        ]

    def check(self, request: Request) -> None:
        """Check the caller of a page. Raises ServiceError 401 and 403."""
        self._check_source(request)
        authorization = request.headers.get("authorization")
        if authorization is not None:
            self._check_bearer(authorization)
            return
        if not self._sessions.is_open(request.cookies.get(self._cookie, "")):
            raise ServiceError(401, "UNAUTHENTICATED", f"This page is open to a signed-in browser only. {_HOW}")
        # SameSite lets pages of other ports of this host send the cookie: they cannot send this Origin.
        if request.method not in _SAFE_METHODS and "origin" not in request.headers:
            raise ServiceError(403, "FORBIDDEN", "A change by a browser's session needs the header Origin.")

    async def _make_link(self, request: Request) -> Response:
        try:
            self._check_source(request)
            self._check(request.headers.get("authorization"))
        except ServiceError as error:
            return JSONResponse({"error": {"code": error.code, "message": error.message}}, error.status)
        url = f"{self._settings.gateway_url}{OPEN_PATH}?token={self._sessions.new_link()}"
        return JSONResponse({"url": url}, headers={"Cache-Control": "no-store"})

    async def _open(self, request: Request) -> Response:
        """Turn a link into a session. HEAD, which previews of links use, does not use up the link."""
        try:
            self._check_source(request)
        except ServiceError as error:
            return refusal(request, error)
        if request.method == "HEAD":
            return Response(headers=_PRIVATE)
        session = self._sessions.open(request.query_params.get("token", ""))
        if session is None:
            message = f"This link was used already, is older than five minutes, or is of an earlier start. {_HOW}"
            return refusal(request, ServiceError(403, "FORBIDDEN", message))
        answer = RedirectResponse(HOME_PATH, 303, headers=_PRIVATE)
        answer.set_cookie(
            self._cookie, session, max_age=SESSION_SECONDS, secure=True, httponly=True, samesite="strict", path="/"
        )
        return answer

    def _check_source(self, request: Request) -> None:
        """Refuse names that lead here by someone else's DNS, and pages of other sites."""
        host = request.headers.get("host", "")
        if host not in self._hosts:
            raise ServiceError(403, "FORBIDDEN", f"Pages are at {self._settings.gateway_url}, not at host {host!r}.")
        origin = request.headers.get("origin")
        if origin is not None and origin != f"https://{host}":
            raise ServiceError(403, "FORBIDDEN", f"Requests by pages of {origin!r} are refused.")

    def _check_bearer(self, authorization: str) -> None:
        expected = f"Bearer {deployer.tracking_token(self._settings)}"
        if not secrets.compare_digest(authorization.encode(), expected.encode()):
            self._check(authorization)


class _Guard:
    """ASGI middleware of one route."""

    def __init__(self, app: ASGIApp, pages: Pages) -> None:
        self._app, self._pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            self._pages.check(request)
        except ServiceError as error:
            await refusal(request, error)(scope, receive, send)
            return
        await self._app(scope, receive, send)


_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


def refusal(request: Request, error: ServiceError) -> Response:
    """Return the answer to a refused request: a page for browsers, JSON as MLflow's clients read it for others."""
    headers = _PRIVATE | error.headers
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"error_code": error.code, "message": error.message}, error.status, headers)
    text = f"<!doctype html><html lang='en'><title>Not signed in</title><p>{escape(error.message)}</p></html>"
    return HTMLResponse(text, error.status, headers)
