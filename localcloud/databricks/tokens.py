"""Personal access tokens: /api/2.0/token, and /api/2.0/token-management for admins. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import secrets

from localcloud.databricks import errors
from localcloud.databricks.call import Call, now_ms
from localcloud.databricks.store import Documents, Json

PREFIX = "dapi"
_KIND = "personal-access-token"
_LONGEST_SECONDS = 730 * 24 * 3600
"""Two years (docs.databricks.com "Manage personal access token permissions")."""


def owner_of(documents: Documents, token: str) -> str | None:
    """The id of the service principal whose valid token this is."""
    wanted = _hash(token)
    for document in documents.all(_KIND):
        if document["hash"] == wanted and document["expiry_time"] > now_ms():
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
    return {"token_value": value, "token_info": _shown(document)}


def list_(call: Call) -> Json:
    return {"token_infos": [_shown(one) for one in call.documents.all(_KIND) if one["owner_id"] == call.caller.id]}


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
    found = [one for one in call.documents.all(_KIND) if name in (None, one["created_by_username"])]
    return {"token_infos": [_managed(one) for one in found]}


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


def _shown(document: Json) -> Json:
    return {key: document[key] for key in ("token_id", "comment", "creation_time", "expiry_time")}


def _managed(document: Json) -> Json:
    owner = int(document["owner_id"])
    return _shown(document) | {
        "created_by_id": owner, "owner_id": owner, "created_by_username": document["created_by_username"],
    }  # fmt: skip


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
