"""Groups of a workspace: the built-in ones, their entitlements, and the principals in them.

`users` has every principal of the workspace. Workspace access and Databricks SQL access come from membership in it
(learn.microsoft.com/azure/databricks/security/auth/entitlements, "Default entitlements"), and a principal's own SCIM
object lists neither (gbrueckl/Databricks.API.PowerShell#66).
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.core.json import Json
from localcloud.databricks.store import Documents

ENTITLEMENTS = (
    "workspace-access", "databricks-sql-access", "allow-cluster-create", "allow-instance-pool-create",
    "workspace-consume",
)  # fmt: skip
"""All entitlements (terraform-provider-databricks, scim/scim.go: possibleEntitlements)."""
BUILT_IN: Mapping[str, tuple[str, ...]] = {
    "admins": ("workspace-access", "databricks-sql-access", "allow-cluster-create", "allow-instance-pool-create"),
    "users": ("workspace-access", "databricks-sql-access"),
}
"""The groups of every workspace, and their entitlements."""


def all_groups(documents: Documents) -> list[Json]:
    """Return the workspace's groups, the built-in ones among them."""
    groups = documents.all("group")
    present = {group["displayName"] for group in groups}
    for name, entitlements in BUILT_IN.items():
        if name not in present:
            group: Json = {
                "id": str(documents.next_id()), "displayName": name, "entitlements": list(entitlements),
            }  # fmt: skip
            documents.put("group", group["id"], group)
            groups.append(group)
    return groups


def entitlements(documents: Documents, principal: Json) -> frozenset[str]:
    """Return a principal's entitlements: its own, and its groups'."""
    names = {*principal["groups"], "users"}
    groups = [group for group in all_groups(documents) if group["displayName"] in names]
    return frozenset(principal["entitlements"]).union(*(group.get("entitlements") or () for group in groups))


def members(documents: Documents, group: Json) -> list[Json]:
    """Return the service principals in a group."""
    name = group["displayName"]
    return [item for item in documents.all("principal") if name == "users" or name in item["groups"]]


def set_member(documents: Documents, principal: Json, name: str, *, member: bool) -> None:
    """Put a principal into the group of that name, or remove it."""
    names = {*principal["groups"], name} if member else {*principal["groups"]} - {name}
    documents.put("principal", principal["id"], principal | {"groups": sorted(names)})
