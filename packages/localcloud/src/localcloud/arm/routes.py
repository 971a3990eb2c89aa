"""ARM's front door: sign-in, api-version, and which handler a path belongs to.

Paths are matched case-insensitively, as Azure does: provider routes first, then resource ids, collections and actions.
"""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from localcloud.arm import ids, metadata, relaxed_json, resource_types, rules
from localcloud.arm.activity_log import ActivityLog, ActivityRoute
from localcloud.arm.api_versions import is_supported
from localcloud.arm.operations import Operations, status_response
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.arm.resources import Resources
from localcloud.arm.wire import JsonResponse, error_response, read_body, stamp
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json, parsed

_log = logging.getLogger("localcloud.arm")


class _Root(StringConvertor):
    """The first segment of ARM's paths, which are the same in any letter case.

    Clients put a scope, itself a path, behind a slash ("//subscriptions/…"), and leave names empty that are optional.
    """

    regex = "/*(?i:tenants|subscriptions|providers)"


register_url_convertor("arm_root", _Root())
_SLASHES = re.compile("/{2,}")
METHODS = ["GET", "HEAD", "PUT", "PATCH", "POST", "DELETE"]


class Arm:
    """The request handler of management.azure.com."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.operations = Operations(ctx)
        self.resources = Resources(ctx, self.operations)
        self._records = True
        self._activity = ActivityLog(ctx.database)
        ActivityRoute(self._activity).register(ctx)
        gateway = ctx.settings.gateway_url
        hosts = (
            "https://management.azure.com", "https://management.core.windows.net", gateway,
            gateway.replace("localhost", "127.0.0.1"),
        )  # fmt: skip
        self.audiences = frozenset(host + end for host in hosts for end in ("", "/"))
        ctx.on_start.append(self._start)

    def accepting(self, audiences: frozenset[str]) -> Arm:
        """Return the same handler for a service that accepts other tokens as well; the activity log leaves it out."""
        other = copy.copy(self)
        other.audiences = self.audiences | audiences
        other._records = False
        return other

    async def _start(self) -> None:
        self.operations.resume(self.resources.restart)

    async def __call__(self, request: Request) -> Response:
        try:
            response = await self._answer(request)
        except ServiceError as error:
            response = error_response(error)
        except Exception as error:
            _log.exception("%s %s failed", request.method, request.url.path)
            response = error_response(ServiceError(500, "InternalServerError", f"localcloud failed: {error!r}"))
        stamp(request, response)
        principal = getattr(request.state, "principal", None)
        if self._records and request.method not in {"GET", "HEAD"} and principal is not None:
            self._activity.record(self._ctx, principal, request, response)
        return response

    async def _answer(self, request: Request) -> Response:
        principal = self._ctx.identities.authenticate(request.headers.get("authorization"), self.audiences)
        request.state.principal = principal
        version = rules.api_version(request.query_params)
        host = request.headers.get("host", request.url.netloc)
        call = Call(
            principal, version, f"{request.url.scheme}://{host}", dict(request.query_params), dict(request.headers)
        )
        path = _SLASHES.sub("/", "/" + request.url.path.strip("/"))
        parts = path.split("/")
        if parts[1].lower() == "subscriptions" and len(parts) > 2:
            rules.check_subscription(parts[2])
        special = await self._operation(parts, call)
        if special is not None:
            return special
        matched = resource_types.of(self._ctx).match_route(request.method, path)
        if matched is not None:
            return await self._provider_route(request, path, *matched, call)
        return await self._resource(request, path, call)

    async def _provider_route(
        self, request: Request, path: str, route: ProviderRoute, parameters: dict[str, str], call: Call
    ) -> Response:
        if not is_supported(call.api_version, route.api_versions):
            raise ServiceError(
                400,
                "InvalidApiVersionParameter",
                f"The api-version '{call.api_version}' is invalid. The supported versions are "
                f"'{', '.join(reversed(route.api_versions))}'.",
            )
        if route.permission is not None:
            rules.authorize(self._ctx, call.principal, route.permission, path)
        answer = await route.handler(self._ctx, parameters, await _body(request), call)
        return answer if isinstance(answer, Response) else JsonResponse(answer)

    async def _resource(self, request: Request, path: str, call: Call) -> Response:
        method = request.method
        rid = ids.parse(path)
        if rid is not None:
            # A path with an even tail is a resource, except a POST, whose tail is an action of a singleton.
            if method == "GET":
                return await self.resources.get(rid, call)
            if method == "HEAD":
                return await self.resources.head(rid, call)
            if method == "DELETE":
                return await self._delete(rid, call)
            if method in {"PUT", "PATCH"}:
                return await self.resources.put(rid, await _body(request), call, patch=method == "PATCH")
        elif method == "GET":
            member = ids.parse(path + "/_")
            if member is not None:
                return await self.resources.list_in(member, call)
        elif method == "POST":
            above, _, name = path.rpartition("/")
            owner = ids.parse(above)
            if owner is not None:
                return await self.resources.action(owner, name, await _body(request), call)
        raise not_emulated(f"{method} {path} with api-version {call.api_version}")

    async def _delete(self, rid: ids.ResourceId, call: Call) -> Response:
        if rid.type != ids.RESOURCE_GROUP_TYPE:
            return await self.resources.delete(rid, call)
        type_ = self.resources.type_of(rid, "DELETE")
        rules.check_version(type_, call.api_version)
        rules.authorize(self._ctx, call.principal, f"{type_.permission}/delete", rid.text)
        group = rules.check_group(self._ctx, rid)
        if group is None:
            raise rules.not_found(rid)
        rules.check_locks(self._ctx, rid.text, "delete")
        return await self.resources.start_delete(group, type_, "deleteGroup", call)

    async def _operation(self, parts: list[str], call: Call) -> Response | None:
        """…/operationStatuses/ID (always 200, status in the body) and …/operationResults/ID (202 until it is done)."""
        if len(parts) < 5:
            return None
        kind = parts[-2].lower()
        if kind not in {"operationstatuses", "operationresults"}:
            return None
        operation = await self.operations.wait(parts[-1])
        if kind == "operationstatuses":
            return status_response(operation, "/".join(parts))
        if operation.status == "InProgress":
            return Response(
                status_code=202,
                headers={
                    "Location": f"{call.base_url}{'/'.join(parts)}?api-version={call.api_version}",
                    "Retry-After": "1",
                },
            )
        if operation.error is not None:
            raise ServiceError(
                operation.error_status or 500, operation.error["code"], operation.error["message"],
                details=operation.error.get("details") or (),
            )  # fmt: skip
        resource = await self.resources.find(operation.resource_id)
        # A deletion's result is nothing: 200 for a resource group, 204 for the rest, as their clients accept.
        if operation.kind != "put" or resource is None:
            return Response(status_code=200 if operation.kind in {"deleteGroup", "purge"} else 204)
        return JsonResponse(self.resources.render(resource))


async def _body(request: Request) -> Json:
    """Return the request's JSON object; deployments have a syntax of their own."""
    relaxed = "/providers/microsoft.resources/deployments/" in request.url.path.lower()
    return await read_body(request, relaxed_json.loads if relaxed else parsed)


def routes_of(arm: Arm) -> list[BaseRoute]:
    """Everything of ARM on management.azure.com and on localhost."""
    endpoint: Callable[[Request], object] = arm.__call__
    paths = ("/{root:arm_root}", "/{root:arm_root}/{path:path}")
    return [
        Route("/metadata/endpoints", metadata.endpoints, methods=["GET"]),
        *(Route(path, endpoint, methods=METHODS) for path in paths),
    ]
