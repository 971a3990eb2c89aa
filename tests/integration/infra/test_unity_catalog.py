"""A private stack with Unity Catalog on the real engine: no metastore, then one; drift of grants; destroyed.

The stack is private, because storage then admits only trusted services from the internet, such as the access
connector. The region is this test's own: its metastore is removed and restored.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import catalog as uc
from localcloud.databricks.access import APPLICATION_ID
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud

from tests.integration.infra.project import Project

pytestmark = pytest.mark.nightly
REGION, STACK = "norwayeast", "unity"
# A sign-in to every account, which takes Unity Catalog's place.
SPARK_CONF = {
    "fs.azure.account.auth.type": "OAuth",
    "fs.azure.account.oauth.provider.type": "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider",
    "fs.azure.account.oauth2.client.id": "44444444-4444-4444-4444-444444444444",
    "fs.azure.account.oauth2.client.secret": "{{secrets/platform/reader}}",
    "fs.azure.account.oauth2.client.endpoint": "https://login.microsoftonline.com/common/oauth2/token",
}
SETTINGS = {
    "location": REGION,
    "owner": "mlops@example.com",
    "cost_center": "tests",
    "network": {"profile": "private"},
    "monitoring": {"alert_emails": ["mlops@example.com"]},
    "budget": {"monthly_amount": 100},
}


@pytest.fixture(scope="module")
def project(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.make(tmp_path_factory.mktemp("project") / "uc", cloud.environment)


@pytest.fixture(scope="module")
def base() -> str:
    return f"u{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def witness(azure: AzureSession) -> Iterator[WorkspaceClient]:
    """Another workspace of the region: it sees objects of the metastore, which are not the stack's alone."""
    group = f"{azure.subscription}/resourceGroups/rg-witness-{secrets.token_hex(4)}"
    azure.put(group, "2024-03-01", {"location": REGION})
    properties = {"managedResourceGroupId": f"{group}-managed", "computeMode": "Hybrid"}
    body = {"location": REGION, "sku": {"name": "premium"}, "properties": properties}
    yield client_of(azure, f"{group}/providers/Microsoft.Databricks/workspaces/dbw-witness", body)
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


def client_of(azure: AzureSession, workspace: str, body: Any = None) -> WorkspaceClient:
    version = "2026-01-01"
    content = azure.arm("GET", workspace, version).json() if body is None else azure.put(workspace, version, body)
    host = f"https://{content['properties']['workspaceUrl']}"
    return WorkspaceClient(
        host=host, token=azure.credential.get_token(f"{APPLICATION_ID}/.default").token, auth_type="pat"
    )


def give_metastore(cloud: Cloud, azure: AzureSession, metastore: bool) -> None:
    token = azure.credential.get_token(f"{APPLICATION_ID}/.default").token
    answer = requests.post(
        f"{cloud.settings.gateway_url}/_localcloud/databricks/metastores",
        json={"region": REGION, "metastore": metastore},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )
    assert answer.ok, answer.text


def granted(client: WorkspaceClient, type_: str, name: str) -> dict[str, set[str]]:
    assignments = client.grants.get(type_, name).privilege_assignments or []
    return {
        str(assignment.principal): {privilege.value for privilege in assignment.privileges or []}
        for assignment in assignments
    }


@pytest.fixture(scope="module")
def stack(project: Project, base: str, cloud: Cloud, azure: AzureSession) -> Iterator[WorkspaceClient]:
    """Deployed where there was no metastore at first. The client is its workspace's."""
    project.settings(STACK, {"base_name": base, **SETTINGS})
    init = project.pulumi("stack", "init", stack=STACK)
    assert init.code == 0, init.text
    preview = project.pulumi("preview", stack=STACK)
    assert preview.code == 0 and "databricks:index:Catalog" in preview.text, preview.text
    give_metastore(cloud, azure, False)
    try:
        refused = project.up(STACK, rules="staging")
    finally:
        give_metastore(cloud, azure, True)
    assert refused.code != 0
    assert "METASTORE_DOES_NOT_EXIST: No metastore assigned for the current workspace." in refused.text, refused.text
    kinds = {resource["type"] for resource in project.resources(STACK)}
    assert "databricks:index/storageCredential:StorageCredential" not in kinds
    assert "azure-native:databricks:AccessConnector" in kinds, "all that needs no metastore is there"
    up = project.up(STACK, rules="staging")
    assert up.code == 0, up.text
    group = f"{azure.subscription}/resourceGroups/rg-{base}-{STACK}/providers"
    yield client_of(azure, f"{group}/Microsoft.Databricks/workspaces/dbw-{base}-{STACK}")
    destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack=STACK)
    assert destroyed.code == 0, destroyed.text
    assert project.resources(STACK) == []


def test_the_deployed_resources_match_the_declaration(
    project: Project, stack: WorkspaceClient, base: str, witness: WorkspaceClient
) -> None:
    label = f"{base}_{STACK}"
    credential = stack.storage_credentials.get(f"{label}_training")
    assert credential.azure_managed_identity is not None
    assert credential.azure_managed_identity.access_connector_id.endswith(f"/dbac-{base}-{STACK}")
    url = f"abfss://trainingdata@st{base}{STACK}tr.dfs.core.windows.net/"
    locations = {
        str(location.name): (location.url, location.credential_name) for location in stack.external_locations.list()
    }
    folders = {
        "training": "unity-catalog", "data": "data", "engineered": "engineered", "scoring_files": "scoring/files"
    }  # fmt: skip
    assert locations == {f"{label}_{name}": (f"{url}{at}", credential.name) for name, at in folders.items()}
    assert stack.catalogs.get(label).storage_root == f"{url}unity-catalog"
    assert {schema.name for schema in stack.schemas.list(label)} == {"information_schema", "training"}
    (principal,) = granted(stack, "catalog", label)
    assert granted(stack, "catalog", label) == {principal: {"USE_CATALOG"}}
    assert granted(stack, "external_location", f"{label}_training") == {}
    assert granted(stack, "external_location", f"{label}_data") == {principal: {"READ_FILES"}}
    assert granted(stack, "external_location", f"{label}_engineered") == {principal: {"READ_FILES", "WRITE_FILES"}}
    assert granted(stack, "schema", f"{label}.training") == {
        principal: {"USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE"}
    }
    assert principal in {principal.application_id for principal in stack.service_principals.list()}
    with pytest.raises(DatabricksError, match=f"Catalog '{label}' is not accessible in current workspace"):
        witness.catalogs.get(label)
    assert label in {catalog.name for catalog in witness.catalogs.list(include_unbound=True)}


def test_nothing_changes_when_it_is_deployed_again(project: Project, stack: WorkspaceClient) -> None:
    preview = project.pulumi("preview", "--expect-no-changes", stack=STACK)
    assert preview.code == 0, preview.text
    refresh = project.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", stack=STACK)
    assert refresh.code == 0, refresh.text


def test_manually_changed_grants_are_detected_and_corrected(
    project: Project, stack: WorkspaceClient, base: str
) -> None:
    """A grant is added for everyone, and a schema's are removed altogether: these read as gone, and are made again."""
    label = f"{base}_{STACK}"
    declared = {name: granted(stack, *name) for name in (("catalog", label), ("schema", f"{label}.training"))}
    everyone = [uc.PermissionsChange(add=[uc.Privilege.SELECT], principal="account users")]
    stack.grants.update("catalog", label, changes=everyone)
    (principal,) = declared["schema", f"{label}.training"]
    none = [uc.PermissionsChange(remove=[uc.Privilege.ALL_PRIVILEGES], principal=principal)]
    stack.grants.update("schema", f"{label}.training", changes=none)
    drift = project.pulumi("preview", "--refresh", "--diff", stack=STACK)
    assert drift.code == 0 and "account users" in drift.text, drift.text
    drift = project.pulumi("preview", "--refresh", "--expect-no-changes", stack=STACK)
    assert drift.code != 0, "drift is a change"
    refresh = project.pulumi("refresh", "--yes", "--skip-preview", stack=STACK)
    assert refresh.code == 0, refresh.text
    up = project.up(STACK)
    assert up.code == 0, up.text
    assert "1 created" in up.text.replace("+ ", "") and "1 updated" in up.text.replace("~ ", ""), up.text
    assert {name: granted(stack, *name) for name in declared} == declared


def test_another_schema_replaces_the_old_one(project: Project, stack: WorkspaceClient, base: str) -> None:
    label = f"{base}_{STACK}"
    project.settings(STACK, {"base_name": base, **SETTINGS, "unity_catalog": {"enabled": True, "schema_name": "other"}})
    up = project.up(STACK)
    assert up.code == 0, up.text
    assert {schema.name for schema in stack.schemas.list(label)} == {"information_schema", "other"}
    assert granted(stack, "schema", f"{label}.other").keys() == granted(stack, "catalog", label).keys()
    preview = project.pulumi("preview", "--expect-no-changes", stack=STACK)
    assert preview.code == 0, preview.text


def test_readers_of_predictions_read_and_an_unknown_principal_is_named(
    project: Project, stack: WorkspaceClient, base: str, azure: AzureSession, group: str
) -> None:
    label = f"{base}_{STACK}"

    def service_principal(name: str) -> str:
        identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
        client_id = str(azure.put(identity, "2023-01-31", {"location": REGION})["properties"]["clientId"])
        stack.service_principals.create(application_id=client_id, display_name=name)
        return client_id

    def deployed(**settings: list[str]) -> str:
        project.settings(STACK, {"base_name": base, **SETTINGS, "unity_catalog": {"schema_name": "other", **settings}})
        up = project.up(STACK)
        assert (up.code == 0) == ("unknown@example.com" not in str(settings)), up.text
        return up.text

    reader, writer = service_principal("reader"), service_principal("writer")
    refused = deployed(prediction_readers=["unknown@example.com"])
    assert "Could not find principal with name unknown@example.com" in refused, refused
    deployed(prediction_readers=[reader], prediction_writers=[writer])
    read, change = {"READ_FILES"}, {"READ_FILES", "WRITE_FILES"}
    assert granted(stack, "external_location", f"{label}_scoring_out") == {reader: read, writer: read}
    assert granted(stack, "external_location", f"{label}_scoring_tables") == {reader: read, writer: change}
    others = [f"{label}_{name}" for name in ("training", "data", "engineered", "scoring_files")]
    assert not {reader, writer} & {name for other in others for name in granted(stack, "external_location", other)}

    deployed()
    assert {str(location.name) for location in stack.external_locations.list()} == set(others)


def test_a_catalog_with_data_in_it_is_not_destroyed(
    project: Project, stack: WorkspaceClient, base: str, witness: WorkspaceClient
) -> None:
    label = f"{base}_{STACK}"
    (schema,) = {schema.name for schema in stack.schemas.list(label)} - {"information_schema"}
    stack.volumes.create(label, str(schema), "kept", uc.VolumeType.MANAGED)
    project.settings(
        STACK,
        {"base_name": base, **SETTINGS, "unity_catalog": {"enabled": False}, "databricks": {"spark_conf": SPARK_CONF}},
    )
    refused = project.up(STACK)
    assert refused.code != 0
    assert f"SCHEMA_NOT_EMPTY: Schema '{label}.{schema}' is not empty. The schema has 0 tables(s)" in refused.text
    stack.volumes.delete(f"{label}.{schema}.kept")
    up = project.up(STACK)
    assert up.code == 0, up.text
    for client in (stack, witness):
        assert label not in {catalog.name for catalog in client.catalogs.list(include_unbound=True)}
        assert not [location.name for location in client.external_locations.list(include_unbound=True)]
        assert not [credential.name for credential in client.storage_credentials.list(include_unbound=True)]
    project.settings(STACK, {"base_name": base, **SETTINGS})
    again = project.up(STACK)
    assert again.code == 0, again.text
