"""Personal access tokens: /api/2.0/token, and /api/2.0/token-management for admins. Only their hashes are stored.

Notebook runs have tokens of their own (RunTokens), which are in memory and no part of these.
"""

from __future__ import annotations

import hashlib
import secrets

from localcloud.core.json import Json
from localcloud.databricks import errors
from localcloud.databricks.clock import now_ms
from localcloud.databricks.request import Call
from localcloud.databricks.store import Documents

PREFIX = "dapi"
RUN_PREFIX = "dkea"
"""Tokens that notebooks find in their context begin so on Databricks."""
_KIND = "personal-access-token"
_LONGEST_SECONDS = 730 * 24 * 3600
"""Two years (docs.databricks.com "Manage personal access token permissions")."""


class RunTokens:
    """API tokens of notebook runs: each opens its workspace, as the run's identity, while the run lasts.

    They are opaque, so that no other service accepts them: not storage, not Entra. They are in memory, like drivers.
    """

    def __init__(self) -> None:
        self._owners: dict[str, tuple[str, str]] = {}

    def grant(self, workspace: str, principal_id: str) -> str:
        """Return a new token; `workspace` is the key of its documents."""
        token = f"{RUN_PREFIX}{secrets.token_hex(16)}"
        self._owners[token] = (workspace, principal_id)
        return token

    def revoke(self, token: str) -> None:
        self._owners.pop(token, None)

    def owner_of(self, workspace: str, token: str) -> str | None:
        """Return the id of the service principal whose run has this token in this workspace."""
        owner = self._owners.get(token)
        return owner[1] if owner is not None and owner[0] == workspace else None


def owner_of(documents: Documents, token: str) -> str | None:
    """Return the id of the service principal whose valid token this is."""
    digest = _hash(token)
    for document in documents.all(_KIND):
        if document["hash"] == digest and document["expiry_time"] > now_ms():
            return str(document["owner_id"])
    return None


def create(call: Call) -> Json:
    seconds = call.number("lifetime_seconds", _LONGEST_SECONDS)
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise errors.invalid(f"lifetime_seconds must be between 1 and {_LONGEST_SECONDS}, got {seconds}.")
    value = f"{PREFIX}{secrets.token_hex(16)}-3"
    now = now_ms()
    document: Json = {
        "token_id": secrets.token_hex(32), "comment": call.optional_text("comment") or "", "creation_time": now,
        "expiry_time": now + seconds * 1000, "owner_id": call.caller.id, "created_by_username": call.caller.name,
        "hash": _hash(value),
    }  # fmt: skip
    call.documents.put(_KIND, document["token_id"], document)
    return {"token_value": value, "token_info": _render(document)}


def list_(call: Call) -> Json:
    return {
        "token_infos": [_render(token) for token in call.documents.all(_KIND) if token["owner_id"] == call.caller.id]
    }


def delete(call: Call) -> Json:
    id_ = call.text("token_id")
    document = call.documents.get(_KIND, id_)
    if document is None or document["owner_id"] != call.caller.id:
        raise errors.missing(f"Token with token_id {id_} does not exist.")
    call.documents.delete(_KIND, id_)
    return {}


def list_all(call: Call) -> Json:
    call.require_admin("manage the tokens of others")
    name = call.optional_text("created_by_username")
    tokens = [token for token in call.documents.all(_KIND) if name in (None, token["created_by_username"])]
    return {"token_infos": [_managed(token) for token in tokens]}


def get_any(call: Call) -> Json:
    call.require_admin("manage the tokens of others")
    return {"token_info": _managed(_require(call))}


def delete_any(call: Call) -> Json:
    call.require_admin("manage the tokens of others")
    call.documents.delete(_KIND, _require(call)["token_id"])
    return {}


def _require(call: Call) -> Json:
    document = call.documents.get(_KIND, call.path["id"])
    if document is None:
        raise errors.missing(f"Token with token_id {call.path['id']} does not exist.")
    return document


def _render(document: Json) -> Json:
    return {key: document[key] for key in ("token_id", "comment", "creation_time", "expiry_time")}


def _managed(document: Json) -> Json:
    owner = int(document["owner_id"])
    return _render(document) | {
        "created_by_id": owner, "owner_id": owner, "created_by_username": document["created_by_username"],
    }  # fmt: skip


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
