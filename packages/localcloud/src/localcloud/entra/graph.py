"""Microsoft Graph, as far as clients look up who a principal is: service principals, read only."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.core.context import Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.entra.directory import Directory

_AUDIENCES = frozenset({"https://graph.microsoft.com", "https://graph.microsoft.com/"})
_FILTER = re.compile(r"(appId|displayName)\s+eq\s+'([^']*)'")


class Graph:
    """GET /v1.0/servicePrincipals[…]; everything else is not emulated."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def answer(self, request: Request) -> Response:
        try:
            self._directory.authenticate(request.headers.get("authorization"), _AUDIENCES)
            return JSONResponse(self._answer(request))
        except ServiceError as error:
            code = "InvalidAuthenticationToken" if error.status == 401 else error.code
            return JSONResponse({"error": {"code": code, "message": error.message}}, error.status)

    def _answer(self, request: Request) -> Json:
        path = request.url.path.removeprefix("/v1.0/").removeprefix("/beta/").strip("/")
        if request.method != "GET" or not path.lower().startswith("serviceprincipals"):
            raise not_emulated(f"{request.method} https://graph.microsoft.com{request.url.path}")
        rest = path[len("servicePrincipals") :]
        if by_app := re.fullmatch(r"\(appId='([^']+)'\)", rest):
            return _found(self._directory.by_app_id(by_app[1]), by_app[1])
        if rest:
            return _found(self._directory.by_object_id(rest.strip("/")), rest.strip("/"))
        principals = self._directory.all()
        wanted = request.query_params.get("$filter")
        if wanted is not None:
            match = _FILTER.fullmatch(wanted.strip())
            if match is None:
                raise not_emulated(f"the Graph filter {wanted!r}")
            principals = [one for one in principals if _shown(one)[match[1]] == match[2]]
        return {
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#servicePrincipals",
            "value": [_shown(one) for one in principals],
        }


def _found(principal: Principal | None, id_: str) -> Json:
    if principal is None:
        raise ServiceError(
            404,
            "Request_ResourceNotFound",
            f"Resource '{id_}' does not exist or one of its queried reference-property objects are not present.",
        )
    return _shown(principal)


def _shown(principal: Principal) -> Json:
    return {
        "id": principal.object_id,
        "appId": principal.app_id,
        "displayName": principal.display_name,
        "accountEnabled": True,
        "appOwnerOrganizationId": principal.tenant_id,
    }
