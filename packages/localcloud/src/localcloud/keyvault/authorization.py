"""Authorization of a vault's callers: sign-in, network, role or access policy, and the refusals."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from localcloud.arm import private_link
from localcloud.arm.wire import JsonResponse, page, read_body
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError, unresolved
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import TENANT_ID

VAULT = "Microsoft.KeyVault/vaults"
_AUDIENCES = frozenset({"https://vault.azure.net", "https://vault.azure.net/"})
_CHALLENGE = {
    "WWW-Authenticate": f'Bearer authorization="https://login.microsoftonline.com/{TENANT_ID}", '
    'resource="https://vault.azure.net"'
}
_NAME = re.compile(r"[0-9A-Za-z-]{1,127}")
_VERSIONS = ("2015-06-01", "2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01")
_PREVIEW = re.compile(r"-preview(\.\d)?$")
_PAGE = 25
"""It is also the greatest maxresults (the REST reference's "Get Secrets")."""
_SETTABLE = frozenset({"enabled", "exp", "nbf"})
_NO_SUFFIX = frozenset({"delete", "read", "write"})


@dataclass(frozen=True)
class Action:
    """A route's permission: the role model's dataAction below `vaults/KIND`, and the access policy's permission."""

    kind: str
    """"secrets", "keys" or "certificatecontacts"."""
    name: str
    permission: str

    @property
    def permission_kind(self) -> str:
        """The list of an access policy that has the permission."""
        return "certificates" if self.kind == "certificatecontacts" else self.kind

    @property
    def full(self) -> str:
        suffix = "" if self.name in _NO_SUFFIX else "/action"
        return f"{VAULT}/{self.kind}/{self.name}{suffix}"


@dataclass(frozen=True)
class VaultCall:
    """An admitted request. `name` and `version` are from the path, empty where it has none."""

    request: Request
    vault: Resource
    principal: Principal
    name: str
    version: str

    @property
    def base(self) -> str:
        return str(self.vault.properties["vaultUri"]).rstrip("/")


async def json_body(call: VaultCall) -> Json:
    """Return the body. Raises ServiceError 400 BadParameter when it is not JSON or a common field is invalid."""
    try:
        body = await read_body(call.request)
    except ServiceError as error:
        raise ServiceError(400, "BadParameter", error.message) from error
    tags, attributes = body.get("tags"), body.get("attributes")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(tag, str) for tag in tags.values())):
        raise ServiceError(400, "BadParameter", "Property tags has invalid value: it is an object of texts.")
    if attributes is None:
        return body
    if not isinstance(attributes, dict):
        raise ServiceError(400, "BadParameter", "Property attributes has invalid value: it is an object.")
    for name, value in attributes.items():
        type_ = bool if name == "enabled" else int
        if name in _SETTABLE and value is not None and type(value) is not type_:
            kind = "true or false" if name == "enabled" else "the seconds since 1970"
            raise ServiceError(400, "BadParameter", f"Property {name} has invalid value {value!r}: give {kind}.")
    return body


Handler = Callable[[VaultCall], Awaitable[Json | None]]


class Forbidden(ServiceError):
    """403 with Key Vault's inner code: the reason of the refusal."""

    def __init__(self, inner: str, message: str) -> None:
        super().__init__(403, "Forbidden", message)
        self.inner = inner


class Guard:
    """Makes endpoints of handlers."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def endpoint(self, action: Action, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Sign-in, the vault, the permission; errors as Key Vault writes them."""

        async def answer(request: Request) -> Response:
            try:
                content = await handler(self._enter(request, action))
            except ServiceError as error:
                return error_response(error)
            return JsonResponse(content, 200 if content is not None else 204)

        return answer

    def _enter(self, request: Request, action: Action) -> VaultCall:
        host = request.headers.get("host", "").split(":")[0]
        vault_name = host.partition(".")[0]
        vault = self._ctx.resources.named(VAULT, vault_name)
        if vault is None:
            raise unresolved(400, "VaultDoesNotExist", "key vault", vault_name, host)
        authorization = request.headers.get("authorization")
        if not authorization:
            raise ServiceError(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.", _CHALLENGE)
        try:
            principal = self._ctx.identities.authenticate(authorization, _AUDIENCES)
        except ServiceError as error:
            raise ServiceError(401, "Unauthorized", f"AKV10032: {error.message}", _CHALLENGE) from error
        _check_version(request.query_params.get("api-version", ""))
        name = request.path_params.get("name", "")
        if name and _NAME.fullmatch(name) is None:
            raise ServiceError(
                400, "BadParameter", f"The request URI contains an invalid name: {name}. Use 1 to 127 of 0-9 a-z A-Z -."
            )
        self._check_network(vault, principal)
        self._authorize(vault, principal, action, name)
        return VaultCall(request, vault, principal, name, request.path_params.get("version", ""))

    def _check_network(self, vault: Resource, principal: Principal) -> None:
        if not private_link.refused(self._ctx, vault, "vault"):
            return
        caller = f"Caller: appid={principal.app_id};oid={principal.object_id};iss=https://sts.windows.net/{TENANT_ID}/"
        where = f"Vault: {vault.name};location={vault.location}"
        if str(vault.properties.get("publicNetworkAccess", "")).lower() == "disabled":
            raise Forbidden(
                "ForbiddenByConnection",
                "Public network access is disabled and request is not from a trusted service nor via an approved "
                f"private link.\r\n{caller}\r\n{where}",
            )
        raise Forbidden(
            "ForbiddenByFirewall",
            "Client address is not authorized and caller is not a trusted service.\r\n"
            f"Client address: {private_link.client_address()}\r\n{caller}\r\n{where}",
        )

    def _authorize(self, vault: Resource, principal: Principal, action: Action, name: str) -> None:
        if vault.properties.get("enableRbacAuthorization"):
            scope = vault.id + (f"/{action.kind}/{name}" if name else "")
            if self._ctx.authorizer.allows(principal, action.full, scope, data=True):
                return
            raise Forbidden(
                "ForbiddenByRbac",
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or "
                "role definitions were changed recently, please observe propagation time.\r\n"
                f"Caller: appid={principal.app_id};oid={principal.object_id};"
                f"iss=https://sts.windows.net/{TENANT_ID}/\r\n"
                f"Action: '{action.full}'\r\nResource: '{scope.lower()}'\r\nAssignment: (not found)\r\n"
                f"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: {vault.name};location={vault.location}\r\n",
            )
        for policy in vault.properties.get("accessPolicies") or []:
            granted = {
                str(permission).lower()
                for permission in (policy.get("permissions") or {}).get(action.permission_kind) or []
            }
            if policy.get("objectId") == principal.object_id and granted & {action.permission.lower(), "all"}:
                return
        raise Forbidden(
            "AccessDenied",
            f"The user, group or application 'appid={principal.app_id};oid={principal.object_id}' does not have "
            f"{action.kind} {action.permission} permission on key vault '{vault.name};location={vault.location}'.",
        )


def _check_version(version: str) -> None:
    if not version:
        raise ServiceError(400, "BadParameter", "api-version must be specified")
    if _PREVIEW.sub("", version) not in _VERSIONS:
        raise ServiceError(
            400,
            "BadParameter",
            f"The specified version ({version}) is not recognized. Consider using the latest supported version "
            f"({_VERSIONS[-1]}).",
        )


def recovery(vault: Resource) -> Json:
    """Return the attributes for the time in which a deleted object can be recovered."""
    days = vault.properties.get("softDeleteRetentionInDays", 90)
    level = "Recoverable" if vault.properties.get("enablePurgeProtection") else "Recoverable+Purgeable"
    return {"recoveryLevel": level, "recoverableDays": days}


def deletion(call: VaultCall, kind: str, name: str, when: int | None) -> Json:
    """`kind` is "secrets" or "keys"; `when` in seconds since 1970."""
    days = int(call.vault.properties.get("softDeleteRetentionInDays", 90))
    return {
        "recoveryId": f"{call.base}/deleted{kind}/{name}",
        "deletedDate": when or 0,
        "scheduledPurgeDate": (when or 0) + days * 86400,
    }


def check_purge(call: VaultCall) -> None:
    """Check that purging is allowed. Raises 403 where purge protection is on."""
    if call.vault.properties.get("enablePurgeProtection"):
        raise ServiceError(
            403, "Forbidden", f'Operation "purge" is not allowed because purge protection is enabled for {call.base}.'
        )


def held(kind: str, name: str) -> ServiceError:
    """409 for a name that a deleted secret or key still has."""
    return ServiceError(
        409,
        "Conflict",
        f"{kind} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, "
        f"the {kind.lower()} can only be recovered or purged.",
    )


def paged(call: VaultCall, items: list[Json]) -> Json:
    """Return a page of 25, or of maxresults. Raises ServiceError 400 for a number outside of 1 to 25."""
    query = dict(call.request.query_params)
    max_results = query.pop("maxresults", str(_PAGE))
    if not max_results.isdigit() or not 1 <= int(max_results) <= _PAGE:
        raise ServiceError(
            400,
            "BadParameter",
            f"The value of maxresults, {max_results}, is not valid: use a number from 1 to {_PAGE}.",
        )
    query["$top"] = max_results
    answer = page(items, query, f"{call.base}{call.request.url.path}")
    return {"value": answer["value"], "nextLink": answer.get("nextLink")}


def error_response(error: ServiceError) -> Response:
    inner = {"innererror": {"code": error.inner}} if isinstance(error, Forbidden) else {}
    return JsonResponse(
        {"error": {"code": error.code, "message": error.message, **inner}}, error.status, dict(error.headers)
    )
