"""A request to Unity Catalog: the metastore of the workspace's region, its objects, and the caller.

A metastore is the region's and not the workspace's: objects of one workspace exist in the region's others, and stay
when the workspace is deleted.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.databricks.access import all_workspaces, find_principal
from localcloud.databricks.clock import now_ms
from localcloud.databricks.request import Call, Workspace
from localcloud.databricks.store import Documents, workspaces_with
from localcloud.databricks.unity import errors
from localcloud.databricks.unity.securables import METASTORE, Securable, chain

ACCOUNT_ID = "b7c1c7de-52a4-4f0b-8d0b-9a4f6f0f7a11"
"""Id of localcloud's Databricks account."""
EVERYONE = "account users"
SYSTEM = "System user"
_INFO, _ATTACHED, _GRANTS, _BINDINGS = "uc-metastore", "uc-workspace", "uc-grants", "uc-bindings"
_ADMIN_PRIVILEGES = (
    "CREATE_CATALOG", "CREATE_CLEAN_ROOM", "CREATE_CONNECTION", "CREATE_EXTERNAL_LOCATION", "CREATE_MATERIALIZED_VIEW",
    "CREATE_PROVIDER", "CREATE_RECIPIENT", "CREATE_SERVICE_CREDENTIAL", "CREATE_SHARE", "CREATE_STORAGE_CREDENTIAL",
)  # fmt: skip
"""The privileges of workspace admins on a metastore that their workspace was attached to automatically."""


@dataclass(frozen=True)
class Session:
    """The metastore of a caller. `names` are the caller's principals: itself, everyone, its workspace's admins."""

    call: Call
    info: Json
    documents: Documents
    names: frozenset[str]

    @classmethod
    def open(cls, call: Call) -> Session:
        """Raise METASTORE_DOES_NOT_EXIST where the workspace's region has none."""
        context, workspace = call.services.context, call.workspace
        region = region_of(context, workspace)
        if not call.services.regions.has(region):
            raise errors.no_metastore()
        documents = Documents(context.database, f"metastore@{region}")
        info = documents.get(_INFO, "metastore") or _make(documents, region)
        admins = f"_workspace_admins_databricks_{ACCOUNT_ID}_workspace_{workspace.id}"
        session = cls(call, info, documents, frozenset({call.caller.name, EVERYONE}))
        if documents.get(_ATTACHED, workspace.id) is None:
            documents.put(_ATTACHED, workspace.id, {"workspace_id": int(workspace.id)})
            held = session.grants(METASTORE, info["name"])
            session.put_grants(METASTORE, info["name"], held | {admins: list(_ADMIN_PRIVILEGES)})
        return cls(call, info, documents, session.names | {admins}) if call.caller.is_admin else session

    @property
    def context(self) -> Context:
        return self.call.services.context

    @property
    def workspace_id(self) -> int:
        return int(self.call.workspace.id)

    def find(self, securable: Securable, name: str) -> Json | None:
        if securable is METASTORE:
            return self.info if name.lower() in {self.info["metastore_id"], self.info["name"]} else None
        return self.documents.get(securable.kind, _key(name))

    def get(self, securable: Securable, name: str, *, bound: bool = True) -> Json:
        """Return the object. Raises *_DOES_NOT_EXIST, for the objects above it first.

        With `bound`, an object that is closed to the workspace counts as missing.
        """
        nearest: Json = {}
        for above, full_name in reversed(chain(securable, name)):
            document = self.find(above, full_name) if len(full_name.split(".")) == above.parts else None
            if document is None:
                raise errors.missing(above, full_name)
            if bound and not self.is_bound(above, document):
                raise errors.not_here(above, document["full_name"])
            nearest = document
        return nearest

    def all(self, securable: Securable) -> list[Json]:
        return self.documents.all(securable.kind)

    def within(self, securable: Securable, parent: str) -> list[Json]:
        """Return the objects in `parent`, at any depth."""
        return self.documents.below(securable.kind, _key(parent))

    def add(self, securable: Securable, name: str, fields: Json) -> Json:
        """Return a new object as the service shows it. Raises *_ALREADY_EXISTS."""
        name = name.lower()
        if self.find(securable, name) is not None:
            raise errors.exists(securable, name)
        now, me = now_ms(), self.call.caller.name
        document: Json = {
            "name": name.rsplit(".", 1)[-1],
            "full_name": name,
            "owner": me,
            "metastore_id": self.info["metastore_id"],
            "created_at": now,
            "created_by": me,
            "updated_at": now,
            "updated_by": me,
            "securable_type": securable.code,
        }
        if securable.isolation:
            document["isolation_mode"] = securable.isolation[0]
        document |= fields
        self.documents.put(securable.kind, _key(name), document)
        return document

    def change(self, securable: Securable, document: Json, fields: Json) -> Json:
        changed: Json = document | fields | {"updated_at": now_ms(), "updated_by": self.call.caller.name}
        self.documents.put(securable.kind, _key(document["full_name"]), changed)
        return changed

    def remove(self, securable: Securable, name: str) -> None:
        self.documents.delete(securable.kind, _key(name))
        for kind in (_GRANTS, _BINDINGS):
            self.documents.delete(kind, f"{securable.type}/{_key(name)}")

    def grants(self, securable: Securable, name: str) -> dict[str, list[str]]:
        """Return the privileges by principal."""
        return dict((self.documents.get(_GRANTS, self._ref(securable, name)) or {}).get("grants", {}))

    def put_grants(self, securable: Securable, name: str, grants: Mapping[str, list[str]]) -> None:
        self.documents.put(_GRANTS, self._ref(securable, name), {"grants": dict(grants)})

    def bindings(self, securable: Securable, name: str) -> dict[str, str]:
        """Return the binding types by workspace id."""
        return dict((self.documents.get(_BINDINGS, self._ref(securable, name)) or {}).get("bindings", {}))

    def put_bindings(self, securable: Securable, name: str, bindings: Mapping[str, str]) -> None:
        self.documents.put(_BINDINGS, self._ref(securable, name), {"bindings": dict(bindings)})

    def is_attached(self, workspace_id: int) -> bool:
        return self.documents.get(_ATTACHED, str(workspace_id)) is not None

    def is_bound(self, securable: Securable, document: Json) -> bool:
        if not securable.isolation or document["isolation_mode"] == securable.isolation[0]:
            return True
        return self.call.workspace.id in self.bindings(securable, document["full_name"])

    def principal(self, name: str) -> str:
        """Return the name in its stored form.

        Raises PRINCIPAL_DOES_NOT_EXIST: the account has no groups of workspaces.
        """
        if name.lower() == EVERYONE:
            return EVERYONE
        if name.startswith("_workspace_admins_databricks_"):
            return name
        for workspace in all_workspaces(self.context):
            if (principal := find_principal(workspace.documents, name)) is not None:
                return str(principal["applicationId"])
            for user in workspace.documents.all("user"):
                if user["userName"].lower() == name.lower():
                    return str(user["userName"])
        raise errors.no_principal(name)

    def _ref(self, securable: Securable, name: str) -> str:
        return "metastore" if securable is METASTORE else f"{securable.type}/{_key(name)}"


def region_of(context: Context, workspace: Workspace) -> str:
    resource = context.resources.get(workspace.resource_id)
    if resource is None:
        raise ServiceError(404, "ENDPOINT_NOT_FOUND", f"The workspace {workspace.name} is being deleted.")
    return str(resource.location or "").lower().replace(" ", "")


def namespaces(context: Context) -> list[str]:
    """Return the documents of the metastores, which outlive workspaces."""
    return workspaces_with(context.database, _INFO)


def detach(context: Context, workspace: Workspace) -> None:
    """Detach a deleted workspace from the metastores. A new one with its name is attached anew."""
    for namespace in namespaces(context):
        Documents(context.database, namespace).delete(_ATTACHED, workspace.id)


def _make(documents: Documents, region: str) -> Json:
    """Make a region's metastore as Azure does: with no administrator and no storage of its own."""
    id_, now = str(uuid.uuid4()), now_ms()
    name = f"metastore_azure_{region}"
    info: Json = {
        "metastore_id": id_,
        "name": name,
        "full_name": name,
        "region": region,
        "cloud": "azure",
        "global_metastore_id": f"azure:{region}:{id_}",
        "owner": SYSTEM,
        "privilege_model_version": "1.0",
        "delta_sharing_scope": "INTERNAL",
        "external_access_enabled": False,
        "created_at": now,
        "created_by": SYSTEM,
        "updated_at": now,
        "updated_by": SYSTEM,
    }
    documents.put(_INFO, "metastore", info)
    return info


def _key(name: str) -> str:
    """Return a full name's key by its parts, so that keys of objects below it begin with it."""
    return name.lower().replace(".", "/")
