"""Checking a client's Shared Key signature, against the host-style resource that it signed.

Source: learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

_SIGNED_HEADERS = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip


def string_to_sign(method: str, account: str, raw_path: str, query: str, headers: Mapping[str, str]) -> str:
    """`raw_path` is as sent (percent-encoded); `headers` have lower-case names."""
    values = [headers.get(name, "") for name in _SIGNED_HEADERS]
    values[2] = "" if values[2] == "0" else values[2]
    if "x-ms-date" in headers:
        values[5] = ""
    special = sorted((name, value) for name, value in headers.items() if name.startswith("x-ms-"))
    canonical = "".join(f"{name}:{value.strip()}\n" for name, value in special)
    return "\n".join([method.upper(), *values, canonical]) + _resource(account, raw_path, query)


def _resource(account: str, raw_path: str, query: str) -> str:
    grouped: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        grouped.setdefault(name.lower(), []).append(value)
    lines = "".join(f"\n{name}:{','.join(sorted(values))}" for name, values in sorted(grouped.items()))
    return f"/{account}{raw_path or '/'}{lines}"


def sign(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


def holds(signature: str, text: str, keys: Iterable[str]) -> bool:
    """Whether any of the account's keys made the signature."""
    return any(hmac.compare_digest(signature, sign(key, text)) for key in keys)
