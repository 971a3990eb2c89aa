"""Sources of copies: authorized as a read of its own, and with Azurite's own addresses.

Azurite itself checks a source's authorization only where the source is in another account, or has a signature. Azure
always does: learn.microsoft.com/rest/api/storageservices/copy-blob#authorization.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from localcloud.arm import private_link
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.resource import Resource
from localcloud.storage import errors
from localcloud.storage.addresses import Target, check_name, endpoint_of, path_of, query_of, query_text, target_of
from localcloud.storage.authorization import ACCOUNT_TYPE, Demand, Entry, Gate
from localcloud.storage.azurite import Azurite
from localcloud.storage.azurite_accounts import StorageFabric
from localcloud.storage.operations import need_of


class CopySources:
    """The sources that requests name in x-ms-copy-source."""

    def __init__(self, ctx: Context, gate: Gate, azurite: Azurite, fabric: StorageFabric) -> None:
        self._ctx = ctx
        self._gate = gate
        self._azurite = azurite
        self._fabric = fabric

    async def for_azurite(self, source: str, account: str, entry: Entry) -> str:
        """Return the source's URL at Azurite, for a copy into `account`.

        A bearer token opens all that its principal's roles allow, a Shared Key its own account; a source with a
        signature, and a source that neither opens, is authorized by itself. Raises ServiceError when it is refused.
        """
        origin, target, query = self._parsed(source)
        if "sig" in query:
            self._gate.check_signature(origin, query, lambda: [_reading(target)])
            await self._check_at_azurite(origin, target, query)
        elif entry.principal is not None:
            query |= self._opened(entry.principal, origin, target, account)
        elif not (entry.trusted and origin.name == account):
            if not origin.properties.get("allowBlobPublicAccess"):
                raise _unverified(409, "Public access is not permitted on this storage account.")
            await self._check_at_azurite(origin, target, query)
        return f"{self._azurite.url}{path_of(origin.name, target)}{query_text(query)}"

    def _parsed(self, source: str) -> tuple[Resource, Target, dict[str, str]]:
        try:
            parts = urlsplit(source)
            port = parts.port
        except ValueError as error:
            raise _no_url(source) from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
            raise _no_url(source)
        name, endpoint = endpoint_of(parts.hostname) or ("", "")
        if endpoint != "blob" or port not in {None, 80, 443}:
            raise not_emulated(f"copying from {parts.hostname}")
        origin = self._ctx.resources.named(ACCOUNT_TYPE, name)
        if origin is None:
            raise _unverified(404, "The specified resource does not exist.")
        if private_link.refused(self._ctx, origin, endpoint):
            raise _unverified(403, errors.network_refused().message)
        query = query_of(parts.query)
        target = target_of(parts.path, query)
        check_name(target)
        if not target.blob:
            raise _no_url(source)
        return origin, target, query

    def _opened(self, principal: Principal, origin: Resource, target: Target, account: str) -> dict[str, str]:
        """Check the principal's roles; return the parameters that open the source of another account at Azurite."""
        self._gate.check(principal, origin, _reading(target))
        if origin.name == account:
            return {}
        url = self._fabric.sas_url(origin.name, target.container, target.blob, permissions="r", hours=1)
        return query_of(url.partition("?")[2])

    async def _check_at_azurite(self, origin: Resource, target: Target, query: dict[str, str]) -> None:
        """Raise ServiceError unless the source can be read with its URL's credentials."""
        path = path_of(origin.name, target) + query_text(query)
        answer = await self._azurite.send("HEAD", path, {"x-ms-version": "2024-11-04"}, b"", trusted=False)
        await answer.aclose()
        if answer.is_error:
            raise _unverified(answer.status_code, f"The source answers {answer.headers.get('x-ms-error-code', '')}.")


def _reading(target: Target) -> Demand:
    return Demand(target, need_of("GET", target, {}, {}))


def _unverified(status: int, detail: str) -> ServiceError:
    return ServiceError(status, "CannotVerifyCopySource", f"Could not verify the copy source. {detail}")


def _no_url(source: str) -> ServiceError:
    url = source.partition("?")[0]
    return ServiceError(
        400,
        "InvalidHeaderValue",
        f"The value for one of the HTTP headers is not in the correct format: x-ms-copy-source: {url!r} is not a "
        "blob's URL.",
    )
