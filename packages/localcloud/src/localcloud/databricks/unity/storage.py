"""Checks of a storage credential and its access to a place: by ARM, roles and the account.

Unity Catalog reads and writes as the access connector's managed identity. Creating a location tests its access, unless
skip_validation is set. The firewall lets access connectors in as trusted services
(learn.microsoft.com/azure/storage/common/storage-network-security-trusted-azure-services).
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from localcloud.core.context import Context, Principal
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import TENANT_ID
from localcloud.databricks.errors import DetailedError
from localcloud.databricks.unity import errors
from localcloud.databricks.unity.session import Session
from localcloud.databricks.unity.storage_urls import Url

ACCOUNT = "Microsoft.Storage/storageAccounts"
_BLOBS = f"{ACCOUNT}/blobServices/containers/blobs"
_CONNECTOR = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Databricks/accessConnectors/[^/]+", re.IGNORECASE
)
_READS = (("READ", "read"), ("LIST", "read"))
_WRITES = (("WRITE", "write"), ("DELETE", "delete"))
_DELEGATES = f"{ACCOUNT}/blobServices/generateUserDelegationKey/action"
_FORBIDDEN = "This request is not authorized to perform this operation using this permission."
_NO_DATA_LAKE = (
    "This endpoint does not support BlobStorageEvents or SoftDelete. Please disable these account features if you would"
    " like to use this endpoint."
)


def identity(session: Session, requested: Json) -> Json:
    """Return the azure_managed_identity to store.

    Raises INVALID_PARAMETER_VALUE for a missing connector or identity, PERMISSION_DENIED for a caller who is not
    Contributor of it.
    """
    connector_id = str(requested.get("access_connector_id") or "")
    if _CONNECTOR.fullmatch(connector_id) is None:
        raise errors.invalid(
            f"The access_connector_id '{connector_id}' is not valid: use /subscriptions/{{guid}}/resourceGroups/"
            "{rg-name}/providers/Microsoft.Databricks/accessConnectors/{connector-name}"
        )
    context = session.context
    connector = context.resources.get(connector_id)
    if connector is None:
        raise errors.invalid(f"The Azure Databricks Access Connector '{connector_id}' could not be found.")
    writes = "Microsoft.Databricks/accessConnectors/write"
    if not context.authorizer.allows(session.call.caller.principal, writes, connector.id):
        raise DetailedError(
            403,
            "PERMISSION_DENIED",
            "Registering a storage credential requires the contributor role over the corresponding access connector"
            f" with ID {connector_id}. Please contact your account admin.",
        )
    kept = {"access_connector_id": connector_id}
    if managed := requested.get("managed_identity_id"):
        kept["managed_identity_id"] = str(managed)
    if _principal(context, kept) is None:
        named = managed or "a system-assigned managed identity"
        raise errors.invalid(f"The Azure Databricks Access Connector '{connector_id}' does not have {named}.")
    return kept


async def check(session: Session, url: Url, credential: Json, *, read_only: bool) -> None:
    """Raise PERMISSION_DENIED naming the first thing that the identity cannot do at the url."""
    for operation, failure in (await trial(session, url, credential, read_only=read_only)).items():
        if failure:
            raise errors.storage_refused(operation, str(url), failure)


async def trial(session: Session, url: Url, credential: Json, *, read_only: bool) -> dict[str, str]:
    """Return the operations in the order of their trial, with the reason of a failure; empty for a success."""
    context, identity_ = session.context, credential["azure_managed_identity"]
    read_only = read_only or bool(credential.get("read_only"))
    operations = _READS if read_only else (*_READS, *_WRITES)
    account = context.resources.named(ACCOUNT, url.account)
    principal = _principal(context, identity_)
    closed = ""
    if principal is None:
        closed = "The managed identity of the access connector does not exist."
    elif account is None or account.state != "Succeeded":
        closed = f"The storage account {url.account} does not exist."
    elif _keeps_out(account, identity_["access_connector_id"]):
        closed = "This request is not authorized to perform this operation."
    if closed or account is None or principal is None:
        return {operation: closed for operation, _ in operations}
    scope = f"{account.id}/blobServices/default/containers/{url.container}"
    seen = _attributes(url)
    failures = {
        operation: ""
        if context.authorizer.allows(principal, f"{_BLOBS}/{verb}", scope, data=True, attributes=seen)
        else _FORBIDDEN
        for operation, verb in operations
    }
    if any(failures.values()):
        return failures
    if _flat_with_soft_delete(context, account):
        return dict.fromkeys(failures, _NO_DATA_LAKE)
    content = await asyncio.to_thread(_content, context, url)
    if content is None:
        return dict.fromkeys(failures, "The specified filesystem does not exist.")
    if read_only and not content:
        failures["READ"] = "No file available under the location to read."
    return failures


def delegator(session: Session, url: Url, credential: Json, operation: str) -> tuple[Resource, Principal]:
    """Return the account and the identity that signs credentials for it.

    Raises PERMISSION_DENIED where the identity cannot get a user delegation key from the account: the key is the
    account's, so that a role on the container does not allow it
    (learn.microsoft.com/rest/api/storageservices/get-user-delegation-key).
    """
    context, identity_ = session.context, credential["azure_managed_identity"]
    account = context.resources.named(ACCOUNT, url.account)
    principal = _principal(context, identity_)
    if principal is None:
        failure = "The managed identity of the access connector does not exist."
    elif account is None or account.state != "Succeeded":
        failure = f"The storage account {url.account} does not exist."
    elif _keeps_out(account, identity_["access_connector_id"]):
        failure = "This request is not authorized to perform this operation."
    elif not context.authorizer.allows(principal, _DELEGATES, account.id):
        failure = _FORBIDDEN
    else:
        return account, principal
    raise errors.storage_refused(operation, str(url), failure)


def _principal(context: Context, identity: Json) -> Principal | None:
    connector = context.resources.get(identity["access_connector_id"])
    block = (connector.identity if connector is not None else None) or {}
    object_id = block.get("principalId")
    if managed_identity := identity.get("managed_identity_id"):
        attached = block.get("userAssignedIdentities") or {}
        attached_identity = {id_.lower(): entry for id_, entry in attached.items()}.get(managed_identity.lower())
        object_id = attached_identity["principalId"] if attached_identity else None
    return None if object_id is None else Principal(object_id, "", TENANT_ID, "access connector")


def _keeps_out(account: Resource, connector_id: str) -> bool:
    acls: Json = account.properties.get("networkAcls") or {}
    closed = account.properties.get("publicNetworkAccess") == "Disabled" or acls.get("defaultAction") == "Deny"
    named = {str(rule.get("resourceId", "")).lower() for rule in acls.get("resourceAccessRules") or []}
    return closed and "AzureServices" not in str(acls.get("bypass")) and connector_id.lower() not in named


def _attributes(url: Url) -> dict[str, dict[str, list[str]]]:
    containers = f"{ACCOUNT}/blobServices/containers"
    attributes_ = {f"{containers}:name": url.container, f"{_BLOBS}:path": url.path.strip("/")}
    return {"resource": {name.lower(): [value] for name, value in attributes_.items() if value}}


def _flat_with_soft_delete(context: Context, account: Resource) -> bool:
    """Whether the account has no Data Lake endpoint, which Unity Catalog uses."""
    service = context.resources.get(f"{account.id}/blobServices/default")
    policy = (service.properties.get("deleteRetentionPolicy") if service is not None else None) or {}
    return account.properties.get("isHnsEnabled") is not True and bool(policy.get("enabled"))


def _content(context: Context, url: Url) -> bool | None:
    """Whether there is a file at the url; None when the container does not exist."""
    container: Any = context.storage.service_client(url.account).get_container_client(url.container)
    if not container.exists():
        return None
    prefix = f"{url.path.strip('/')}/" if url.path != "/" else ""
    return next(iter(container.list_blobs(name_starts_with=prefix or None, results_per_page=1)), None) is not None
