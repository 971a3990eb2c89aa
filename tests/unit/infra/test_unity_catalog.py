"""Unity Catalog exists where the settings enable it, and the plain path where they do not."""

from __future__ import annotations

import json

import pytest

from infra.configuration import SettingsError
from tests.unit.infra.recorder import SPARK_CONF, WITHOUT_CATALOG, deploy

KINDS = ("StorageCredential", "ExternalLocation", "Catalog", "Schema", "Grants", "AccessConnector")


def test_a_stack_without_unity_catalog_has_none_of_its_resources() -> None:
    deployment = deploy(**WITHOUT_CATALOG)
    assert not [kind for kind in KINDS if deployment.of(kind)]
    definition = json.loads(deployment.resource("ClusterPolicy").inputs["definition"])
    assert {key.removeprefix("spark_conf.") for key in definition if "fs.azure" in key} == set(SPARK_CONF)


def test_unity_catalog_is_on_by_default() -> None:
    deployment = deploy()
    assert all(deployment.of(kind) for kind in KINDS)
    definition = json.loads(deployment.resource("ClusterPolicy").inputs["definition"])
    assert definition["data_security_mode"] == {"type": "fixed", "value": "SINGLE_USER"}, "others have no catalog"


def test_the_container_is_reached_by_the_connector() -> None:
    deployment = deploy(unity_catalog='{"enabled": true, "catalog": "research", "schema_name": "diabetes"}')
    connector, credential = deployment.resource("AccessConnector"), deployment.resource("StorageCredential")
    assert connector.inputs["identity"]["type"] == "SystemAssigned"
    assert connector.urn in credential.reads["azureManagedIdentity"]
    locations = {location.inputs["name"]: location.inputs["url"] for location in deployment.of("ExternalLocation")}
    root = "abfss://trainingdata@stdataopsdevtr.dfs.core.windows.net"
    assert locations == {
        "dataops_dev_training": f"{root}/unity-catalog/",
        "dataops_dev_data": f"{root}/data/",
        "dataops_dev_engineered": f"{root}/engineered/",
        "dataops_dev_scoring_files": f"{root}/scoring/files/",
    }
    assert credential.inputs["name"] == "dataops_dev_training"
    assert {location.inputs["credentialName"] for location in deployment.of("ExternalLocation")} == {
        "dataops_dev_training"
    }
    catalog, schema = deployment.resource("Catalog"), deployment.resource("Schema")
    assert catalog.inputs["name"] == "research" and catalog.inputs["storageRoot"].endswith("/unity-catalog/")
    assert schema.inputs["name"] == "diabetes" and catalog.urn in schema.reads["catalogName"]


def test_named_principals_reach_the_predictions_and_the_pipeline_s_identity_does_not() -> None:
    settings = {"prediction_readers": ["analysts", "ann@example.com"], "prediction_writers": ["engineers"]}
    deployment = deploy(unity_catalog=json.dumps(settings))
    urls = {location.name: location.inputs["url"] for location in deployment.of("ExternalLocation")}
    root = "abfss://trainingdata@stdataopsdevtr.dfs.core.windows.net"
    granted = {
        grants.name: {grant["principal"]: grant["privileges"] for grant in grants.inputs["grants"]}
        for grants in deployment.of("Grants")
    }

    assert urls["catalog-scoring-out-location"] == f"{root}/scoring/out/"
    assert urls["catalog-scoring-tables-location"] == f"{root}/scoring/tables/"
    read, change = ["READ_FILES"], ["READ_FILES", "WRITE_FILES"]
    assert granted["catalog-scoring-out-location-grants"] == {
        "analysts": read, "ann@example.com": read, "engineers": read,
    }  # fmt: skip
    assert granted["catalog-scoring-tables-location-grants"] == {
        "analysts": read, "ann@example.com": read, "engineers": change,
    }  # fmt: skip


def test_readers_of_predictions_need_a_catalog() -> None:
    settings = {"enabled": False, "prediction_readers": ["analysts"]}
    with pytest.raises(SettingsError, match=r"unity_catalog\.prediction_readers.*needs unity_catalog\.enabled"):
        deploy(**WITHOUT_CATALOG | {"unity_catalog": json.dumps(settings)})


def test_the_credential_waits_for_the_connector_s_roles() -> None:
    deployment = deploy(unity_catalog='{"enabled": true}')
    roles = {
        assignment.urn
        for assignment in deployment.of("RoleAssignment")
        if assignment.name.endswith("-access-connector")
    }
    assert len(roles) == 2 and roles <= set(deployment.resource("StorageCredential").depends_on)


def test_stacks_of_a_region_share_a_metastore_and_neither_names_nor_workspaces() -> None:
    deployment = deploy(unity_catalog='{"enabled": true}')
    assert deployment.resource("Catalog").inputs["name"] == "dataops_dev", "a name of the stack's own"
    assert deployment.resource("Catalog").inputs["isolationMode"] == "ISOLATED"
    for kind in ("StorageCredential", "ExternalLocation"):
        for resource in deployment.of(kind):
            assert resource.inputs["isolationMode"] == "ISOLATION_MODE_ISOLATED"


def test_the_location_of_the_whole_container_is_deleted_first() -> None:
    """Locations must not overlap, and the catalog's data stay where they are."""
    deployment = deploy()
    locations = {location.name: location for location in deployment.of("ExternalLocation")}
    managed = locations.pop("catalog-location")
    assert managed.inputs["forceUpdate"] is True
    assert all(managed.urn in location.depends_on for location in locations.values())


def test_the_pipeline_s_identity_is_granted_its_privileges() -> None:
    deployment = deploy(unity_catalog='{"enabled": true}')
    client = deployment.resource("ServicePrincipal").inputs["applicationId"]
    granted = {}
    for grants in deployment.of("Grants"):
        ((securable, _),) = [(key, value) for key, value in grants.inputs.items() if key != "grants"]
        (grant,) = grants.inputs["grants"]
        assert grant["principal"] == client
        granted[grants.name if securable == "externalLocation" else securable] = set(grant["privileges"])
    assert granted == {
        "catalog-data-location-grants": {"READ_FILES"},
        "catalog-engineered-location-grants": {"READ_FILES", "WRITE_FILES"},
        "catalog-scoring-files-location-grants": {"READ_FILES"},
        "catalog": {"USE_CATALOG"},
        "schema": {"USE_SCHEMA", "SELECT", "MODIFY", "CREATE_TABLE"},
    }
