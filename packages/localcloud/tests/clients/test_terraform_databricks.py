"""Terraform's databricks provider 1.128: its requests, as it sent them, for apply, plan, changes and destroy.

The configuration has one resource of each type that a platform of notebook runs needs: pool, policy, directories,
service principal, permissions, storage credential, external locations, catalog, schema and grants.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from localcloud.core.json import Json
from localcloud.coverage_clients import TERRAFORM_DATABRICKS
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.recordings import Player, read

COMMANDS = read(Path(__file__).parent / "terraform_databricks.json")
UNITY = "/api/2.1/unity-catalog"


@pytest.fixture
def values(azure: AzureSession, group: str) -> Mapping[str, str]:
    """Make azurerm's resources: account, workspace, access connector and its roles, an identity."""
    name = unique("x")

    def put(type_: str, version: str, resource: str, **body: object) -> Json:
        return azure.put(f"{group}/providers/{type_}/{resource}", version, {"location": "westeurope", **body})

    lake = put(
        "Microsoft.Storage/storageAccounts", "2025-08-01", f"st{name}", kind="StorageV2", sku={"name": "Standard_LRS"},
        properties={"isHnsEnabled": True},
    )  # fmt: skip
    container = azure.put(f"{lake['id']}/blobServices/default/containers/trainingdata", "2025-08-01", {})
    connector = put(
        "Microsoft.Databricks/accessConnectors", "2026-01-01", f"dbac-{name}", identity={"type": "SystemAssigned"}
    )
    azure.assign(container["id"], "Storage Blob Data Contributor", connector["identity"]["principalId"])
    azure.assign(lake["id"], "Storage Blob Delegator", connector["identity"]["principalId"])
    identity = put("Microsoft.ManagedIdentity/userAssignedIdentities", "2024-11-30", f"id-{name}")
    workspace = put(
        "Microsoft.Databricks/workspaces", "2026-01-01", f"dbw-{name}", sku={"name": "premium"},
        properties={
            "computeMode": "Hybrid", "managedResourceGroupId": f"{azure.subscription}/resourceGroups/rg-{name}-dbw",
        },
    )  # fmt: skip
    host = workspace["properties"]["workspaceUrl"]
    # The first sign-in of a contributor makes an admin of it: the provider's tokens name the workspace's resource id.
    signed_in = WorkspaceClient(host=f"https://{host}", azure_workspace_resource_id=workspace["id"])
    return {
        "group": group.rsplit("/", 1)[-1], "name": name, "host": host,
        "workspace": workspace["properties"]["workspaceId"], "application": identity["properties"]["clientId"],
        "client": str(signed_in.current_user.me().user_name),
    }  # fmt: skip


def test_the_coverage_page_lists_exactly_the_replayed_commands() -> None:
    assert sorted(TERRAFORM_DATABRICKS) == sorted({command.words for command in COMMANDS})


def test_apply_plan_changes_and_destroy_read_back_their_writes(azure: AzureSession, values: Mapping[str, str]) -> None:
    player = Player(azure, values)
    reads_by_command: dict[str, dict[str, Json]] = {}
    for command in COMMANDS:
        reads = reads_by_command[command.words] = {}
        for request, content in zip(command.requests, player.play(command), strict=True):
            if request.method == "GET":
                reads[request.url.removeprefix("https://{host}").split("?")[0]] = content
    plan, changed = reads_by_command["plan"], reads_by_command["apply changes"]
    assert plan == {path: content for path, content in reads_by_command["apply"].items() if path in plan}, (
        "a plan changes nothing"
    )
    principal = plan["/api/2.0/preview/scim/v2/ServicePrincipals/{principal.id}"]
    assert principal["applicationId"] == values["application"] and not principal.get("entitlements")
    pool = plan["/api/2.0/instance-pools/get"]
    assert (pool["azure_attributes"]["availability"], pool["custom_tags"]) == ("ON_DEMAND_AZURE", {"team": "one"})
    assert changed["/api/2.0/instance-pools/get"] == pool | {"custom_tags": {"team": "two"}}
    assert changed["/api/2.0/policies/clusters/get"]["description"] == "Runs of two"
    location = f"{UNITY}/external-locations/{{name}}_data"
    assert (plan[location]["comment"], changed[location]["comment"]) == ("one", "two")
    assert changed[location]["isolation_mode"] == "ISOLATION_MODE_ISOLATED"
    for kind, level in (
        ("instance-pools/{pool.instance_pool_id}", "CAN_ATTACH_TO"),
        ("directories/{folder.object_id}", "CAN_READ"),
    ):
        entries = plan[f"/api/2.0/permissions/{kind}"]["access_control_list"]
        (entry,) = [entry for entry in entries if entry.get("service_principal_name") == values["application"]]
        assert [permission["permission_level"] for permission in entry["all_permissions"]] == [level]
    (grant,) = plan[f"{UNITY}/permissions/schema/{{name}}.training"]["privilege_assignments"]
    assert grant["principal"] == values["application"]
    assert set(grant["privileges"]) == {"CREATE_TABLE", "MODIFY", "SELECT", "USE_SCHEMA"}
