"""The life of any resource: PUT, PATCH, GET, DELETE, lists and actions, by the rules of its type."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from localcloud.arm import bodies, identity, ids, private_link, resource_types, rules
from localcloud.arm.conditions import NONE, Attributes
from localcloud.arm.exclusive import Claim, Exclusive
from localcloud.arm.ids import ResourceId
from localcloud.arm.operations import Operation, Operations
from localcloud.arm.resource_types import Call, ResourceType
from localcloud.arm.wire import JsonResponse, page
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource, now

_READ_ONLY = {"id", "name", "type", "systemData"}
_log = logging.getLogger("localcloud.arm")


class Resources:
    """Handlers over one context. Raised ServiceErrors are rendered by the routes."""

    def __init__(self, ctx: Context, operations: Operations) -> None:
        self._ctx = ctx
        self.operations = operations
        self._exclusive = Exclusive()

    def type_of(self, rid: ResourceId, method: str) -> ResourceType:
        """Return the registered type. Raises ServiceError 501 for types that localcloud does not have."""
        type_ = resource_types.of(self._ctx).get(rid.type)
        if type_ is None:
            raise not_emulated(f"resource type {rid.type} ({method} {rid.text})")
        return type_

    async def find(self, id_: str) -> Resource | None:
        """Return the resource from its type's view or the store."""
        rid = ids.parse(id_)
        type_ = None if rid is None else resource_types.of(self._ctx).get(rid.type)
        if type_ is not None and type_.read is not None:
            return await type_.read(self._ctx, id_)
        return self._ctx.resources.get(id_)

    def render(self, resource: Resource) -> Json:
        type_ = resource_types.of(self._ctx).get(resource.type)
        body = resource.to_json() if type_ is None or type_.render is None else type_.render(self._ctx, resource)
        private_link.show_connections(self._ctx, resource, body)
        return body

    async def get(self, rid: ResourceId, call: Call) -> Response:
        type_ = self.type_of(rid, "GET")
        rules.check_version(type_, call.api_version)
        rules.authorize(self._ctx, call.principal, f"{type_.permission}/read", rid.text)
        rules.check_group(self._ctx, rid)
        resource = await self.find(rid.text)
        if resource is None:
            await self._check_parent(type_, rid)
            raise rules.not_found(rid)
        return JsonResponse(self.render(resource))

    async def head(self, rid: ResourceId, call: Call) -> Response:
        """Answer 204 when it exists, 404 when not, no body either way."""
        type_ = self.type_of(rid, "HEAD")
        rules.check_version(type_, call.api_version)
        rules.authorize(self._ctx, call.principal, f"{type_.permission}/read", rid.text)
        return Response(status_code=404 if await self.find(rid.text) is None else 204)

    async def put(self, rid: ResourceId, body: Json, call: Call, *, patch: bool = False) -> Response:
        """Create or replace; with `patch`, merge into the existing resource. Answers as the type's clients expect."""
        verb = "PATCH" if patch else "PUT"
        type_ = self.type_of(rid, verb)
        rules.check_version(type_, call.api_version, str(body.get("location") or ""))
        bodies.check_form(body)
        attributes = bodies.readable(type_.type, lambda: self._seen(type_, rid, body))
        rules.authorize(self._ctx, call.principal, f"{type_.permission}/write", rid.text, attributes)
        rules.check_registered(self._ctx, type_)
        if rid.type != ids.RESOURCE_GROUP_TYPE:
            rules.check_group(self._ctx, rid, writes=True)
        existing = await self.find(rid.text)
        if (patch and not type_.patchable) or (not patch and not type_.allow_put):
            raise not_emulated(f"{verb} of {type_.type} with api-version {call.api_version} ({rid.text})")
        await self._check_parent(type_, rid, "write")
        if patch and existing is None:
            raise rules.not_found(rid)
        rules.check_locks(self._ctx, rid.text, "write")
        self._check_conditions(type_, existing, call)
        if existing is not None and existing.state in {"Deleting", "Creating"}:
            if existing.type == ids.RESOURCE_GROUP_TYPE:
                raise rules.group_goes(existing)
            raise ServiceError(
                409,
                "AnotherOperationInProgress",
                f"Another operation on '{existing.id}' is in progress (provisioningState {existing.state}). "
                "Retry later.",
                {"Retry-After": "1"},
            )
        if existing is None:
            rules.check_name(self._ctx, type_, rid)
        elif patch:
            body = _merged(existing, body)
        resource = bodies.readable(type_.type, lambda: self._build(type_, rid, body, existing, call))
        return await self._save(type_, rid, resource, existing, call, self._claim(resource))

    def _claim(self, resource: Resource) -> Claim:
        """Claim the operation's resources. Raises 409 where another has it and Azure refuses at once."""
        type_ = resource_types.of(self._ctx).get(resource.type)
        locks = None if type_ is None or type_.locks is None else type_.locks(self._ctx, resource)
        return self._exclusive.claim(resource, locks)

    def _seen(self, type_: ResourceType, rid: ResourceId, body: Json | None) -> Attributes:
        return NONE if type_.attributes is None else type_.attributes(self._ctx, rid.text, body)

    def _check_conditions(self, type_: ResourceType, existing: Resource | None, call: Call) -> None:
        """Check If-Match and If-None-Match where a type has etags; Azure's other types ignore them."""
        if not call.headers.keys() & {"if-match", "if-none-match"}:
            return
        etag = None if existing is None else self.render(existing).get("etag")
        if etag is not None or (existing is None and type_.namespace == "Microsoft.Network"):
            bodies.check_conditions(call.headers, etag, exists=existing is not None)

    def _build(
        self, type_: ResourceType, rid: ResourceId, body: Json, existing: Resource | None, call: Call
    ) -> Resource:
        location = rules.check_location(type_, rid, body.get("location"), existing)
        rules.check_body(type_, body, existing)
        secrets = dict(existing.private.get("writeOnly", {})) if existing is not None else {}
        for path in type_.write_only:
            value = rules.value_at(body, path)
            if value is not None:
                secrets[path] = value
                _remove(body, path)
        stamp = now()
        author = {"By": call.principal.app_id, "ByType": "Application"}
        created = (existing.system_data if existing is not None else None) or {
            "createdBy": author["By"],
            "createdByType": author["ByType"],
            "createdAt": stamp,
        }
        target = rid if existing is None else ids.parse(existing.id) or rid
        resource = Resource.from_json(
            {k: v for k, v in body.items() if k not in _READ_ONLY}
            | {"id": target.text, "name": target.name, "type": type_.type},
            existing.private if existing is not None else None,
        )
        resource.location = location
        if type_.tracked:
            resource.tags = dict(resource.tags or {})
        bodies.check_tags(resource.tags or {})
        resource.system_data = created | {
            "lastModifiedBy": author["By"],
            "lastModifiedByType": author["ByType"],
            "lastModifiedAt": stamp,
        }
        resource.private["apiVersion"] = call.api_version
        if secrets:
            resource.private["writeOnly"] = secrets
        if type_.complete is not None:
            type_.complete(self._ctx, resource, existing)
        identity.complete(self._ctx, resource, existing)
        return resource

    async def _save(
        self,
        type_: ResourceType,
        rid: ResourceId,
        resource: Resource,
        existing: Resource | None,
        call: Call,
        claim: Claim,
    ) -> Response:
        status = type_.create_status if existing is None else type_.update_status
        waits = "put" in type_.long_running or (existing is None and "create" in type_.long_running)
        if not waits:
            if type_.provisioning_state:
                resource.properties["provisioningState"] = "Succeeded"
            with claim:
                if type_.on_put is not None:
                    try:
                        await type_.on_put(self._ctx, resource, existing, call)
                    except ServiceError:
                        if existing is None:
                            identity.forget(self._ctx, resource)
                        raise
            if type_.read is None:
                self._ctx.resources.put(resource)
            return JsonResponse(self.render(await self.find(resource.id) or resource), status)
        state = "Creating" if existing is None else "Updating"
        operation = self._start(
            "put", resource, state, lambda: self._finish_put(resource.id, existing, call, claim), call, claim
        )
        headers = self.operations.headers(
            operation, call.base_url, rid.subscription, type_.namespace, resource.location or ""
        )
        return JsonResponse(None if status == 202 else self.render(resource), status, headers)

    def _start(
        self, kind: str, resource: Resource, state: str | None, work: Callable[[], Awaitable[None]], call: Call,
        claim: Claim,
    ) -> Operation:  # fmt: skip
        """Start an operation on a resource, which shows `state` meanwhile.

        When it cannot be started, nothing would end it: the claim is released, and the resource is restored.
        """
        before = self._ctx.resources.get(resource.id)
        try:
            if state is not None:
                resource.properties["provisioningState"] = state
                self._ctx.resources.put(resource)
            return self.operations.start(
                kind, resource.id, work,
                client=call.principal.object_id, api_version=call.api_version, seconds=claim.seconds,
            )  # fmt: skip
        except BaseException:
            claim.release()
            if before is not None:
                self._ctx.resources.put(before)
            elif state is not None:
                identity.forget(self._ctx, resource)
                self._ctx.resources.delete(resource.id)
            raise

    async def _finish_put(self, id_: str, existing: Resource | None, call: Call, claim: Claim) -> None:
        resource = self._ctx.resources.get(id_)
        try:
            with claim:
                if resource is None:
                    raise ServiceError(404, "ResourceNotFound", f"'{id_}' was deleted while it was being created.")
                type_ = resource_types.of(self._ctx).get(resource.type)
                self._ctx.check_operation("PUT", id_)
                if type_ is not None and type_.on_put is not None:
                    await type_.on_put(self._ctx, resource, existing, call)
        except Exception:
            if resource is None:
                raise
            resource.properties["provisioningState"] = "Failed"
            self._ctx.resources.put(resource)
            raise
        resource.properties["provisioningState"] = "Succeeded"
        self._ctx.resources.put(resource)

    async def delete(self, rid: ResourceId, call: Call) -> Response:
        type_ = self.type_of(rid, "DELETE")
        rules.check_version(type_, call.api_version)
        attributes = self._seen(type_, rid, None)
        rules.authorize(self._ctx, call.principal, f"{type_.permission}/delete", rid.text, attributes)
        rules.check_registered(self._ctx, type_)
        rules.check_group(self._ctx, rid)
        resource = await self.find(rid.text)
        if resource is None:
            purged = type_.purge is not None and await type_.purge(self._ctx, rid.text, call)
            return Response(status_code=200 if purged else 204)
        if not type_.allow_delete:
            raise ServiceError(405, "MethodNotAllowed", f"The resource type '{type_.type}' has no delete ({rid.text}).")
        rules.check_locks(self._ctx, rid.text, "delete")
        self._check_conditions(type_, resource, call)
        if type_.check_delete is not None:
            type_.check_delete(self._ctx, resource)
        if "delete" not in type_.long_running:
            body = self.render(resource)
            with self._claim(resource):
                await self.remove(resource, call)
            # Role assignments and other extensions answer with the deleted resource; other providers with no body.
            return JsonResponse(body) if type_.extension else Response(status_code=200)
        return await self.start_delete(resource, type_, "delete", call)

    async def start_delete(self, resource: Resource, type_: ResourceType, kind: str, call: Call) -> Response:
        """202 and an operation; the resource shows provisioningState Deleting until it is gone.

        A second DELETE meanwhile gets the same operation.
        """
        rid = ids.parse(resource.id)
        if rid is None:
            raise ValueError(f"{resource.id!r} is not a resource id")
        operation = self.operations.under_way(kind, resource.id)
        if operation is None:
            claim = self._claim(resource)
            state = "Deleting" if type_.read is None else None
            operation = self._start(
                kind, resource, state, lambda: self._finish_delete(resource, call, claim), call, claim
            )
        namespace = "" if kind == "deleteGroup" else type_.namespace
        headers = self.operations.headers(
            operation, call.base_url, rid.subscription, namespace, resource.location or ""
        )
        return Response(status_code=202, headers=headers)

    async def _finish_delete(self, resource: Resource, call: Call, claim: Claim) -> None:
        try:
            with claim:
                self._ctx.check_operation("DELETE", resource.id)
                await self.remove(resource, call)
        except Exception:
            left = self._ctx.resources.get(resource.id)
            if left is not None:
                left.properties["provisioningState"] = "Failed"
                self._ctx.resources.put(left)
            raise

    async def remove(self, resource: Resource, call: Call) -> None:
        """Delete a resource and all below it, deepest first, by their own on_delete."""
        for removed in [*self._ctx.resources.below(resource.id), resource]:
            type_ = resource_types.of(self._ctx).get(removed.type)
            if type_ is not None and type_.on_delete is not None:
                await type_.on_delete(self._ctx, removed, call)
            identity.forget(self._ctx, removed)
            self._ctx.resources.delete(removed.id)

    async def list_in(self, rid: ResourceId, call: Call) -> Response:
        """List a collection; `rid` is the id of any member (".../containers/x")."""
        type_ = self.type_of(rid, "GET")
        rules.check_version(type_, call.api_version)
        rules.authorize(self._ctx, call.principal, f"{type_.permission}/read", rid.parent)
        if rid.type != ids.RESOURCE_GROUP_TYPE:
            rules.check_group(self._ctx, rid)
        await self._check_parent(type_, rid)
        if type_.list_in is not None:
            members = await type_.list_in(self._ctx, rid.parent, call)
        elif type_.extension or (rid.resource_group and rid.type != ids.RESOURCE_GROUP_TYPE):
            members = self._ctx.resources.children(rid.parent, type_.type)
        else:
            members = self._ctx.resources.list(type_.type, rid.parent)
        url = f"{call.base_url}{rid.text.rsplit('/', 1)[0]}"
        return JsonResponse(page([self.render(member) for member in members], call.query, url))

    async def action(self, rid: ResourceId, name: str, body: Json, call: Call) -> Response:
        """POST {id}/{name}. Raises ServiceError 404 for a missing resource, 501 for an unknown action."""
        type_ = self.type_of(rid, "POST")
        rules.check_version(type_, call.api_version)
        known = {action.lower(): action for action in type_.actions}
        if name.lower() not in known:
            raise not_emulated(f"POST {rid.text}/{name} with api-version {call.api_version}")
        action = known[name.lower()]
        rules.authorize(self._ctx, call.principal, f"{type_.permission}/{action}/action", rid.text)
        rules.check_registered(self._ctx, type_)
        rules.check_group(self._ctx, rid)
        rules.check_locks(self._ctx, rid.text, "action")
        resource = await self.find(rid.text)
        if resource is None:
            raise rules.not_found(rid)
        answer = await type_.actions[action](self._ctx, resource, body, call)
        return answer if isinstance(answer, Response) else JsonResponse(answer)

    async def _check_parent(self, type_: ResourceType, rid: ResourceId, verb: str = "read") -> None:
        parent = ids.parse(rid.parent)
        if parent is None or not type_.parent_required or resource_types.of(self._ctx).get(parent.type) is None:
            return
        if await self.find(parent.text) is None:
            raise rules.parent_missing(rid, verb)

    def restart(self, operation: Operation) -> Callable[[], Awaitable[None]]:
        """Return the work of an operation that a stopped process left, for its first caller."""
        principal = self._ctx.identities.by_object_id(operation.client)
        resource = self._ctx.resources.get(operation.resource_id)

        async def work() -> None:
            if principal is None:
                raise ServiceError(409, "OperationAborted", "localcloud was restarted and the client no longer exists.")
            call = Call(principal, operation.api_version, self._ctx.settings.gateway_url)
            if resource is not None and operation.kind == "put":
                await self._finish_put(operation.resource_id, None, call, self._claim(resource))
            elif resource is not None:
                await self._finish_delete(resource, call, self._claim(resource))
            elif operation.kind == "put":
                raise ServiceError(404, "ResourceNotFound", f"'{operation.resource_id}' was deleted meanwhile.")

        return work


def _merged(existing: Resource, body: Json) -> Json:
    """JSON merge patch (RFC 7396), except that tags are replaced as a whole, as Azure does."""
    merged = _merge(existing.to_json(), {k: v for k, v in body.items() if k != "tags"})
    if body.get("tags") is not None:
        merged["tags"] = body["tags"]
    if body.get("location") is None:
        merged["location"] = existing.location
    return merged


def _merge(target: Json, patch: Json) -> Json:
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merge(result[key], value)
        else:
            result[key] = value
    return result


def _remove(body: Json, path: str) -> None:
    *parents, last = path.split(".")
    for part in parents:
        body = body[part]
    body.pop(last, None)
