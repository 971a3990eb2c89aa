"""States that the vendor's databricks plugin wrote, and states that it would read.

The vendor's plugin is a bridge over the Terraform provider: its states hold the properties of the provider's schema,
and its inputs name the defaults that it filled in (pulumi-terraform-bridge, pkg/tfbridge/schema.go).
"""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from localcloud.plugins.databricks.schema import SCHEMA
from localcloud.testing.azure_session import unique
from localcloud.testing.plugin_process import Plain, Plugin, ResourceState

PRINCIPAL = "databricks:index/servicePrincipal:ServicePrincipal"
POOL = "databricks:index/instancePool:InstancePool"
DIRECTORY = "databricks:index/directory:Directory"
NO_CHANGE, SOME_CHANGE = 1, 2
"""DiffResponse.DIFF_NONE and DIFF_SOME."""
PRINCIPAL_DEFAULTS = {
    "active": True, "allowClusterCreate": False, "allowInstancePoolCreate": False, "databricksSqlAccess": False,
    "workspaceAccess": False, "workspaceConsume": False,
}  # fmt: skip
"""Defaults of the provider's schema (scim/scim.go, scim/resource_service_principal.go)."""


def by_the_vendor(state: ResourceState, inputs: Plain, defaults: Plain, **outputs: object) -> ResourceState:
    """Return the state that the vendor's plugin would have of a resource."""
    meta = {"__meta": '{"schema_version":"0"}'}
    return replace(
        state,
        outputs=inputs | defaults | {"id": state.id} | outputs | meta,
        inputs=inputs | defaults | {"__defaults": sorted(defaults)},
    )


@pytest.fixture
def principal() -> Plain:
    return {"applicationId": str(uuid.uuid4()), "displayName": "jobs"}


def test_a_principal_of_the_vendor_s_plugin_has_no_changes(databricks: Plugin, principal: Plain) -> None:
    resource = databricks.create(PRINCIPAL, principal)
    application = principal["applicationId"]
    state = by_the_vendor(
        resource, principal, PRINCIPAL_DEFAULTS, home=f"/Users/{application}", repos=f"/Repos/{application}",
        aclPrincipalId=f"servicePrincipals/{application}",
    )  # fmt: skip

    assert databricks.diff(PRINCIPAL, state, principal).changes == NO_CHANGE
    refreshed, read_inputs = databricks.read(PRINCIPAL, resource.id, state)
    assert read_inputs == principal and refreshed is not None
    assert databricks.diff(PRINCIPAL, refreshed, principal).changes == NO_CHANGE
    changed = databricks.diff(PRINCIPAL, state, {"applicationId": application, "allowClusterCreate": True})
    assert changed.changes == SOME_CHANGE
    assert sorted(changed.detailedDiff) == ["allowClusterCreate", "displayName"], (
        "what the program states, and it alone"
    )
    databricks.delete(PRINCIPAL, resource)


def test_defaults_inside_an_input_are_no_change(databricks: Plugin) -> None:
    attributes = {"availability": "ON_DEMAND_AZURE"}
    inputs = {
        "instancePoolName": unique("pool"), "nodeTypeId": "Standard_D4ds_v5", "idleInstanceAutoterminationMinutes": 10,
    }  # fmt: skip
    resource = databricks.create(POOL, inputs | {"azureAttributes": attributes})
    filled_in = attributes | {"spotBidMaxPrice": 0, "__defaults": ["spotBidMaxPrice"]}
    state = by_the_vendor(
        resource, inputs | {"azureAttributes": filled_in}, {"enableElasticDisk": True}, instancePoolId=resource.id
    )

    assert databricks.diff(POOL, state, inputs | {"azureAttributes": attributes}).changes == NO_CHANGE
    databricks.delete(POOL, resource)


def test_states_have_the_properties_of_the_vendor_s_schema(databricks: Plugin, principal: Plain) -> None:
    """Its bridge takes every other key of a state but __defaults and __meta for an attribute of the provider."""
    resource = databricks.create(PRINCIPAL, principal)
    unknown = SCHEMA.failures(PRINCIPAL, {key: value for key, value in resource.outputs.items() if value is not None})
    assert unknown == []
    assert resource.outputs.keys() >= PRINCIPAL_DEFAULTS.keys() | {"home", "repos", "aclPrincipalId"}
    assert {name: resource.outputs[name] for name in PRINCIPAL_DEFAULTS} == PRINCIPAL_DEFAULTS, (
        "nothing that was not set"
    )
    databricks.delete(PRINCIPAL, resource)
    folder = databricks.create(DIRECTORY, {"path": f"/Shared/{uuid.uuid4()}"})
    assert not [name for name in folder.outputs if name.startswith("__")]
    databricks.delete(DIRECTORY, folder)
