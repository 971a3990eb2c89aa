"""User delegation SAS at the dfs endpoint: signature, lifetime, scope and permissions.

String to sign, scopes and permissions: learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas; the
newest versions' extra lines are from azure-storage-blob.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from localcloud.core.errors import not_emulated
from localcloud.storage import delegation_keys, errors
from localcloud.storage.addresses import Target, lake_path
from localcloud.storage.dfs.needs import Operation, renamed

_OLDEST = "2020-12-06"
"""The first version with a signed encryption scope; each later one adds fields to the string to sign."""
_VERSIONS = frozenset(
    {
        _OLDEST, "2021-02-12", "2021-04-10", "2021-06-08", "2021-08-06", "2021-10-04", "2021-12-02", "2022-11-02",
        "2023-01-03", "2023-05-03", "2023-08-03", "2023-11-03", "2024-02-04", "2024-05-04", "2024-08-04", "2024-11-04",
        "2025-01-05", "2025-05-05", "2025-07-05", "2025-11-05", "2026-02-06", "2026-04-06", "2026-06-06", "2026-10-06",
    }
)  # fmt: skip
"""Azure.Storage.Blobs' `BlobClientOptions.ServiceVersion`; the last two: azure-storage-blob's `_serialize.py`."""
_DELEGATED_USERS, _SIGNED_REQUESTS = "2025-07-05", "2026-04-06"
_UNSUPPORTED = {
    "saoid": "an authorized user (saoid)",
    "suoid": "a user whose ACL is checked (suoid)",
    "sduoid": "a delegated user (sduoid)",
    "skdutid": "a delegated tenant (skdutid)",
    "srh": "signed request headers (srh)",
    "srq": "signed query parameters (srq)",
    "sip": "an address range (sip)",
    "ses": "an encryption scope (ses)",
}
_LETTERS = {
    Operation.LIST_PATHS: "l",
    Operation.READ: "r",
    Operation.LEASE: "w",
    Operation.DELETE: "d",
}


def check(
    secret: str,
    account: str,
    operation: Operation,
    target: Target,
    query: Mapping[str, str],
    headers: Mapping[str, str],
) -> None:
    """Raise ServiceError 403 unless the request's SAS is authentic, valid now, for this place and this operation.

    User delegation keys derive from `secret`.
    """
    if operation is Operation.RENAME:
        # The source has a SAS of its own, in the header's query.
        source = renamed(headers)
        own = dict(parse_qsl(headers["x-ms-rename-source"].partition("?")[2], keep_blank_values=True))
        if "sig" not in own:
            raise errors.authentication_failed("The source of the rename has no signature.")
        _check_fields(secret, account, source, own, "m")
        _check_fields(secret, account, target, query, "w")
        return
    if operation is Operation.LIST_PATHS:
        folder = lake_path(query.get("directory", ""))
        target = Target(target.container, folder)
    elif not target.blob and operation is not Operation.PROPERTIES:
        # No service or user delegation SAS allows operations on a whole container.
        raise errors.permission_mismatch()
    _check_fields(secret, account, target, query, _letters(operation, query, headers))


def _letters(operation: Operation, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """Return the permissions of which one suffices."""
    action = query.get("action", "").lower()
    if operation is Operation.PROPERTIES:
        return "e" if action in {"getaccesscontrol", "checkaccess"} else "re"
    if operation is Operation.CREATE:
        return "cw" if headers.get("if-none-match") == "*" else "w"
    if operation is Operation.UPDATE:
        return "p" if action.startswith("setaccesscontrol") else "w"
    letters = _LETTERS.get(operation)
    if letters is None:
        raise errors.permission_mismatch()
    return letters


def _check_fields(secret: str, account: str, target: Target, query: Mapping[str, str], letters: str) -> None:
    for name, feature in _UNSUPPORTED.items():
        if query.get(name):
            raise not_emulated(f"a shared access signature with {feature}")
    version = query.get("sv", "")
    if version < _OLDEST:
        raise not_emulated(f"shared access signatures of version {version or 'none'}: use {_OLDEST} or later")
    if version not in _VERSIONS:
        raise errors.authentication_failed(f"sv={version!r} is no version of the service.")
    place = f"/blob/{account}/{_scope(target, query)}"
    key = delegation_keys.key_value(
        secret, query.get("skoid", ""), query.get("skt", ""), query.get("ske", ""), query.get("skv", "")
    )
    expected = base64.b64encode(
        hmac.new(base64.b64decode(key), _string_to_sign(place, version, query).encode(), hashlib.sha256).digest()
    )
    if query.get("sks") != "b" or not hmac.compare_digest(expected, query["sig"].encode()):
        raise errors.authentication_failed("Signature did not match.")
    _check_time(query)
    if not set(letters) & set(query.get("sp", "")):
        raise errors.permission_mismatch()


def _scope(target: Target, query: Mapping[str, str]) -> str:
    """Return the container, directory or file that the SAS must be signed for to open the target."""
    kind, parts = query.get("sr"), [part for part in target.blob.split("/") if part]
    if kind == "c":
        return target.container
    if kind == "b":
        return "/".join((target.container, *parts))
    depth = query.get("sdd", "")
    if kind != "d" or re.fullmatch("[0-9]{1,4}", depth) is None:
        raise errors.authentication_failed(f"sr={kind!r}, sdd={depth!r} are none of a container, directory or file.")
    if int(depth) > len(parts):
        raise errors.authentication_failed("Signature did not match.")
    return "/".join((target.container, *parts[: int(depth)]))


def _string_to_sign(place: str, version: str, query: Mapping[str, str]) -> str:
    names = ["skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid"]
    if version >= _DELEGATED_USERS:
        names += ["skdutid", "sduoid"]
    names += ["sip", "spr", "sv", "sr", "snapshot", "ses"]
    if version >= _SIGNED_REQUESTS:
        names += ["srh", "srq"]
    names += ["rscc", "rscd", "rsce", "rscl", "rsct"]
    first = [query.get(name, "") for name in ("sp", "st", "se")]
    return "\n".join([*first, place, *(query.get(name, "") for name in names)])


def _check_time(query: Mapping[str, str]) -> None:
    now = datetime.now(UTC)
    try:
        starts = [_moment(query[name]) for name in ("st", "skt") if query.get(name)]
        ends = [_moment(query[name]) for name in ("se", "ske")]
    except (KeyError, ValueError) as error:
        raise errors.authentication_failed(f"A time of the signature is missing or wrong: {error}.") from error
    if any(start > now for start in starts) or any(end <= now for end in ends):
        raise errors.authentication_failed("Signature not valid in the specified time frame.")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
