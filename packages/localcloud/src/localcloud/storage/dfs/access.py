"""Owner, group, permissions and ACL of a path: stored and shown. They do not open or close a path; roles do.

Defaults (the owner is the creator; umask 027):
learn.microsoft.com/azure/storage/blobs/data-lake-storage-access-control.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from localcloud.core.errors import not_emulated
from localcloud.storage.dfs.errors import refused
from localcloud.storage.listing import ACCESS

SUPERUSER = "$superuser"
_UMASK = 0o027
_ENTRY = re.compile(r"(default:)?(user|group|mask|other):([^:,|]*):([r-][w-][x-])")


@dataclass(frozen=True)
class Access:
    """Owner, group and ACL of a path."""

    owner: str
    group: str
    acl: tuple[str, ...]
    """user::rwx, group::r-x, other::---, and further entries."""

    @property
    def permissions(self) -> str:
        bits = {entry.rpartition(":")[0]: entry.rpartition(":")[2] for entry in self.acl}
        text = bits["user:"] + bits.get("mask:", bits["group:"]) + bits["other:"]
        return text + ("+" if len(self.acl) > 3 else "")

    def status(self) -> dict[str, str]:
        return {"x-ms-owner": self.owner, "x-ms-group": self.group, "x-ms-permissions": self.permissions}

    def kept(self) -> dict[str, str]:
        """Return the access as metadata."""
        return {ACCESS: "|".join((quote(self.owner), quote(self.group), ",".join(self.acl)))}


def of(metadata: Mapping[str, str], *, directory: bool) -> Access:
    """Return the stored access of a path; return Azure's defaults for a path that the blob endpoint made."""
    for name, value in metadata.items():
        if name.lower() == ACCESS and value.count("|") == 2:
            owner, group, acl = value.split("|")
            return Access(unquote(owner), unquote(group), tuple(acl.split(",")))
    return _access_of_mode(SUPERUSER, 0o750 if directory else 0o640)


def created(headers: Mapping[str, str], owner: str, *, directory: bool) -> Access:
    """Return the access of a new path: x-ms-permissions less x-ms-umask, or x-ms-acl. Raises ServiceError 400."""
    umask = _octal("x-ms-umask", headers["x-ms-umask"]) if headers.get("x-ms-umask") else _UMASK
    permissions = headers.get("x-ms-permissions")
    mode = _mode(permissions) if permissions else (0o777 if directory else 0o666)
    access = _access_of_mode(headers.get("x-ms-owner") or owner, mode & ~umask)
    access = replace(access, group=headers.get("x-ms-group") or SUPERUSER)
    return replace(access, acl=_acl(headers["x-ms-acl"])) if headers.get("x-ms-acl") else access


def changed(access: Access, headers: Mapping[str, str]) -> Access:
    """Return access with the changes in setAccessControl's headers. Raises ServiceError 400."""
    permissions, acl = headers.get("x-ms-permissions"), headers.get("x-ms-acl")
    if permissions and acl:
        raise refused("InvalidHeaderValue", "x-ms-permissions and x-ms-acl exclude each other.")
    owner, group = headers.get("x-ms-owner") or access.owner, headers.get("x-ms-group") or access.group
    if acl:
        return Access(owner, group, _acl(acl))
    if permissions:
        plain = _access_of_mode(owner, _mode(permissions)).acl
        masked = any(entry.startswith("mask:") for entry in access.acl)
        rest = [entry for entry in access.acl if not entry.startswith(("user::", "group::", "other::", "mask::"))]
        mask = [f"mask::{plain[1].rpartition(':')[2]}"] if masked else []
        middle = next(entry for entry in access.acl if entry.startswith("group::")) if masked else plain[1]
        return Access(owner, group, (plain[0], middle, plain[2], *mask, *rest))
    return replace(access, owner=owner, group=group)


def _access_of_mode(owner: str, mode: int) -> Access:
    bits = [
        "".join(letter if mode >> shift & 4 >> place else "-" for place, letter in enumerate("rwx"))
        for shift in (6, 3, 0)
    ]
    return Access(owner, SUPERUSER, (f"user::{bits[0]}", f"group::{bits[1]}", f"other::{bits[2]}"))


def _mode(text: str) -> int:
    if re.fullmatch(r"([r-][w-][x-]){3}\+?", text):
        return int("".join("0" if letter == "-" else "1" for letter in text[:9]), 2)
    if re.fullmatch(r"([r-][w-][x-]){2}[r-][w-][tT]\+?", text):
        raise not_emulated("the sticky bit of x-ms-permissions")
    return _octal("x-ms-permissions", text)


def _octal(header: str, text: str) -> int:
    if re.fullmatch(r"1[0-7]{3}", text):
        raise not_emulated(f"the sticky bit of {header}")
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise refused("InvalidHeaderValue", f"{header}: {text!r} is neither like 0750 nor like rwxr-x---.")
    return int(text, 8)


def _acl(text: str) -> tuple[str, ...]:
    entries = tuple(entry.strip() for entry in text.split(","))
    wrong = [entry for entry in entries if not _ENTRY.fullmatch(entry)]
    required = ("user::", "group::", "other::")
    missing = [kind for kind in required if not any(entry.startswith(kind) for entry in entries)]
    if wrong or missing:
        detail = f"{wrong[0]!r} is not like user:OBJECT-ID:rwx" if wrong else f"{missing[0]} is missing"
        raise refused("InvalidHeaderValue", f"x-ms-acl: {detail}.")
    return entries
