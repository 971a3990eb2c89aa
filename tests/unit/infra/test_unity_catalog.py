"""Unity Catalog is there where it is asked for, and the plain path where it is not."""

from __future__ import annotations

from tests.unit.infra.recorder import deploy

KINDS = ("StorageCredential", "ExternalLocation", "Catalog", "Schema", "Grants", "AccessConnector")


def test_without_it_there_is_none_of_it() -> None:
    made = deploy()
    assert not [kind for kind in KINDS if made.of(kind)]


def test_the_container_is_reached_by_the_connector() -> None:
    made = deploy(unity_catalog='{"enabled": true, "catalog": "research", "schema_name": "diabetes"}')
    connector, credential = made.one("AccessConnector"), made.one("StorageCredential")
    assert connector.inputs["identity"]["type"] == "SystemAssigned"
    assert connector.urn in credential.reads["azureManagedIdentity"]
    location = made.one("ExternalLocation")
    assert location.inputs["url"] == "abfss://trainingdata@stdataopsdevtr.dfs.core.windows.net/"
    assert location.inputs["credentialName"] == credential.inputs["name"] == "dataops_dev_training"
    catalog, schema = made.one("Catalog"), made.one("Schema")
    assert catalog.inputs["name"] == "research" and catalog.inputs["storageRoot"].endswith("/unity-catalog/")
    assert schema.inputs["name"] == "diabetes" and catalog.urn in schema.reads["catalogName"]


def test_the_credential_waits_for_the_connector_s_roles() -> None:
    made = deploy(unity_catalog='{"enabled": true}')
    roles = {each.urn for each in made.of("RoleAssignment") if each.name.endswith("-access-connector")}
    assert len(roles) == 2 and roles <= set(made.one("StorageCredential").depends_on)


def test_stacks_of_a_region_share_a_metastore_and_neither_names_nor_workspaces() -> None:
    made = deploy(unity_catalog='{"enabled": true}')
    assert made.one("Catalog").inputs["name"] == "dataops_dev", "a name of the stack's own"
    assert made.one("Catalog").inputs["isolationMode"] == "ISOLATED"
    for kind in ("StorageCredential", "ExternalLocation"):
        assert made.one(kind).inputs["isolationMode"] == "ISOLATION_MODE_ISOLATED"


def test_the_pipeline_s_identity_is_granted_what_it_needs() -> None:
    made = deploy(unity_catalog='{"enabled": true}')
    client = made.one("ServicePrincipal").inputs["applicationId"]
    granted = {}
    for grants in made.of("Grants"):
        ((securable, _),) = [(key, value) for key, value in grants.inputs.items() if key != "grants"]
        (grant,) = grants.inputs["grants"]
        assert grant["principal"] == client
        granted[securable] = set(grant["privileges"])
    assert granted == {
        "externalLocation": {"READ_FILES", "WRITE_FILES"},
        "catalog": {"USE_CATALOG"},
        "schema": {"USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE"},
    }
