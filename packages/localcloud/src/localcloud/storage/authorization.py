"""Authorization at a storage account: network, credentials, roles. The blob and the dfs endpoint share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from localcloud.arm import private_link
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.storage import delegation_keys, errors, sharedkey
from localcloud.storage.addresses import Target, endpoint_of, raw_query_of
from localcloud.storage.operations import Need, attributes_of

ACCOUNT_TYPE = "Microsoft.Storage/storageAccounts"
_CHALLENGE_SINCE = "2019-12-12"
"""First x-ms-version with a bearer challenge for anonymous requests."""


@dataclass(frozen=True)
class Demand:
    """Permission that a bearer token's principal needs for a request, and its scope."""

    target: Target
    need: Need


@dataclass(frozen=True)
class Entry:
    """An authorized caller. `trusted`: Azurite need not check the request again; `principal` is a bearer token's."""

    trusted: bool
    principal: Principal | None


class Gate:
    """Authorization of requests by network, credentials and roles."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def account(self, host: str, endpoint: str) -> Resource:
        """Return the account of a host, for a caller whom its network admits. `endpoint` is "blob" or "dfs"."""
        name, named_endpoint = endpoint_of(host) or (host.partition(".")[0], "")
        account = self._ctx.resources.named(ACCOUNT_TYPE, name) if named_endpoint == endpoint else None
        if account is None or account.state != "Succeeded":
            raise errors.no_account(name, host)
        if private_link.refused(self._ctx, account, endpoint):
            raise errors.network_refused()
        return account

    def keeps_out_dfs(self, account: Resource) -> bool:
        """Soft delete closes the dfs endpoint of an account without a hierarchical namespace."""
        if account.properties.get("isHnsEnabled"):
            return False
        service = self._ctx.resources.get(f"{account.id}/blobServices/default")
        return service is not None and bool((service.properties.get("deleteRetentionPolicy") or {}).get("enabled"))

    def enter(
        self,
        request: Request,
        account: Resource,
        raw_path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        demands: Callable[[], Sequence[Demand]],
    ) -> Entry:
        """Authorize a request. Raises ServiceError when it is refused. `headers` have lower-case names.

        `demands` is called only where roles decide: it may refuse operations that are not emulated with roles.
        """
        authorization = headers.get("authorization", "")
        scheme, _, credential = authorization.partition(" ")
        keys_allowed = account.properties.get("allowSharedKeyAccess") is not False
        if scheme.lower() == "bearer":
            principal = self.principal(authorization, account.name)
            self._check_all(principal, account, demands())
            return Entry(True, principal)
        if scheme == "SharedKey":
            if not keys_allowed:
                raise errors.key_refused()
            name, _, signature = credential.partition(":")
            text = sharedkey.string_to_sign(request.method, account.name, raw_path, raw_query_of(request), headers)
            if name != account.name or not sharedkey.holds(signature, text, account.private["keys"]):
                raise errors.authentication_failed(f"The server computed the string to sign: {text!r}.")
            return Entry(True, None)
        if scheme:
            raise errors.authentication_failed(f"The scheme {scheme!r} is not one of Bearer and SharedKey.")
        if "sig" in query:
            self.check_signature(account, query, demands)
            return Entry(False, None)
        public = bool(account.properties.get("allowBlobPublicAccess"))
        if not public or request.method not in {"GET", "HEAD"}:
            challenge = headers.get("x-ms-version", "") >= _CHALLENGE_SINCE
            raise errors.not_signed_in(public=public, challenge=challenge)
        return Entry(False, None)

    def allows(self, principal: Principal, account: Resource, demand: Demand) -> bool:
        scope = account.id
        if demand.target.container:
            scope = f"{account.id}/blobServices/default/containers/{demand.target.container}"
        attributes = attributes_of(demand.target)
        return any(
            self._ctx.authorizer.allows(principal, action, scope, data=demand.need.data, attributes=attributes)
            for action in demand.need.actions
        )

    def check(self, principal: Principal, account: Resource, demand: Demand) -> None:
        """Check the principal's roles. Raises ServiceError 403 when none allows it."""
        if not self.allows(principal, account, demand):
            raise errors.permission_mismatch()

    def principal(self, authorization: str, account: str) -> Principal:
        """Return the principal of the bearer token. Raises ServiceError 401."""
        services = ("blob", "dfs")
        hosts = (
            "https://storage.azure.com",
            *(f"https://{account}.{service}.core.windows.net" for service in services),
        )
        audiences = frozenset(host + end for host in hosts for end in ("", "/"))
        try:
            return self._ctx.identities.authenticate(authorization, audiences)
        except ServiceError as error:
            raise errors.bad_token(error.message) from error

    def _check_all(self, principal: Principal, account: Resource, demands: Sequence[Demand]) -> None:
        for demand in demands:
            self.check(principal, account, demand)

    def check_signature(
        self, account: Resource, query: Mapping[str, str], demands: Callable[[], Sequence[Demand]]
    ) -> None:
        """Check a SAS's principal and the account's setting; Azurite checks the signature itself.

        Without shared keys only user delegation SAS are valid, within their principal's own roles. Raises ServiceError
        403.
        """
        if "skoid" not in query:
            if account.properties.get("allowSharedKeyAccess") is False:
                raise errors.key_refused()
            return
        principal = self.delegator(query)
        if principal is not None:
            self._check_all(principal, account, demands())

    def delegator(self, query: Mapping[str, str]) -> Principal | None:
        """Return a user delegation key's principal; None for localcloud's own services. Raises ServiceError 403."""
        object_id = query["skoid"]
        if object_id == delegation_keys.SERVICE_OBJECT_ID:
            return None
        principal = self._ctx.identities.by_object_id(object_id)
        if principal is None:
            raise errors.authentication_failed(f"The principal {object_id} of the user delegation key does not exist.")
        return principal
