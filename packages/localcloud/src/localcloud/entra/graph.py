"""Microsoft Graph for clients that look up principals: service principals, read only."""

from __future__ import annotations

import re
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localcloud.arm.wire import read_body
from localcloud.core.context import Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.entra.directory import Directory

_AUDIENCES = frozenset({"https://graph.microsoft.com", "https://graph.microsoft.com/"})
_EQUAL = re.compile(r"(appId|displayName|id)\s+eq\s+'([^']*)'")
_STARTS = re.compile(r"startswith\(\s*(displayName)\s*,\s*'([^']*)'\s*\)", re.IGNORECASE)
_NAMED = re.compile(r"servicePrincipalNames/any\(\s*(\w+)\s*:\s*\1\s+eq\s+'([^']*)'\s*\)", re.IGNORECASE)
_CONTEXT = "https://graph.microsoft.com/v1.0/$metadata#"
_LARGEST_LOOKUP = 1000
"""Ids in one request (learn.microsoft.com/graph/api/directoryobject-getbyids)."""


class Graph:
    """GET /v1.0/servicePrincipals[…] and POST /v1.0/directoryObjects/getByIds; everything else is not emulated."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def answer(self, request: Request) -> Response:
        """Answer one request in Graph's form of results and errors."""
        try:
            self._directory.authenticate(request.headers.get("authorization"), _AUDIENCES)
            return JSONResponse(await self._answer(request))
        except ServiceError as error:
            code = "InvalidAuthenticationToken" if error.status == 401 else error.code
            return JSONResponse({"error": {"code": code, "message": error.message}}, error.status)

    async def _answer(self, request: Request) -> Json:
        path = request.url.path.removeprefix("/v1.0/").removeprefix("/beta/").strip("/")
        if request.method == "POST" and path.lower() == "directoryobjects/getbyids":
            return self._by_ids(await read_body(request))
        if request.method == "GET" and path.lower() == "me":
            # Everyone here is a service principal. Text: microsoftgraph/msgraph-sdk-php#1163.
            raise ServiceError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        if request.method != "GET" or not path.lower().startswith("serviceprincipals"):
            raise not_emulated(f"{request.method} https://graph.microsoft.com{request.url.path}")
        rest = path[len("servicePrincipals") :]
        if by_app := re.fullmatch(r"\(appId='([^']+)'\)", rest):
            return _existing(self._directory.by_app_id(by_app[1]), by_app[1])
        if rest:
            return _existing(self._directory.by_object_id(rest.strip("/")), rest.strip("/"))
        matches = _filter(request.query_params.get("$filter", ""))
        return {
            "@odata.context": f"{_CONTEXT}servicePrincipals",
            "value": [_render(principal) for principal in self._directory.all() if matches(principal)],
        }

    def _by_ids(self, body: Json) -> Json:
        """Return the principals of the ids that exist; Graph leaves the others out."""
        ids, types = body.get("ids"), body.get("types") or ["servicePrincipal"]
        if not isinstance(ids, list) or len(ids) > _LARGEST_LOOKUP:
            raise ServiceError(400, "Request_BadRequest", f"The property 'ids' is a list of at most {_LARGEST_LOOKUP}.")
        types_ = {"serviceprincipal", "directoryobject"} & {str(type_).lower() for type_ in types}
        principals = [self._directory.by_object_id(str(id_)) for id_ in ids] if types_ else []
        kind = {"@odata.type": "#microsoft.graph.servicePrincipal"}
        return {
            "@odata.context": f"{_CONTEXT}directoryObjects",
            "value": [kind | _render(principal) for principal in principals if principal is not None],
        }


def _filter(text: str) -> Callable[[Principal], bool]:
    """Return the condition of a $filter. Raises ServiceError 501 for a filter that is not emulated."""
    text = text.strip()
    if not text:
        return lambda _: True
    if equal := _EQUAL.fullmatch(text):
        return lambda principal: str(_render(principal)[equal[1]]).lower() == equal[2].lower()
    if starts := _STARTS.fullmatch(text):
        return lambda principal: principal.display_name.lower().startswith(starts[2].lower())
    if named := _NAMED.fullmatch(text):
        return lambda principal: named[2].lower() in _render(principal)["servicePrincipalNames"]
    raise not_emulated(f"the Graph filter {text!r}")


def _existing(principal: Principal | None, id_: str) -> Json:
    if principal is None:
        raise ServiceError(
            404,
            "Request_ResourceNotFound",
            f"Resource '{id_}' does not exist or one of its queried reference-property objects are not present.",
        )
    return _render(principal)


def _render(principal: Principal) -> Json:
    return {
        "id": principal.object_id,
        "appId": principal.app_id,
        "displayName": principal.display_name,
        "accountEnabled": True,
        "appOwnerOrganizationId": principal.tenant_id,
        "servicePrincipalNames": [principal.app_id],
    }
