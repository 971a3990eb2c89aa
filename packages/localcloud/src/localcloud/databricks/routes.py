"""The handlers of all calls, the parsing of requests and the form of refusals."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json, parsed
from localcloud.core.settings import TENANT_ID
from localcloud.core.streams import whole_body
from localcloud.databricks import (
    access,
    catalog,
    clusters,
    errors,
    forms,
    jobs_api,
    page,
    permissions,
    policies,
    pools,
    run_requests,
    runs_api,
    scim,
    secrets_api,
    tokens,
    workspace_api,
)  # fmt: skip
from localcloud.databricks.request import Call, Handler, Services
from localcloud.databricks.requests import checks
from localcloud.databricks.run_storage import RunStorage
from localcloud.databricks.runs import find_run_everywhere
from localcloud.databricks.tracking import service as tracking
from localcloud.databricks.tracking.artifacts import ROUTE as ARTIFACTS
from localcloud.databricks.tracking.artifacts import Artifacts
from localcloud.databricks.unity import metastore_regions_route
from localcloud.databricks.unity.regions import MetastoreRegions
from localcloud.databricks.unity.routes import CALLS as UNITY_CALLS

_log = logging.getLogger("localcloud.databricks")
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]
_SCIM = "preview/scim/v2"
_LARGEST = 16 * 1024 * 1024
"""Bytes of a request: a file of at most 10 MB for workspace/import, in base64 or as multipart."""
_TOO_LARGE = ServiceError(413, "BAD_REQUEST", f"The request has more than {_LARGEST} bytes.")
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"

# Method and path below /api/2.x; {name} is one path segment. Versions are Databricks' published ones.
_CALLS: Mapping[tuple[str, str], tuple[str, Handler]] = {
    ("POST", "workspace/import"): ("2.0", workspace_api.import_),
    ("GET", "workspace/export"): ("2.0", workspace_api.export),
    ("GET", "workspace/get-status"): ("2.0", workspace_api.get_status),
    ("GET", "workspace/list"): ("2.0", workspace_api.list_),
    ("POST", "workspace/mkdirs"): ("2.0", workspace_api.mkdirs),
    ("POST", "workspace/delete"): ("2.0", workspace_api.delete),
    ("POST", "instance-pools/create"): ("2.0", pools.create),
    ("POST", "instance-pools/edit"): ("2.0", pools.edit),
    ("GET", "instance-pools/get"): ("2.0", pools.get),
    ("GET", "instance-pools/list"): ("2.0", pools.list_),
    ("POST", "instance-pools/delete"): ("2.0", pools.delete),
    ("POST", "policies/clusters/create"): ("2.0", policies.create),
    ("POST", "policies/clusters/edit"): ("2.0", policies.edit),
    ("GET", "policies/clusters/get"): ("2.0", policies.get),
    ("GET", "policies/clusters/list"): ("2.0", policies.list_),
    ("POST", "policies/clusters/delete"): ("2.0", policies.delete),
    ("GET", "policy-families"): ("2.0", policies.families),
    ("GET", "clusters/spark-versions"): ("2.0 2.1", catalog.spark_versions),
    ("GET", "clusters/list-node-types"): ("2.0 2.1", catalog.node_types),
    ("POST", "clusters/create"): ("2.0 2.1", clusters.create),
    ("GET", "clusters/get"): ("2.0 2.1", clusters.get),
    ("GET", "clusters/list"): ("2.0 2.1", clusters.list_),
    ("POST", "jobs/create"): ("2.0 2.1 2.2", jobs_api.create),
    ("GET", "jobs/get"): ("2.0 2.1 2.2", jobs_api.get),
    ("GET", "jobs/list"): ("2.0 2.1 2.2", jobs_api.list_),
    ("POST", "jobs/reset"): ("2.0 2.1 2.2", jobs_api.reset),
    ("POST", "jobs/update"): ("2.0 2.1 2.2", jobs_api.update),
    ("POST", "jobs/delete"): ("2.0 2.1 2.2", jobs_api.delete),
    ("POST", "jobs/run-now"): ("2.0 2.1 2.2", jobs_api.run_now),
    ("POST", "jobs/runs/submit"): ("2.0 2.1 2.2", runs_api.submit),
    ("GET", "jobs/runs/get"): ("2.0 2.1 2.2", runs_api.get),
    ("GET", "jobs/runs/get-output"): ("2.0 2.1 2.2", runs_api.get_output),
    ("GET", "jobs/runs/list"): ("2.0 2.1 2.2", runs_api.list_),
    ("POST", "jobs/runs/cancel"): ("2.0 2.1 2.2", runs_api.cancel),
    ("POST", "jobs/runs/cancel-all"): ("2.0 2.1 2.2", runs_api.cancel_all),
    ("POST", "jobs/runs/delete"): ("2.0 2.1 2.2", runs_api.delete),
    ("POST", "secrets/scopes/create"): ("2.0", secrets_api.create_scope),
    ("GET", "secrets/scopes/list"): ("2.0", secrets_api.list_scopes),
    ("POST", "secrets/scopes/delete"): ("2.0", secrets_api.delete_scope),
    ("POST", "secrets/put"): ("2.0", secrets_api.put),
    ("GET", "secrets/get"): ("2.0", secrets_api.get),
    ("GET", "secrets/list"): ("2.0", secrets_api.list_),
    ("POST", "secrets/delete"): ("2.0", secrets_api.delete),
    ("POST", "secrets/acls/put"): ("2.0", secrets_api.put_acl),
    ("GET", "secrets/acls/get"): ("2.0", secrets_api.get_acl),
    ("GET", "secrets/acls/list"): ("2.0", secrets_api.list_acls),
    ("POST", "secrets/acls/delete"): ("2.0", secrets_api.delete_acl),
    ("POST", "token/create"): ("2.0", tokens.create),
    ("GET", "token/list"): ("2.0", tokens.list_),
    ("POST", "token/delete"): ("2.0", tokens.delete),
    ("GET", "token-management/tokens"): ("2.0", tokens.list_all),
    ("GET", "token-management/tokens/{id}"): ("2.0", tokens.get_any),
    ("DELETE", "token-management/tokens/{id}"): ("2.0", tokens.delete_any),
    ("GET", "permissions/{type}/{id}"): ("2.0", permissions.get),
    ("PUT", "permissions/{type}/{id}"): ("2.0", permissions.set_),
    ("PATCH", "permissions/{type}/{id}"): ("2.0", permissions.update),
    ("GET", "permissions/{type}/{id}/permissionLevels"): ("2.0", permissions.levels),
    ("GET", f"{_SCIM}/Me"): ("2.0", scim.operation("service_principals", "me")),
    ("GET", f"{_SCIM}/ServicePrincipals"): ("2.0", scim.operation("service_principals", "list_")),
    ("POST", f"{_SCIM}/ServicePrincipals"): ("2.0", scim.operation("service_principals", "create")),
    ("GET", f"{_SCIM}/ServicePrincipals/{{id}}"): ("2.0", scim.operation("service_principals", "get")),
    ("PUT", f"{_SCIM}/ServicePrincipals/{{id}}"): ("2.0", scim.operation("service_principals", "replace")),
    ("PATCH", f"{_SCIM}/ServicePrincipals/{{id}}"): ("2.0", scim.operation("service_principals", "patch")),
    ("DELETE", f"{_SCIM}/ServicePrincipals/{{id}}"): ("2.0", scim.operation("service_principals", "delete")),
    ("GET", f"{_SCIM}/Users"): ("2.0", scim.operation("users", "list_")),
    ("POST", f"{_SCIM}/Users"): ("2.0", scim.operation("users", "create")),
    ("GET", f"{_SCIM}/Users/{{id}}"): ("2.0", scim.operation("users", "get")),
    ("PATCH", f"{_SCIM}/Users/{{id}}"): ("2.0", scim.operation("users", "patch")),
    ("DELETE", f"{_SCIM}/Users/{{id}}"): ("2.0", scim.operation("users", "delete")),
    ("GET", f"{_SCIM}/Groups"): ("2.0", scim.operation("groups", "list_")),
    ("POST", f"{_SCIM}/Groups"): ("2.0", scim.operation("groups", "create")),
    ("GET", f"{_SCIM}/Groups/{{id}}"): ("2.0", scim.operation("groups", "get")),
    ("PATCH", f"{_SCIM}/Groups/{{id}}"): ("2.0", scim.operation("groups", "patch")),
    ("DELETE", f"{_SCIM}/Groups/{{id}}"): ("2.0", scim.operation("groups", "delete")),
    **UNITY_CALLS,
}
ROUTES = tuple(_CALLS)
"""Method and path of each, for the types of their requests (request_types.py)."""
OPERATIONS = tuple((method, path, versions) for (method, path), (versions, _) in _CALLS.items())
"""Method, path and API versions of each, for the coverage table."""
_CREATED = {("POST", f"{_SCIM}/{name}") for name in ("ServicePrincipals", "Users", "Groups")}
_NO_CONTENT = {("DELETE", f"{_SCIM}/{name}/{{id}}") for name in ("ServicePrincipals", "Users", "Groups")}


@dataclass(frozen=True)
class _Pattern:
    method: str
    path: str
    expression: re.Pattern[str]
    versions: frozenset[str]
    handler: Handler


_PATTERNS = [
    _Pattern(
        method, path, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)), frozenset(versions.split()), handler
    )
    for (method, path), (versions, handler) in _CALLS.items()
]


def build_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of *.azuredatabricks.net."""
    artifacts: Artifacts = services.context.offered[Artifacts]

    async def api(request: Request) -> Response:
        try:
            return await _answer(services, request)
        except ServiceError as error:
            return _refusal(error)

    async def discovery(request: Request) -> Response:
        """Answer databricks-sdk's requests before its sign-in."""
        try:
            workspace = access.find_workspace(services.context, _host(request))
        except ServiceError as error:
            return _refusal(error)
        base = f"https://{workspace.host}/oidc"
        if request.url.path == "/.well-known/databricks-config":
            return JSONResponse({"oidc_endpoint": base, "workspace_id": workspace.id, "cloud": "Azure"})
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/v1/authorize",
                "token_endpoint": f"{base}/v1/token",
                "grant_types_supported": ["client_credentials", "authorization_code", "refresh_token"],
                "response_types_supported": ["code"],
            }
        )

    async def sign_in(request: Request) -> Response:
        """Redirect to the tenant's sign-in: SDKs without a tenant read it off the address."""
        return RedirectResponse(f"https://login.microsoftonline.com/{TENANT_ID}/oauth2/authorize", status_code=302)

    async def refused_page(request: Request) -> Response:
        """Answer callers that a workspace sends away because they do not come through its private endpoint."""
        return HTMLResponse("<p>This workspace is not reachable from this network.</p>")

    async def run_page(request: Request) -> Response:
        """Redirect to the page on localhost, where the gateway checks sign-in."""
        run_id = _run_number(request)
        if run_id is None:
            return _no_run_page()
        return RedirectResponse(run_requests.page_url(services.context.settings, run_id), 302)

    return [
        Route("/login.html", refused_page),
        Route("/.well-known/databricks-config", discovery),
        Route("/oidc/.well-known/oauth-authorization-server", discovery),
        Route("/oidc/.well-known/openid-configuration", discovery),
        Route("/aad/auth", sign_in),
        Route("/jobs/runs/{run_id}", run_page),
        Route(ARTIFACTS + "/{name}", artifacts.answer, methods=["GET", "HEAD", "PUT"]),
        Route("/{path:path}", api, methods=_METHODS),
    ]


def build_local_routes(services: Services, regions: MetastoreRegions, storage: RunStorage) -> list[BaseRoute]:
    """Return the routes of the regions' metastores and of runs' credentials, which check their callers themselves."""
    return [
        metastore_regions_route.route(services.context, regions),
        storage.route(),
    ]


def build_page_routes(services: Services) -> list[Route]:
    """Return the route of the run page on localhost, for browsers without the proxy."""

    async def run_page(request: Request) -> Response:
        run_id = _run_number(request)
        return _no_run_page() if run_id is None else _page(services, run_id)

    return [Route(f"{run_requests.PAGES_PATH}/{{run_id}}", run_page)]


async def _answer(services: Services, request: Request) -> Response:
    workspace = access.find_workspace(services.context, _host(request))
    match = re.fullmatch(r"/api/(2\.\d)/(.+?)/?", request.url.path)
    caller = access.enter(services.context, workspace, request.headers.get("authorization"))
    if access.is_kept_out(services.context, workspace):
        return RedirectResponse(f"/login.html?error=private-link-validation-error:{workspace.id}", status_code=303)
    if match is not None and match[1] == "2.0" and match[2].startswith("mlflow/"):
        parameters, _ = await _parameters(request)
        call = Call(services, workspace, caller, parameters)
        operation = match[2].removeprefix("mlflow/")
        return JSONResponse(
            await tracking.answer(call, request.method, operation), headers={"X-Databricks-Org-Id": workspace.id}
        )
    route, values = _find(request.method, *(match.groups() if match else ("", "")))
    if route is None or match is None:
        raise not_emulated(f"{request.method} {request.url.path} of Azure Databricks")
    parameters, files = await _parameters(request)
    _check(route, parameters)
    call = Call(services, workspace, caller, parameters, values, files, match.group(1))
    answer = route.handler(call)
    if inspect.isawaitable(answer):
        answer = await answer
    headers = {"X-Databricks-Org-Id": workspace.id}
    key = (route.method, route.path)
    if key in _NO_CONTENT:
        return Response(status_code=204, headers=headers)
    if isinstance(answer, Response):
        return answer
    return JSONResponse(answer, status_code=201 if key in _CREATED else 200, headers=headers)


def _check(route: _Pattern, parameters: Json) -> None:
    """Refuse a request that databricks-sdk's types do not allow."""
    scim_call = _SCIM in route.path
    fault = checks.first_fault(route.method, route.path, parameters, scim=scim_call)
    if fault is None:
        return
    if scim_call:
        raise errors.ScimError(400, fault.message, "invalidSyntax")
    if fault.kind == "unknown":
        raise ServiceError(501, "NOT_IMPLEMENTED", fault.message)
    raise errors.invalid(fault.message) if fault.kind == "enum" else errors.malformed(fault.message)


def _find(method: str, version: str, path: str) -> tuple[_Pattern | None, dict[str, str]]:
    for pattern in _PATTERNS:
        if pattern.method == method and version in pattern.versions:
            match = pattern.expression.fullmatch(path)
            if match is not None:
                return pattern, match.groupdict()
    return None, {}


async def _parameters(request: Request) -> tuple[Json, dict[str, bytes]]:
    """Return the fields of query and body, and the files of a multipart body. Raises MALFORMED_REQUEST."""
    parameters: dict[str, Any] = dict(request.query_params)
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    content = await whole_body(request, _LARGEST, _TOO_LARGE)
    if kind == "multipart/form-data":
        fields, files = forms.parse_form(request.headers["content-type"], content)
        return parameters | fields, files
    if content:
        try:
            body = parsed(content)
        except ValueError as error:
            raise errors.malformed(f"Invalid JSON given in the body of the request - {error}") from None
        if not isinstance(body, dict):
            raise errors.malformed("Invalid JSON given in the body of the request - expected a map")
        parameters.update(body)
    return parameters, {}


def _refusal(error: ServiceError) -> Response:
    if isinstance(error, errors.ScimError):
        body: Json = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "detail": error.message,
            "status": str(error.status),
        }
        if error.scim_type is not None:
            body["scimType"] = error.scim_type
    else:
        code = "NOT_IMPLEMENTED" if error.code == "NotImplemented" else error.code
        body = {"error_code": code, "message": error.message}
        if isinstance(error, errors.DetailedError):
            info = {"@type": _ERROR_INFO, "reason": error.reason, "domain": "unity-catalog.databricks.com"}
            body["details"] = [info]
    return JSONResponse(body, status_code=error.status, headers=error.headers)


def _host(request: Request) -> str:
    return request.headers.get("host", "").rsplit(":", 1)[0]


def _page(services: Services, run_id: int) -> Response:
    located = find_run_everywhere(services.context.database, run_id)
    if located is None:
        return _no_run_page()
    run, task = located
    return HTMLResponse(page.render(services.context.settings, run, task))


def _run_number(request: Request) -> int | None:
    """Return the run id of a page's path; None for an impossible one, such as thousands of digits."""
    text = request.path_params["run_id"]
    return int(text) if re.fullmatch("[0-9]{1,19}", text) else None


def _no_run_page() -> Response:
    return HTMLResponse("<!doctype html><title>No such run</title><p>This run does not exist.</p>", status_code=404)
