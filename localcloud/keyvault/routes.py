"""https://VAULT.vault.azure.net: the secrets of a vault, guarded by its role assignments or access policies."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from localcloud.arm import private_link
from localcloud.arm.store import Resource
from localcloud.arm.wire import JsonResponse, page, read_body
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.settings import TENANT_ID
from localcloud.keyvault.store import Secret, SecretStore

Json = dict[str, Any]

VAULT = "Microsoft.KeyVault/vaults"
_AUDIENCES = frozenset({"https://vault.azure.net", "https://vault.azure.net/"})
_CHALLENGE = {
    "WWW-Authenticate": f'Bearer authorization="https://login.microsoftonline.com/{TENANT_ID}", '
    'resource="https://vault.azure.net"'
}
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_ACTIONS = {
    # dataAction of the role model: permission of the access policy model
    "getSecret": "get", "readMetadata": "list", "setSecret": "set", "delete": "delete", "recover": "recover",
    "purge": "purge",
}  # fmt: skip


class _Forbidden(ServiceError):
    """403 with Key Vault's inner code: what kept the caller out."""

    def __init__(self, inner: str, message: str) -> None:
        super().__init__(403, "Forbidden", message)
        self.inner = inner


@dataclass(frozen=True)
class _Call:
    request: Request
    vault: Resource
    principal: Principal
    name: str
    version: str

    @property
    def base(self) -> str:
        return str(self.vault.properties["vaultUri"]).rstrip("/")


class Vaults:
    """Handlers over one context."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.secrets = SecretStore(ctx.database)

    def guarded(self, action: str, handler: Callable[[_Call], Awaitable[Json | None]]) -> Callable[[Request], Any]:
        """Sign-in, the vault, the permission; errors as Key Vault writes them."""

        async def endpoint(request: Request) -> Response:
            try:
                call = self._enter(request, action)
                answer = await handler(call)
                return JsonResponse(answer, 200 if answer is not None else 204)
            except ServiceError as error:
                return _error_response(error)

        return endpoint

    def _enter(self, request: Request, action: str) -> _Call:
        host = request.headers.get("host", "").split(":")[0]
        vault = self._ctx.resources.named(VAULT, host.partition(".")[0])
        if vault is None:
            raise ServiceError(
                400,
                "VaultDoesNotExist",
                f"There is no key vault '{host.partition('.')[0]}' in localcloud; on Azure the name '{host}' would not "
                "resolve.",
            )
        authorization = request.headers.get("authorization")
        if not authorization:
            raise ServiceError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.", _CHALLENGE)
        try:
            principal = self._ctx.identities.authenticate(authorization, _AUDIENCES)
        except ServiceError as error:
            raise ServiceError(401, "Unauthorized", f"AKV10032: {error.message}", _CHALLENGE) from error
        name = request.path_params.get("name", "")
        if name and _NAME.fullmatch(name) is None:
            raise ServiceError(
                400, "BadParameter", f"The request URI contains an invalid name: {name}. Use 1 to 127 of 0-9 a-z A-Z -."
            )
        self._check_network(vault, principal)
        self._authorize(vault, principal, action, name)
        return _Call(request, vault, principal, name, request.path_params.get("version", ""))

    def _check_network(self, vault: Resource, principal: Principal) -> None:
        if not private_link.refused(self._ctx, vault, "vault"):
            return
        caller = f"Caller: appid={principal.app_id};oid={principal.object_id};iss=https://sts.windows.net/{TENANT_ID}/"
        where = f"Vault: {vault.name};location={vault.location}"
        if str(vault.properties.get("publicNetworkAccess", "")).lower() == "disabled":
            raise _Forbidden(
                "ForbiddenByConnection",
                "Public network access is disabled and request is not from a trusted service nor via an approved "
                f"private link.\r\n{caller}\r\n{where}",
            )
        raise _Forbidden(
            "ForbiddenByFirewall",
            "Client address is not authorized and caller is not a trusted service.\r\n"
            f"Client address: {private_link.client_address()}\r\n{caller}\r\n{where}",
        )

    def _authorize(self, vault: Resource, principal: Principal, action: str, name: str) -> None:
        full = f"Microsoft.KeyVault/vaults/secrets/{action}" + ("" if action == "delete" else "/action")
        if vault.properties.get("enableRbacAuthorization"):
            scope = vault.id + (f"/secrets/{name}" if name else "")
            if self._ctx.authorizer.allows(principal, full, scope, data=True):
                return
            raise _Forbidden(
                "ForbiddenByRbac",
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or "
                "role "
                "definitions were changed recently, please observe propagation time.\r\n"
                "Caller: "
                f"appid={principal.app_id};oid={principal.object_id};iss=https://sts.windows.net/{TENANT_ID}/\r\n"
                f"Action: '{full}'\r\nResource: '{scope.lower()}'\r\nAssignment: (not found)\r\n"
                f"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: {vault.name};location={vault.location}\r\n",
            )
        for policy in vault.properties.get("accessPolicies") or []:
            granted = {str(one).lower() for one in (policy.get("permissions") or {}).get("secrets") or []}
            if policy.get("objectId") == principal.object_id and granted & {_ACTIONS[action], "all"}:
                return
        raise _Forbidden(
            "AccessDenied",
            f"The user, group or application 'appid={principal.app_id};oid={principal.object_id}' does not have "
            "secrets "
            f"{_ACTIONS[action]} permission on key vault '{vault.name};location={vault.location}'.",
        )

    async def put(self, call: _Call) -> Json:
        body = await read_body(call.request)
        if not isinstance(body.get("value"), str):
            raise ServiceError(400, "BadParameter", "Property  has invalid value: value is missing or not text.")
        if self.secrets.get(call.vault.name, call.name, deleted=True) is not None:
            raise ServiceError(
                409,
                "Conflict",
                f"Secret {call.name} is currently in a deleted but recoverable state, and its name cannot be reused; "
                "in "
                "this state, the secret can only be recovered or purged.",
            )
        secret = self.secrets.put(
            call.vault.name, call.name, body["value"], body.get("contentType"), body.get("tags") or {},
            body.get("attributes") or {},
        )  # fmt: skip
        return self._shown(call, secret)

    async def get(self, call: _Call) -> Json:
        secret = self._found(call)
        if not secret.attributes.get("enabled", True):
            raise ServiceError(403, "Forbidden", "Operation get is not allowed on a disabled secret.")
        return self._shown(call, secret)

    async def update(self, call: _Call) -> Json:
        body = await read_body(call.request)
        changed = self.secrets.update(
            self._found(call), body.get("contentType"), body.get("tags"), body.get("attributes") or {}
        )
        return self._shown(call, changed, value=False)

    async def list_all(self, call: _Call) -> Json:
        items = [self._item(call, one) for one in self.secrets.current(call.vault.name)]
        return self._page(call, items)

    async def versions(self, call: _Call) -> Json:
        found = self.secrets.versions(call.vault.name, call.name)
        return self._page(call, [self._item(call, one, versioned=True) for one in found])

    async def delete(self, call: _Call) -> Json:
        self._found(call)
        self.secrets.mark(call.vault.name, call.name, int(time.time()))
        return self._deleted(call)

    async def get_deleted(self, call: _Call) -> Json:
        return self._deleted(call)

    async def list_deleted(self, call: _Call) -> Json:
        found = self.secrets.current(call.vault.name, deleted=True)
        return self._page(call, [self._item(call, one) | self._deletion(call, one) for one in found])

    async def recover(self, call: _Call) -> Json:
        secret = self._found(call, deleted=True)
        self.secrets.mark(call.vault.name, call.name, None)
        return self._shown(call, secret, value=False)

    async def purge(self, call: _Call) -> None:
        self._found(call, deleted=True)
        if call.vault.properties.get("enablePurgeProtection"):
            raise ServiceError(
                403,
                "Forbidden",
                f'Operation "purge" is not allowed because purge protection is enabled for {call.base}.',
            )
        self.secrets.purge(call.vault.name, call.name)

    def _found(self, call: _Call, *, deleted: bool = False) -> Secret:
        found = self.secrets.get(call.vault.name, call.name, call.version, deleted=deleted)
        if found is None:
            shown = f"{call.name}/{call.version}" if call.version else call.name
            raise ServiceError(
                404,
                "SecretNotFound",
                f"A {'deleted ' if deleted else ''}secret with (name/id) {shown} was not found in this key vault. If "
                "you "
                "recently deleted this secret you may be able to recover it using the correct recovery command. For "
                "help "
                "resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
            )
        return found

    def _item(self, call: _Call, secret: Secret, *, versioned: bool = False) -> Json:
        days = call.vault.properties.get("softDeleteRetentionInDays", 90)
        level = "Recoverable" if call.vault.properties.get("enablePurgeProtection") else "Recoverable+Purgeable"
        item: Json = {
            "id": f"{call.base}/secrets/{secret.name}" + (f"/{secret.version}" if versioned else ""),
            "attributes": secret.attributes | {"recoveryLevel": level, "recoverableDays": days},
            "tags": secret.tags,
        }
        if secret.content_type is not None:
            item["contentType"] = secret.content_type
        return item

    def _shown(self, call: _Call, secret: Secret, *, value: bool = True) -> Json:
        item = self._item(call, secret, versioned=True)
        return {"value": secret.value} | item if value else item

    def _deletion(self, call: _Call, secret: Secret) -> Json:
        days = int(call.vault.properties.get("softDeleteRetentionInDays", 90))
        when = secret.deleted or 0
        return {
            "recoveryId": f"{call.base}/deletedsecrets/{secret.name}",
            "deletedDate": when,
            "scheduledPurgeDate": when + days * 86400,
        }

    def _deleted(self, call: _Call) -> Json:
        secret = self._found(call, deleted=True)
        return self._shown(call, secret, value=False) | self._deletion(call, secret)

    def _page(self, call: _Call, items: list[Json]) -> Json:
        query = dict(call.request.query_params)
        if "maxresults" in query:
            query["$top"] = query.pop("maxresults")
        answer = page(items, query, f"{call.base}{call.request.url.path}")
        return {"value": answer["value"], "nextLink": answer.get("nextLink")}


def _error_response(error: ServiceError) -> Response:
    inner = {"innererror": {"code": error.inner}} if isinstance(error, _Forbidden) else {}
    return JsonResponse(
        {"error": {"code": error.code, "message": error.message, **inner}}, error.status, dict(error.headers)
    )


async def _unknown(request: Request) -> Response:
    return _error_response(
        not_emulated(f"Key Vault's {request.method} {request.url.path}; of the data plane only secrets are")
    )


def build_routes(ctx: Context) -> list[BaseRoute]:
    """Paths of the vault hosts."""
    vaults = Vaults(ctx)
    table: tuple[tuple[str, str, str, Callable[[_Call], Awaitable[Json | None]]], ...] = (
        ("GET", "/secrets", "readMetadata", vaults.list_all),
        ("GET", "/secrets/{name}/versions", "readMetadata", vaults.versions),
        ("PUT", "/secrets/{name}", "setSecret", vaults.put),
        ("GET", "/secrets/{name}", "getSecret", vaults.get),
        ("GET", "/secrets/{name}/{version}", "getSecret", vaults.get),
        ("PATCH", "/secrets/{name}/{version}", "setSecret", vaults.update),
        ("DELETE", "/secrets/{name}", "delete", vaults.delete),
        ("GET", "/deletedsecrets", "readMetadata", vaults.list_deleted),
        ("GET", "/deletedsecrets/{name}", "readMetadata", vaults.get_deleted),
        ("DELETE", "/deletedsecrets/{name}", "purge", vaults.purge),
        ("POST", "/deletedsecrets/{name}/recover", "recover", vaults.recover),
    )
    routes: list[BaseRoute] = []
    for method, path, action, handler in table:
        for form in (path, path + "/"):
            routes.append(Route(form, vaults.guarded(action, handler), methods=[method]))
    routes.append(Route("/{path:path}", _unknown, methods=["GET", "PUT", "PATCH", "POST", "DELETE"]))
    return routes
