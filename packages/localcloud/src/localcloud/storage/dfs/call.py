"""A request at the dfs endpoint, and the form of its answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from localcloud.core.context import Principal
from localcloud.core.errors import not_emulated
from localcloud.core.resource import Resource
from localcloud.storage.addresses import Target, decoded, lake_path
from localcloud.storage.authorization import Gate
from localcloud.storage.azurite import Azurite
from localcloud.storage.dfs.access import SUPERUSER
from localcloud.storage.dfs.blobs import Blobs
from localcloud.storage.dfs.errors import VERSION, refused
from localcloud.storage.dfs.tree import Turns

_LONGEST_NUMBER = 19
"""Digits of the largest 64-bit number."""
_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")
_UNSUPPORTED = {
    "x-ms-encryption-key": "customer-provided keys",
    "x-ms-encryption-context": "an encryption context",
    "x-ms-expiry-option": "expiring files",
    "x-ms-lease-action": "leases taken or released by a write",
    "x-ms-lease-duration": "leases taken by creating a path",
    "x-ms-structured-body": "structured bodies",
}


@dataclass(frozen=True)
class Call:
    """Request at the dfs endpoint with its parsed address."""

    request: Request
    method: str
    """Method after X-HTTP-Method-Override."""
    account: Resource
    target: Target
    query: Mapping[str, str]
    """Parameters by lower-case name."""
    headers: Mapping[str, str]
    """Headers by lower-case name, without the hop's."""
    principal: Principal | None
    """It is None for Shared Key, which is allowed everything."""
    azurite: Azurite
    turns: Turns
    gate: Gate

    @property
    def path(self) -> str:
        return self.target.blob

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.azurite, self.account.name, self.target.container)

    @property
    def key(self) -> tuple[str, str]:
        """Return the key of this filesystem's turns."""
        return self.account.name, self.target.container

    @property
    def hierarchical(self) -> bool:
        return bool(self.account.properties.get("isHnsEnabled"))

    @property
    def owner(self) -> str:
        """Return the owner of paths that this call creates."""
        return self.principal.object_id if self.principal is not None else SUPERUSER

    def conditions(self) -> dict[str, str]:
        """Return the request's conditional headers, for Azurite to check."""
        return {name: self.headers[name] for name in _CONDITIONS if name in self.headers}

    def lease(self) -> dict[str, str]:
        return {"x-ms-lease-id": self.headers["x-ms-lease-id"]} if "x-ms-lease-id" in self.headers else {}

    def number(self, name: str) -> int:
        """Return a query parameter. Raises ServiceError 400."""
        text = self.query.get(name)
        if text is None:
            raise refused("MissingRequiredQueryParameter", f"{name} is missing.")
        if not text.isascii() or not text.isdigit():
            raise refused("InvalidQueryParameterValue", f"{name}: {text[:40]!r} is not a number.")
        if len(text) > _LONGEST_NUMBER:
            raise refused("OutOfRangeQueryParameterValue", f"{name} has more than {_LONGEST_NUMBER} digits.")
        return int(text)

    def flag(self, name: str) -> bool | None:
        """Return a query parameter that is true or false; None without it. Raises ServiceError 400."""
        text = self.query.get(name)
        if text is None:
            return None
        if text.lower() not in {"true", "false"}:
            raise refused("InvalidQueryParameterValue", f"{name}: {text!r} is neither true nor false.")
        return text.lower() == "true"

    def refuse_unsupported(self, *but: str) -> None:
        for name, feature in _UNSUPPORTED.items():
            if name in self.headers and name not in but:
                raise not_emulated(f"{feature} ({name}) at the dfs endpoint")

    def answer(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
        return Response(body, status, {**self.common(), **(headers or {})})

    def common(self) -> dict[str, str]:
        echoed = self.headers.get("x-ms-client-request-id")
        return {
            "x-ms-request-id": str(uuid.uuid4()),
            "x-ms-version": VERSION,
            **({"x-ms-client-request-id": echoed} if echoed else {}),
        }


def target_of(raw_path: str) -> Target:
    """Return filesystem and path of a percent-encoded path. Raises ServiceError 400 when it is none.

    A path has no empty elements.
    """
    filesystem, _, path = decoded(raw_path).removeprefix("/").partition("/")
    if path and not filesystem:
        raise refused("InvalidInput", f"{raw_path!r} names no filesystem.")
    return Target(filesystem, lake_path(path))


def written(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that Azurite answers to a write."""
    return {name: headers[name] for name in ("etag", "last-modified") if name in headers}
