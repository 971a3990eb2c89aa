"""The databricks provider's Unity Catalog resources against a workspace that has a metastore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import catalog as uc
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.plugin_process import Plain, Plugin, Refused, ResourceState

CREDENTIAL = "databricks:index/storageCredential:StorageCredential"
LOCATION = "databricks:index/externalLocation:ExternalLocation"
CATALOG = "databricks:index/catalog:Catalog"
SCHEMA = "databricks:index/schema:Schema"
VOLUME = "databricks:index/volume:Volume"
GRANTS = "databricks:index/grants:Grants"
NO_CHANGE = 1


@dataclass(frozen=True)
class Stage:
    """A plugin and a client of the same workspace, and an access connector."""

    plugin: Plugin
    client: WorkspaceClient
    connector: str

    def location(self, **more: object) -> Plain:
        """Return the inputs of a location of the test's own. The storage behind it is not checked."""
        url = f"abfss://data@{unique('st')}.dfs.core.windows.net/"
        return {"name": unique("loc"), "url": url, "credentialName": "shared_cred", "skipValidation": True, **more}


@pytest.fixture(scope="module")
def stage(azure: AzureSession) -> Iterator[Stage]:
    group = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(group, "2024-03-01", {"location": "francecentral"})
    workspace = f"{group}/providers/Microsoft.Databricks/workspaces/dbw-unity"
    properties = {"computeMode": "Hybrid", "managedResourceGroupId": f"{group}-managed"}
    body = {"location": "francecentral", "sku": {"name": "premium"}, "properties": properties}
    host = f"https://{azure.put(workspace, '2026-01-01', body)['properties']['workspaceUrl']}"
    connector = f"{group}/providers/Microsoft.Databricks/accessConnectors/dbac-unity"
    azure.put(connector, "2026-01-01", {"location": "francecentral", "identity": {"type": "SystemAssigned"}})
    plugin = Plugin("databricks", dict(os.environ))
    plugin.configure(host=host, azureWorkspaceResourceId=workspace)
    client = WorkspaceClient(host=host, auth_type="azure-client-secret", azure_tenant_id=os.environ["AZURE_TENANT_ID"])
    identity = uc.AzureManagedIdentityRequest(connector)
    client.storage_credentials.create("shared_cred", azure_managed_identity=identity)
    yield Stage(plugin, client, connector)
    assert plugin.stop() == ""
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


@pytest.fixture
def catalog(stage: Stage) -> Iterator[tuple[ResourceState, Plain]]:
    place = stage.location()
    location = stage.plugin.create(LOCATION, place)
    inputs = {"name": unique("cat"), "storageRoot": f"{place['url']}unity/", "forceDestroy": True}
    catalog = stage.plugin.create(CATALOG, inputs)
    yield catalog, inputs
    stage.plugin.delete(CATALOG, catalog)
    stage.plugin.delete(LOCATION, location)
    assert stage.plugin.read(LOCATION, location.id, location)[0] is None


def test_a_credential_is_made_changed_read_and_imported(stage: Stage) -> None:
    identity = {"accessConnectorId": stage.connector}
    inputs = {"name": unique("cred"), "azureManagedIdentity": identity, "comment": "one"}
    resource = stage.plugin.create(CREDENTIAL, inputs)
    refreshed, read_inputs = stage.plugin.read(CREDENTIAL, resource.id, resource)
    assert read_inputs == inputs and refreshed is not None
    assert stage.plugin.diff(CREDENTIAL, refreshed, inputs).changes == NO_CHANGE
    assert resource.id == inputs["name"] and resource.outputs["storageCredentialId"]
    _, imported = stage.plugin.read(CREDENTIAL, resource.id)
    assert {key: imported[key] for key in inputs} == inputs
    without = {key: value for key, value in inputs.items() if key != "comment"} | {"readOnly": True}
    changed = stage.plugin.update(CREDENTIAL, resource, without)
    assert changed.outputs["readOnly"] is True
    assert stage.client.storage_credentials.get(resource.id).comment == "", "a comment that is given no more is gone"
    assert list(stage.plugin.diff(CREDENTIAL, resource, inputs | {"name": "other"}).replaces) == ["name"]
    stage.plugin.delete(CREDENTIAL, changed)
    assert stage.plugin.read(CREDENTIAL, resource.id, changed) == (None, {})


def test_a_catalog_s_own_schema_is_deleted_at_once_as_by_the_vendor(
    stage: Stage, catalog: tuple[ResourceState, Plain]
) -> None:
    resource, inputs = catalog
    assert {schema.name for schema in stage.client.schemas.list(resource.id)} == {"information_schema"}
    refreshed, read_inputs = stage.plugin.read(CATALOG, resource.id, resource)
    assert read_inputs == inputs and refreshed is not None, "the slash that Databricks drops is no change"
    assert stage.plugin.diff(CATALOG, refreshed, inputs).changes == NO_CHANGE
    changed = stage.plugin.diff(CATALOG, resource, inputs | {"storageRoot": f"{inputs['storageRoot']}more"})
    assert list(changed.replaces) == ["storageRoot"]


def test_a_schema_and_a_volume_are_made_changed_and_deleted(stage: Stage, catalog: tuple[ResourceState, Plain]) -> None:
    inputs = {"catalogName": catalog[0].id, "name": "training", "properties": {"my_Key": "v"}, "forceDestroy": True}
    schema = stage.plugin.create(SCHEMA, inputs)
    assert schema.id == f"{catalog[0].id}.training" and schema.outputs["schemaId"]
    assert stage.plugin.read(SCHEMA, schema.id, schema)[1] == inputs
    owned = stage.plugin.update(SCHEMA, schema, inputs | {"owner": "account users"})
    assert owned.outputs["owner"] == "account users"
    volume = {"catalogName": catalog[0].id, "schemaName": "training", "name": "files", "volumeType": "MANAGED"}
    resource = stage.plugin.create(VOLUME, volume)
    assert resource.id == f"{schema.id}.files" and stage.plugin.read(VOLUME, resource.id, resource)[1] == volume
    stage.plugin.delete(VOLUME, resource)
    stage.plugin.delete(SCHEMA, owned)
    assert stage.plugin.read(SCHEMA, schema.id, schema)[0] is None


def test_only_resources_of_a_killed_run_are_adopted(stage: Stage, catalog: tuple[ResourceState, Plain]) -> None:
    resource, inputs = catalog
    assert stage.plugin.create(CATALOG, inputs).id == resource.id
    with pytest.raises(Refused, match=rf"^CATALOG_ALREADY_EXISTS: Catalog '{resource.id}' already exists"):
        stage.plugin.create(CATALOG, inputs | {"storageRoot": f"{inputs['storageRoot']}of-another-stack"})


def test_a_creation_that_ended_after_its_first_request_is_finished(stage: Stage) -> None:
    """The isolation mode is set by a second request, which Databricks may not have answered."""
    inputs = stage.location(isolationMode="ISOLATION_MODE_ISOLATED")
    location = stage.client.external_locations.create(
        inputs["name"], inputs["url"], inputs["credentialName"], skip_validation=True
    )
    resource = stage.plugin.create(LOCATION, inputs)
    assert resource.id == location.name and resource.outputs["isolationMode"] == "ISOLATION_MODE_ISOLATED"
    stage.plugin.delete(LOCATION, resource)


def test_no_object_of_another_owner_is_taken_over(stage: Stage) -> None:
    inputs = stage.location(isolationMode="ISOLATION_MODE_ISOLATED")
    stage.client.external_locations.create(
        inputs["name"], inputs["url"], inputs["credentialName"], skip_validation=True
    )
    stage.client.external_locations.update(inputs["name"], owner="account users")
    with pytest.raises(Refused, match=rf"^EXTERNAL_LOCATION_ALREADY_EXISTS: External Location '{inputs['name']}' "):
        stage.plugin.create(LOCATION, inputs)
    stage.client.external_locations.delete(inputs["name"])


def test_an_isolated_object_is_open_to_the_workspace_that_declares_it(stage: Stage) -> None:
    inputs = stage.location(isolationMode="ISOLATION_MODE_ISOLATED")
    resource = stage.plugin.create(LOCATION, inputs)
    assert stage.plugin.read(LOCATION, resource.id, resource)[1] == inputs
    here = int(stage.client.metastores.current().workspace_id)
    bindings = stage.client.workspace_bindings
    assert [binding.workspace_id for binding in bindings.get_bindings("external_location", resource.id)] == [here]
    bindings.update_bindings("external_location", resource.id, remove=[uc.WorkspaceBinding(here)])
    stage.plugin.delete(LOCATION, resource)
    assert stage.plugin.read(LOCATION, resource.id, resource)[0] is None


def test_another_metastore_than_the_workspace_s_is_refused(stage: Stage) -> None:
    with pytest.raises(Refused, match="metastoreId is other, and the workspace is assigned to the metastore"):
        stage.plugin.create(LOCATION, stage.location(metastoreId="other"))
    own = stage.client.metastores.summary().metastore_id
    resource = stage.plugin.create(LOCATION, stage.location(metastoreId=own))
    stage.plugin.delete(LOCATION, resource)


def test_grants_are_exactly_the_declared_ones(stage: Stage, catalog: tuple[ResourceState, Plain]) -> None:
    me = str(stage.client.current_user.me().user_name)
    arguments = {"catalog": catalog[0].id, "grants": [
        {"principal": "account users", "privileges": ["use catalog", "BROWSE"]},
        {"principal": me, "privileges": ["USE_CATALOG"]},
    ]}  # fmt: skip
    inputs, failures = stage.plugin.check(GRANTS, arguments)
    assert failures == []
    resource = stage.plugin.create(GRANTS, inputs)
    assert resource.id == f"catalog/{catalog[0].id}"
    refreshed, read_inputs = stage.plugin.read(GRANTS, resource.id, resource)
    assert read_inputs == inputs and refreshed is not None
    turned, _ = stage.plugin.check(GRANTS, {**arguments, "grants": arguments["grants"][::-1]})
    assert stage.plugin.diff(GRANTS, refreshed, turned).changes == NO_CHANGE, "grants have no order"
    as_declared = replace(resource, inputs={**arguments, "__defaults": []})
    assert stage.plugin.diff(GRANTS, as_declared, turned).changes == NO_CHANGE, "the vendor's plugin keeps their order"
    others = [uc.PermissionsChange(add=[uc.Privilege.SELECT], principal=me)]
    stage.client.grants.update("catalog", catalog[0].id, changes=others)
    _, drifted = stage.plugin.read(GRANTS, resource.id, resource)
    assert {"principal": me, "privileges": ["SELECT", "USE_CATALOG"]} in drifted["grants"], "drift shows"
    stage.plugin.update(GRANTS, resource, inputs)
    assert stage.plugin.read(GRANTS, resource.id, resource)[1] == inputs, "and goes"
    _, imported = stage.plugin.read(GRANTS, resource.id)
    assert imported == inputs
    stage.plugin.delete(GRANTS, resource)
    assert stage.client.grants.get("catalog", catalog[0].id).privilege_assignments in (None, [])
    assert stage.plugin.read(GRANTS, resource.id, resource) == (None, {}), (
        "an empty list reads as gone, as with the vendor"
    )


def test_grants_name_one_object(stage: Stage) -> None:
    grants = [{"principal": "account users", "privileges": ["SELECT"]}]
    with pytest.raises(Refused, match=r"grants need exactly one of .*, and were given \['catalog', 'schema'\]"):
        stage.plugin.create(GRANTS, {"catalog": "a", "schema": "a.b", "grants": grants})


def test_the_service_s_refusals_are_reported(stage: Stage) -> None:
    with pytest.raises(Refused, match=r"^INVALID_PARAMETER_VALUE: No parent external location found for path"):
        stage.plugin.create(CATALOG, {"name": unique("cat"), "storageRoot": "abfss://c@nowhere.dfs.core.windows.net/"})
    with pytest.raises(Refused, match=r"^PERMISSION_DENIED: .*does not have READ permissions on url"):
        stage.plugin.create(LOCATION, stage.location(skipValidation=False))
