"""Sign-in to a workspace, and the role of each caller.

An Entra token for Azure Databricks is needed. Contributors and Owners of the workspace's ARM resource (they hold
Microsoft.Databricks/workspaces/assignWorkspaceAdmin/action) come in as workspace admins and are added on first use,
as Azure does; all others must have been added by SCIM and be active.
Source: learn.microsoft.com "Get Microsoft Entra ID tokens for service principals".
"""

from __future__ import annotations

from localcloud.arm import private_link
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.databricks import errors, groups, tokens, workspace_objects
from localcloud.databricks.request import Caller, Workspace
from localcloud.databricks.store import Documents

APPLICATION_ID = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
"""The AzureDatabricks application, the same in every tenant."""
AUDIENCES = frozenset({APPLICATION_ID, f"{APPLICATION_ID}/", f"api://{APPLICATION_ID}"})
WORKSPACE_TYPE = "Microsoft.Databricks/workspaces"
ADMIN_ACTION = "Microsoft.Databricks/workspaces/assignWorkspaceAdmin/action"


def workspace_of(context: Context, resource: Resource) -> Workspace:
    number = str(resource.properties["workspaceId"])
    # Its number follows from its name: a workspace that was deleted and made again has the same number, but is a new
    # one.
    key = f"{number}@{resource.properties.get('createdDateTime', '')}"
    host = str(resource.properties["workspaceUrl"])
    return Workspace(number, host, resource.id, resource.name, Documents(context.database, key))


def all_workspaces(context: Context) -> list[Workspace]:
    resources = context.resources.list(WORKSPACE_TYPE)
    return [workspace_of(context, item) for item in resources if "workspaceUrl" in item.properties]


def find_workspace(context: Context, host: str) -> Workspace:
    """Return the workspace at `host`. Raises ServiceError 404 when no ARM resource has that workspaceUrl."""
    workspaces = all_workspaces(context)
    for workspace in workspaces:
        if workspace.host.lower() == host.lower():
            return workspace
    known = ", ".join(sorted(workspace.host for workspace in workspaces)) or "none at all"
    raise ServiceError(
        404, "ENDPOINT_NOT_FOUND", f"No Azure Databricks workspace has the address {host}; there is {known}."
    )


def enter(context: Context, workspace: Workspace, authorization: str | None) -> Caller:
    """Authenticate the request. Raises UNAUTHENTICATED (401) or PERMISSION_DENIED (403)."""
    if not authorization:
        raise errors.unauthenticated("Credential was not sent or was of an unsupported type for this API.")
    scheme, _, token = authorization.partition(" ")
    by_token = scheme.lower() == "bearer" and token.startswith((tokens.PREFIX, tokens.RUN_PREFIX))
    if by_token:
        principal = _owner_of(context, workspace, token)
    else:
        try:
            principal = context.identities.authenticate(authorization, AUDIENCES)
        except ServiceError as error:
            raise errors.unauthenticated(f"Invalid access token: {error.message}") from error
    workspace_objects.ensure_roots(workspace.documents)
    document = find_principal(workspace.documents, principal.app_id)
    if document is None or "admins" not in document["groups"]:
        if context.authorizer.allows(principal, ADMIN_ACTION, workspace.resource_id):
            document = _add_admin(workspace.documents, principal, document)
        elif document is None:
            raise errors.permission_denied(
                f"User not authorized: service principal {principal.app_id} ({principal.display_name}) is not in"
                f" workspace {workspace.name}. Add it as a service principal, or make it Contributor on"
                f" {workspace.resource_id}."
            )
    if not document.get("active", True):
        raise errors.permission_denied(
            f"Service principal {principal.app_id} is deactivated in workspace {workspace.name}."
        )
    return caller_of(workspace.documents, document, principal, by_token=by_token)


def _owner_of(context: Context, workspace: Workspace, token: str) -> Principal:
    """Return the owner of a personal access token or a run's token. Raises PERMISSION_DENIED for other tokens."""
    run_tokens: tokens.RunTokens | None = context.offered.get(tokens.RunTokens)
    id_ = tokens.owner_of(workspace.documents, token)
    if id_ is None and run_tokens is not None:
        id_ = run_tokens.owner_of(workspace.documents.workspace, token)
    document = None if id_ is None else workspace.documents.get("principal", id_)
    principal = None if document is None else context.identities.by_app_id(str(document["applicationId"]))
    if principal is None:
        raise errors.permission_denied("Invalid access token.")
    return principal


def is_kept_out(context: Context, workspace: Workspace) -> bool:
    """Whether public access is off and there is no private endpoint for the UI and API."""
    resource = context.resources.get(workspace.resource_id)
    return resource is not None and private_link.refused(context, resource, "databricks_ui_api")


def caller_of(documents: Documents, document: Json, principal: Principal, *, by_token: bool = False) -> Caller:
    """Return the caller that a principal of the workspace is."""
    names = frozenset([*document["groups"], "users"])
    return Caller(
        principal=principal,
        id=document["id"],
        name=document["applicationId"],
        display_name=document["displayName"],
        is_admin="admins" in names,
        entitlements=groups.entitlements(documents, document),
        groups=names,
        by_token=by_token,
    )


def find_principal(documents: Documents, application_id: str) -> Json | None:
    for document in documents.all("principal"):
        if document["applicationId"].lower() == application_id.lower():
            return document
    return None


def new_principal(documents: Documents, application_id: str, display_name: str) -> Json:
    """Return a service principal in the workspace's form, with its home folder, as in Databricks."""
    document: Json = {
        "id": str(documents.next_id()),
        "applicationId": application_id,
        "displayName": display_name,
        "active": True,
        "entitlements": [],
        "groups": [],
        "roles": [],
    }
    documents.put("principal", document["id"], document)
    workspace_objects.ensure_home(documents, application_id)
    return document


def _add_admin(documents: Documents, principal: Principal, document: Json | None) -> Json:
    document = document or new_principal(documents, principal.app_id, principal.display_name)
    document["groups"] = sorted({*document["groups"], "admins"})
    documents.put("principal", document["id"], document)
    return document
