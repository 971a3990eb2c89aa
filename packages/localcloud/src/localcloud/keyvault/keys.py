"""Keys of a vault: make, list, delete softly, and encrypt, wrap and sign with them. RSA; other kinds answer 501.

Operations and algorithms: learn.microsoft.com/rest/api/keyvault/keys and /azure/key-vault/keys/about-keys-details.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, utils

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.keyvault.authorization import (
    Action,
    Handler,
    VaultCall,
    check_purge,
    deletion,
    held,
    json_body,
    paged,
    recovery,
)
from localcloud.keyvault.key_store import Key, KeyStore

KINDS = ("RSA", "RSA-HSM")
SIZES = (2048, 3072, 4096)
OPERATIONS = ("encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey")
_OAEP = {"RSA-OAEP": hashes.SHA1, "RSA-OAEP-256": hashes.SHA256}
_DIGESTS: dict[str, type[hashes.HashAlgorithm]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def bad_parameter(message: str) -> ServiceError:
    return ServiceError(400, "BadParameter", message)


def checked_request(kind: object, bits: object, operations: object, sku: str) -> tuple[str, int, tuple[str, ...]]:
    """Return kind, size and operations of a new key. Raises 400 BadParameter, 501 for kinds that are not RSA."""
    key_type = str(kind)
    if key_type in {"EC", "EC-HSM", "oct", "oct-HSM"}:
        raise not_emulated(f"Key Vault keys of kind {key_type}; RSA and RSA-HSM are")
    if key_type not in KINDS:
        raise bad_parameter(f"Property kty has invalid value '{key_type}': use RSA or RSA-HSM.")
    if key_type == "RSA-HSM" and sku != "premium":
        raise ServiceError(
            403, "Forbidden", "The key type RSA-HSM needs a vault of the premium SKU; this one is standard."
        )
    size = 2048 if bits is None else bits
    if not isinstance(size, int) or size not in SIZES:
        raise bad_parameter(f"Property key_size has invalid value {bits!r}: use 2048, 3072 or 4096.")
    expected = (
        tuple(str(operation) for operation in operations) if isinstance(operations, list) and operations else OPERATIONS
    )
    unknown = sorted(set(expected) - {*OPERATIONS, "import", "export"})
    if unknown:
        raise bad_parameter(f"Property key_ops has invalid value '{unknown[0]}': use {', '.join(OPERATIONS)}.")
    return key_type, size, expected


def _number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def encoded(raw: bytes) -> str:
    """base64url without padding, as in JSON Web Keys."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(text: object) -> bytes:
    try:
        return base64.urlsafe_b64decode(str(text) + "=" * (-len(str(text)) % 4))
    except (ValueError, binascii.Error) as error:
        raise bad_parameter("Property value has invalid value: it is not base64url.") from error


def _action(name: str, permission: str | None = None) -> Action:
    return Action("keys", name, permission or name)


class Keys:
    """Handlers over one context."""

    def __init__(self, ctx: Context) -> None:
        self._store = KeyStore(ctx.database)

    def table(self) -> list[tuple[str, str, Action, Handler]]:
        """Return method, path, permission and handler. Reading a key's public half and listing are one dataAction."""
        read, listed = _action("read", "get"), _action("read", "list")
        operations = (
            ("encrypt", "encrypt", self.encrypt), ("decrypt", "decrypt", self.decrypt),
            ("wrap", "wrapKey", self.encrypt), ("unwrap", "unwrapKey", self.decrypt),
            ("sign", "sign", self.sign), ("verify", "verify", self.verify),
        )  # fmt: skip
        return [
            ("GET", "/keys", listed, self.list_all),
            ("POST", "/keys/{name}/create", _action("create"), self.create),
            ("GET", "/keys/{name}/versions", listed, self.versions),
            ("GET", "/keys/{name}", read, self.get),
            ("GET", "/keys/{name}/{version}", read, self.get),
            ("PATCH", "/keys/{name}/{version}", _action("update"), self.update),
            ("DELETE", "/keys/{name}", _action("delete"), self.delete),
            *(
                ("POST", f"/keys/{{name}}/{{version}}/{permission.lower()}", _action(name, permission), handler)
                for name, permission, handler in operations
            ),
            ("GET", "/deletedkeys", listed, self.list_deleted),
            ("GET", "/deletedkeys/{name}", read, self.get_deleted),
            ("DELETE", "/deletedkeys/{name}", _action("purge"), self.purge),
            ("POST", "/deletedkeys/{name}/recover", _action("recover"), self.recover),
        ]

    async def create(self, call: VaultCall) -> Json:
        """Make a key, or a new version of one."""
        body = await json_body(call)
        kind, size, operations = checked_request(
            body.get("kty"), body.get("key_size"), body.get("key_ops"), call.vault.properties["sku"]["name"]
        )
        self.check_not_deleted(call.vault.name, call.name)
        key = await asyncio.to_thread(
            self._store.create, call.vault.name, call.name, kind, size, operations, body.get("tags") or {},
            body.get("attributes") or {},
        )  # fmt: skip
        return self._render(call, key)

    def check_not_deleted(self, vault: str, name: str) -> None:
        """Check that the name is free. Raises 409 Conflict."""
        if self._store.get(vault, name, deleted=True) is not None:
            raise held("Key", name)

    async def get(self, call: VaultCall) -> Json:
        return self._render(call, self._existing(call))

    async def update(self, call: VaultCall) -> Json:
        body = await json_body(call)
        requested = body.get("key_ops")
        operations = tuple(str(operation) for operation in requested) if isinstance(requested, list) else None
        changed = self._store.update(self._existing(call), operations, body.get("tags"), body.get("attributes") or {})
        return self._render(call, changed)

    async def list_all(self, call: VaultCall) -> Json:
        return paged(call, [self._item(call, key) for key in self._store.current(call.vault.name)])

    async def versions(self, call: VaultCall) -> Json:
        versions = self._store.versions(call.vault.name, call.name)
        return paged(call, [self._item(call, key, versioned=True) for key in versions])

    async def delete(self, call: VaultCall) -> Json:
        self._existing(call)
        self._store.mark(call.vault.name, call.name, int(time.time()))
        return await self.get_deleted(call)

    async def get_deleted(self, call: VaultCall) -> Json:
        key = self._existing(call, deleted=True)
        return self._render(call, key) | deletion(call, "keys", key.name, key.deleted)

    async def list_deleted(self, call: VaultCall) -> Json:
        deleted = self._store.current(call.vault.name, deleted=True)
        return paged(call, [self._item(call, key) | deletion(call, "keys", key.name, key.deleted) for key in deleted])

    async def recover(self, call: VaultCall) -> Json:
        key = self._existing(call, deleted=True)
        self._store.mark(call.vault.name, call.name, None)
        return self._render(call, key)

    async def purge(self, call: VaultCall) -> None:
        self._existing(call, deleted=True)
        check_purge(call)
        self._store.purge(call.vault.name, call.name)

    async def encrypt(self, call: VaultCall) -> Json:
        """Also wraps: the same computation under another permission."""
        key, body, scheme = await self._prepared(call, _encryption)
        value = _decoded(body.get("value"))
        try:
            result = key.private.public_key().encrypt(value, scheme)
        except ValueError as error:
            raise bad_parameter(f"The parameter is incorrect: {len(value)} bytes are too many for the key.") from error
        return {"kid": self._kid(call, key), "value": encoded(result)}

    async def decrypt(self, call: VaultCall) -> Json:
        key, body, scheme = await self._prepared(call, _encryption)
        try:
            result = key.private.decrypt(_decoded(body.get("value")), scheme)
        except ValueError as error:
            raise bad_parameter("The parameter is incorrect: the value was not encrypted with this key.") from error
        return {"kid": self._kid(call, key), "value": encoded(result)}

    async def sign(self, call: VaultCall) -> Json:
        key, body, (scheme, digest) = await self._prepared(call, _signature)
        value = _decoded(body.get("value"))
        _check_digest(value, digest)
        return {
            "kid": self._kid(call, key),
            "value": encoded(key.private.sign(value, scheme, utils.Prehashed(digest))),
        }

    async def verify(self, call: VaultCall) -> Json:
        key, body, (scheme, digest) = await self._prepared(call, _signature)
        value = _decoded(body.get("digest"))
        _check_digest(value, digest)
        try:
            key.private.public_key().verify(_decoded(body.get("value")), value, scheme, utils.Prehashed(digest))
        except InvalidSignature:
            return {"value": False}
        return {"value": True}

    async def _prepared(self, call: VaultCall, scheme_of: Callable[[str], Any]) -> tuple[Key, Json, Any]:
        """Return the key, if the operation at the path's end may use it, the body and the algorithm."""
        key = self._existing(call)
        operation_name = call.request.url.path.rstrip("/").rsplit("/", 1)[-1]
        operation = next(name for name in OPERATIONS if name.lower() == operation_name)
        if not key.attributes.get("enabled", True):
            raise ServiceError(403, "Forbidden", f"Operation {operation} is not allowed on a disabled key.")
        if operation not in key.operations:
            raise ServiceError(403, "Forbidden", f"Operation {operation} is not permitted on this key.")
        body = await json_body(call)
        return key, body, scheme_of(str(body.get("alg")))

    def _existing(self, call: VaultCall, *, deleted: bool = False) -> Key:
        key = self._store.get(call.vault.name, call.name, call.version, deleted=deleted)
        if key is None:
            name = f"{call.name}/{call.version}" if call.version else call.name
            raise ServiceError(
                404,
                "KeyNotFound",
                f"A {'deleted ' if deleted else ''}key with (name/id) {name} was not found in this key vault. If you "
                "recently deleted this key you may be able to recover it using the correct recovery command. For help "
                "resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182",
            )
        return key

    def _kid(self, call: VaultCall, key: Key) -> str:
        return f"{call.base}/keys/{key.name}/{key.version}"

    def _item(self, call: VaultCall, key: Key, *, versioned: bool = False) -> Json:
        kid = self._kid(call, key)
        return {
            "kid": kid if versioned else kid.rsplit("/", 1)[0],
            "attributes": key.attributes | recovery(call.vault),
            "tags": key.tags,
        }

    def _render(self, call: VaultCall, key: Key) -> Json:
        return {
            "key": {
                "kid": self._kid(call, key),
                "kty": key.kind,
                "key_ops": list(key.operations),
                **public_numbers(key),
            },
            "attributes": key.attributes | recovery(call.vault),
            "tags": key.tags,
        }


def public_numbers(key: Key) -> Json:
    """Return n and e of a JSON Web Key."""
    numbers = key.private.public_key().public_numbers()
    return {"n": _number(numbers.n), "e": _number(numbers.e)}


def _encryption(algorithm: str) -> padding.AsymmetricPadding:
    if algorithm == "RSA1_5":
        return padding.PKCS1v15()
    if algorithm not in _OAEP:
        raise bad_parameter(f"Property alg has invalid value '{algorithm}': use RSA-OAEP-256, RSA-OAEP or RSA1_5.")
    digest = _OAEP[algorithm]
    return padding.OAEP(padding.MGF1(digest()), digest(), None)


def _signature(algorithm: str) -> tuple[padding.AsymmetricPadding, hashes.HashAlgorithm]:
    family, bits = algorithm[:2], algorithm[2:]
    if family not in {"RS", "PS"} or bits not in _DIGESTS:
        raise bad_parameter(f"Property alg has invalid value '{algorithm}': use RS256, PS256 or their kin.")
    digest = _DIGESTS[bits]()
    if family == "RS":
        return padding.PKCS1v15(), digest
    return padding.PSS(padding.MGF1(digest), digest.digest_size), digest


def _check_digest(value: bytes, digest: hashes.HashAlgorithm) -> None:
    if len(value) != digest.digest_size:
        raise bad_parameter(f"The digest has {len(value)} bytes; {digest.name} makes {digest.digest_size}.")
