"""/api/2.0/secrets: scopes, secrets and their access lists. Values are never logged."""

from __future__ import annotations

import base64
import re

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors
from localcloud.databricks.access import find_principal
from localcloud.databricks.clock import now_ms
from localcloud.databricks.request import Call, Caller
from localcloud.databricks.store import Documents

_NAME = re.compile(r"[A-Za-z0-9\-_@.]{1,128}")
_LEVELS = ("READ", "WRITE", "MANAGE")
_MAX_VALUE = 128 * 1024
_MAX_SCOPES = 1000


def create_scope(call: Call) -> Json:
    name = _name(call.text("scope"), "Scope")
    backend = call.optional_text("scope_backend_type") or "DATABRICKS"
    if call.documents.get("scope", name) is not None:
        raise errors.exists(f"Scope {name} already exists!")
    if len(call.documents.all("scope")) >= _MAX_SCOPES:
        raise ServiceError(
            400, "RESOURCE_LIMIT_EXCEEDED", f"The workspace has its maximum of {_MAX_SCOPES} secret scopes."
        )
    scope: Json = {"name": name, "backend_type": backend}
    if backend == "AZURE_KEYVAULT":
        if call.caller.by_token:
            raise errors.invalid("Scope with Azure KeyVault must have userAADToken defined!")
        vault = call.parameters.get("backend_azure_keyvault") or {}
        if not vault.get("resource_id") or not vault.get("dns_name"):
            raise errors.invalid(
                "A scope backed by Azure Key Vault needs backend_azure_keyvault with resource_id and dns_name."
            )
        resource = call.services.context.resources.get(str(vault["resource_id"]))
        if resource is None:
            raise errors.invalid(f"Azure Key Vault {vault['resource_id']} does not exist.")
        uri = str(resource.properties.get("vaultUri", "")).rstrip("/")
        if uri and uri != str(vault["dns_name"]).rstrip("/"):
            raise errors.invalid(f"dns_name of Azure Key Vault {resource.name} is {uri}/, not {vault['dns_name']}.")
        scope["keyvault_metadata"] = {"resource_id": vault["resource_id"], "dns_name": vault["dns_name"]}
    elif backend != "DATABRICKS":
        raise errors.invalid(f"scope_backend_type must be DATABRICKS or AZURE_KEYVAULT, got {backend}.")
    manager = call.optional_text("initial_manage_principal")
    if manager not in (None, "users"):
        raise errors.invalid(f"initial_manage_principal can only be 'users', got {manager}.")
    call.documents.put("scope", name, scope)
    _put_acl(call.documents, name, manager or call.caller.name, "MANAGE")
    return {}


def list_scopes(call: Call) -> Json:
    return {"scopes": visible_scopes(call.documents, call.caller)}


def visible_scopes(documents: Documents, caller: Caller) -> list[Json]:
    return [scope for scope in documents.all("scope") if _level(documents, caller, scope["name"]) >= 0]


def delete_scope(call: Call) -> Json:
    scope = _require(call.documents, call.caller, call.text("scope"), "MANAGE")
    for kind in ("secret", "secret-acl"):
        for item in call.documents.below(kind, scope["name"]):
            call.documents.delete(kind, f"{scope['name']}/{item.get('key', item.get('principal'))}")
    call.documents.delete("scope", scope["name"])
    return {}


def put(call: Call) -> Json:
    scope = _require(call.documents, call.caller, call.text("scope"), "WRITE")
    if scope["backend_type"] == "AZURE_KEYVAULT":
        raise errors.bad_request(
            f"Cannot write to scope {scope['name']}: it is backed by Azure Key Vault and read only."
        )
    key = _name(call.text("key"), "Key")
    text, encoded = call.parameters.get("string_value"), call.parameters.get("bytes_value")
    if (text is None) == (encoded is None):
        raise errors.invalid("Give exactly one of string_value and bytes_value.")
    value = str(text).encode() if text is not None else base64.b64decode(str(encoded))
    if len(value) > _MAX_VALUE:
        raise errors.invalid(f"The value of {key} has {len(value)} bytes; a secret has at most {_MAX_VALUE}.")
    stored = {"key": key, "value": base64.b64encode(value).decode(), "last_updated_timestamp": now_ms()}
    call.documents.put("secret", f"{scope['name']}/{key}", stored)
    return {}


def get(call: Call) -> Json:
    key = call.text("key")
    return {"key": key, "value": read(call.documents, call.caller, call.text("scope"), key)}


def read(documents: Documents, caller: Caller, scope_name: str, key: str) -> str:
    """Return the value in base64. Raises RESOURCE_DOES_NOT_EXIST or PERMISSION_DENIED."""
    scope = _require(documents, caller, scope_name, "READ")
    if scope["backend_type"] == "AZURE_KEYVAULT":
        raise not_emulated(f"reading secrets of Key Vault backed scopes ({scope_name})")
    secret = documents.get("secret", f"{scope_name}/{key}")
    if secret is None:
        raise errors.missing(f"Secret does not exist with scope: {scope_name} and key: {key}")
    return str(secret["value"])


def list_(call: Call) -> Json:
    return {"secrets": listed(call.documents, call.caller, call.text("scope"))}


def listed(documents: Documents, caller: Caller, scope_name: str) -> list[Json]:
    scope = _require(documents, caller, scope_name, "READ")
    return [
        {"key": item["key"], "last_updated_timestamp": item["last_updated_timestamp"]}
        for item in documents.below("secret", scope["name"])
    ]


def delete(call: Call) -> Json:
    scope = _require(call.documents, call.caller, call.text("scope"), "WRITE")
    key = call.text("key")
    if not call.documents.delete("secret", f"{scope['name']}/{key}"):
        raise errors.missing(f"Secret does not exist with scope: {scope['name']} and key: {key}")
    return {}


def put_acl(call: Call) -> Json:
    scope = _require(call.documents, call.caller, call.text("scope"), "MANAGE")
    principal, level = call.text("principal"), call.text("permission")
    groups = {"users", "admins", *(group["displayName"] for group in call.documents.all("group"))}
    users = {user["userName"] for user in call.documents.all("user")}
    if principal not in groups | users and find_principal(call.documents, principal) is None:
        raise errors.missing(f"User or Group {principal} does not exist.")
    _put_acl(call.documents, scope["name"], principal, level)
    return {}


def get_acl(call: Call) -> Json:
    scope = _require(call.documents, call.caller, call.text("scope"), "MANAGE")
    principal = call.text("principal")
    acl = call.documents.get("secret-acl", f"{scope['name']}/{principal}")
    if acl is None:
        raise errors.missing(f"ACL for principal {principal} on scope {scope['name']} does not exist.")
    return acl


def list_acls(call: Call) -> Json:
    scope = _require(call.documents, call.caller, call.text("scope"), "MANAGE")
    return {"items": call.documents.below("secret-acl", scope["name"])}


def delete_acl(call: Call) -> Json:
    acl = get_acl(call)
    call.documents.delete("secret-acl", f"{call.text('scope')}/{acl['principal']}")
    return {}


def _name(text: str, kind: str) -> str:
    if _NAME.fullmatch(text) is None:
        raise errors.invalid(f"{kind} name {text!r} must have 1 to 128 characters of A-Z, a-z, 0-9, -, _, @ and '.'.")
    return text


def _put_acl(documents: Documents, scope: str, principal: str, level: str) -> None:
    documents.put("secret-acl", f"{scope}/{principal}", {"principal": principal, "permission": level})


def _level(documents: Documents, caller: Caller, scope: str) -> int:
    if caller.is_admin:
        return len(_LEVELS) - 1
    names = {caller.name, *caller.groups}
    held = [_LEVELS.index(a["permission"]) for a in documents.below("secret-acl", scope) if a["principal"] in names]
    return max(held, default=-1)


def _require(documents: Documents, caller: Caller, name: str, level: str) -> Json:
    scope = documents.get("scope", name)
    if scope is None:
        raise errors.missing(f"Scope {name} does not exist!")
    if _level(documents, caller, name) < _LEVELS.index(level):
        raise errors.permission_denied(f"{caller.name} does not have {level} permission on scope {name}")
    return scope
