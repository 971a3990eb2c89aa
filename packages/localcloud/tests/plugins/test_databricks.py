"""The databricks provider against a workspace that ARM made."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.plugins.values import UNKNOWN, Secret
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.plugin_process import Plain, Plugin, Refused, ResourceState

POOL = "databricks:index/instancePool:InstancePool"
POLICY = "databricks:index/clusterPolicy:ClusterPolicy"
PRINCIPAL = "databricks:index/servicePrincipal:ServicePrincipal"
PERMISSIONS = "databricks:index/permissions:Permissions"
DIRECTORY = "databricks:index/directory:Directory"
FILE = "databricks:index/workspaceFile:WorkspaceFile"
NOTEBOOK = "databricks:index/notebook:Notebook"
SCOPE = "databricks:index/secretScope:SecretScope"
SECRET = "databricks:index/secret:Secret"
JOB = "databricks:index/job:Job"
RUNTIME = "17.3.x-scala2.13"


def pool_inputs(**more: object) -> Plain:
    return {
        "instancePoolName": unique("pool"), "nodeTypeId": "Standard_D4ds_v5", "minIdleInstances": 0,
        "idleInstanceAutoterminationMinutes": 10, "preloadedSparkVersions": [RUNTIME], "maxCapacity": 4,
        "azureAttributes": {"availability": "ON_DEMAND_AZURE"}, "customTags": {"CostCenter": "a_b"}, **more,
    }  # fmt: skip


@pytest.fixture
def pool(databricks: Plugin) -> Iterator[tuple[ResourceState, Plain]]:
    inputs = pool_inputs()
    pool = databricks.create(POOL, inputs)
    yield pool, inputs
    databricks.delete(POOL, pool)


def test_a_pool_is_made_changed_and_read_without_a_difference(
    databricks: Plugin, pool: tuple[ResourceState, Plain]
) -> None:
    resource, inputs = pool

    refreshed, read_inputs = databricks.read(POOL, resource.id, resource)
    changed = databricks.update(POOL, resource, inputs | {"maxCapacity": 6})

    assert read_inputs == inputs and refreshed is not None
    assert databricks.diff(POOL, refreshed, inputs).changes == 1, "DIFF_NONE"
    assert changed.outputs["maxCapacity"] == 6
    assert changed.outputs["customTags"]["CostCenter"] == "a_b", "tags keep their own names"


def test_a_pool_s_node_type_cannot_change(databricks: Plugin, pool: tuple[ResourceState, Plain]) -> None:
    resource, inputs = pool

    difference = databricks.diff(POOL, resource, inputs | {"nodeTypeId": "Standard_D8ds_v5"})

    assert list(difference.replaces) == ["nodeTypeId"] and difference.deleteBeforeReplace


def test_a_name_that_is_taken_is_refused_unless_a_killed_run_left_the_same_behind(
    databricks: Plugin, pool: tuple[ResourceState, Plain]
) -> None:
    resource, inputs = pool

    assert databricks.create(POOL, inputs).id == resource.id
    with pytest.raises(Refused, match=inputs["instancePoolName"]):
        databricks.create(POOL, inputs | {"maxCapacity": 9})


def test_drift_of_a_pool_shows(databricks: Plugin, pool: tuple[ResourceState, Plain]) -> None:
    resource, inputs = pool
    databricks.update(POOL, resource, inputs | {"idleInstanceAutoterminationMinutes": 45})

    _, read_inputs = databricks.read(POOL, resource.id, resource)

    assert read_inputs == inputs | {"idleInstanceAutoterminationMinutes": 45}


def test_a_deleted_resource_reads_as_missing_and_deletes_without_error(databricks: Plugin) -> None:
    resource = databricks.create(POOL, pool_inputs())
    databricks.delete(POOL, resource)

    assert databricks.read(POOL, resource.id, resource) == (None, {})
    databricks.delete(POOL, resource)


def test_the_service_s_refusals_are_reported_with_their_code(databricks: Plugin) -> None:
    with pytest.raises(Refused, match=r"^INVALID_PARAMETER_VALUE: "):
        databricks.create(POOL, pool_inputs(nodeTypeId="Standard_Nonsense"))


def test_required_inputs_are_named(databricks: Plugin) -> None:
    _, failures = databricks.check(POOL, {"nodeTypeId": "Standard_D4ds_v5"})

    assert [name for name, _ in failures] == ["instancePoolName", "idleInstanceAutoterminationMinutes"]


def test_a_pool_has_no_fallback_from_spot_to_on_demand(databricks: Plugin) -> None:
    """The message is the vendor's plugin's; clusters have that availability, pools do not."""
    _, failures = databricks.check(POOL, pool_inputs(azureAttributes={"availability": "SPOT_WITH_FALLBACK_AZURE"}))
    assert failures == [
        (
            "azureAttributes.availability",
            'expected azureAttributes.availability to be one of ["SPOT_AZURE" "ON_DEMAND_AZURE"], got'
            " SPOT_WITH_FALLBACK_AZURE",
        )
    ]
    for availability in ("SPOT_AZURE", "ON_DEMAND_AZURE", UNKNOWN):
        _, failures = databricks.check(POOL, pool_inputs(azureAttributes={"availability": availability}))
        assert failures == []


def test_a_preview_needs_no_workspace(azure: AzureSession) -> None:
    unconfigured = Plugin("databricks", dict(os.environ))
    unconfigured.configure(host=UNKNOWN, azureWorkspaceResourceId=UNKNOWN)

    checked, failures = unconfigured.check(POLICY, {"name": "p", "definition": UNKNOWN})
    resource = unconfigured.create(POLICY, checked, preview=True)

    assert failures == [] and resource.id == ""
    assert resource.outputs["definition"] is UNKNOWN
    assert unconfigured.stop() == ""


def test_a_policy_has_permissions_for_a_service_principal(databricks: Plugin) -> None:
    application = "11111111-2222-3333-4444-555555555555"
    definition = json.dumps({"spark_version": {"type": "fixed", "value": RUNTIME}})
    policy = databricks.create(POLICY, {"name": unique("policy"), "definition": definition})
    principal = databricks.create(PRINCIPAL, {"applicationId": application, "displayName": "jobs"})
    controls = [{"servicePrincipalName": application, "permissionLevel": "CAN_USE"}]
    inputs = {"clusterPolicyId": policy.id, "accessControls": controls}

    resource = databricks.create(PERMISSIONS, inputs)
    _, read_inputs = databricks.read(PERMISSIONS, resource.id, resource)

    assert resource.id == f"/cluster-policies/{policy.id}"
    assert read_inputs == inputs
    databricks.delete(PERMISSIONS, resource)
    _, without = databricks.read(PERMISSIONS, resource.id, resource)
    assert without["accessControls"] == []
    databricks.delete(PRINCIPAL, principal)
    databricks.delete(POLICY, policy)


def test_files_follow_their_content(databricks: Plugin, tmp_path: Path) -> None:
    source = tmp_path / "lib.py"
    source.write_text("ONE = 1\n")
    inputs = {"path": "/Shared/plugins/lib.py", "source": str(source)}
    first, _ = databricks.check(FILE, inputs)
    resource = databricks.create(FILE, first)
    source.write_text("ONE = 2\n")

    second, _ = databricks.check(FILE, inputs, old=first)
    difference = databricks.diff(FILE, resource, second)

    assert list(difference.detailedDiff) == ["md5"] and not difference.replaces
    databricks.update(FILE, resource, second)
    databricks.delete(FILE, resource)
    assert databricks.read(FILE, resource.id, resource)[0] is None


def test_a_missing_source_is_named_before_anything_is_made(databricks: Plugin, tmp_path: Path) -> None:
    missing = tmp_path / "none.py"

    with pytest.raises(Refused, match=rf"source '{missing}' cannot be read: No such file"):
        databricks.check(NOTEBOOK, {"path": "/Shared/n", "source": str(missing)})


def test_a_notebook_is_imported_without_its_folder(databricks: Plugin) -> None:
    content = base64.b64encode(b"# Databricks notebook source\nprint(1)\n").decode()
    inputs, _ = databricks.check(
        NOTEBOOK, {"path": "/Shared/plugins/new/n", "contentBase64": content, "language": "PYTHON"}
    )
    resource = databricks.create(NOTEBOOK, inputs)

    state, imported = databricks.read(NOTEBOOK, resource.id)

    assert state is not None and imported == {"path": "/Shared/plugins/new/n", "language": "PYTHON"}
    folder = databricks.create(DIRECTORY, {"path": "/Shared/plugins/new", "deleteRecursive": True})
    databricks.delete(DIRECTORY, folder)
    assert databricks.read(NOTEBOOK, resource.id, resource)[0] is None


def test_secrets_remain_secret(databricks: Plugin) -> None:
    scope = databricks.create(SCOPE, {"name": unique("scope")})
    inputs = {"scope": scope.id, "key": "k", "stringValue": Secret("hush")}

    resource = databricks.create(SECRET, inputs)
    refreshed, read_inputs = databricks.read(SECRET, resource.id, resource)

    assert resource.outputs["stringValue"] == Secret("hush")
    assert resource.outputs["configReference"] == f"{{{{secrets/{scope.id}/k}}}}"
    assert read_inputs == inputs and refreshed is not None and refreshed.outputs["stringValue"] == Secret("hush")
    databricks.delete(SECRET, resource)
    assert databricks.read(SECRET, resource.id, resource)[0] is None
    databricks.delete(SCOPE, scope)


def test_a_job_keeps_its_tasks_and_their_order(databricks: Plugin, pool: tuple[ResourceState, Plain]) -> None:
    cluster = {"sparkVersion": RUNTIME, "numWorkers": 1, "instancePoolId": pool[0].id}
    task = {
        "taskKey": "one", "newCluster": cluster,
        "notebookTask": {"notebookPath": "/Shared/n", "baseParameters": {"in_putPath": "x"}},
    }  # fmt: skip
    inputs = {
        "name": unique("job"),
        "tasks": [task, task | {"taskKey": "two", "dependsOns": [{"taskKey": "one"}]}],
    }

    resource = databricks.create(JOB, inputs)
    refreshed, read_inputs = databricks.read(JOB, resource.id, resource)

    assert read_inputs == inputs and refreshed is not None
    assert resource.outputs["tasks"][1]["dependsOns"] == [{"taskKey": "one"}]
    assert resource.outputs["tasks"][0]["notebookTask"]["baseParameters"] == {"in_putPath": "x"}
    databricks.delete(JOB, resource)
    assert databricks.read(JOB, resource.id, resource)[0] is None


def test_runtimes_and_node_types_can_be_queried(databricks: Plugin) -> None:
    index = "databricks:index"

    version = databricks.invoke(f"{index}/getSparkVersion:getSparkVersion", longTermSupport=True)
    node = databricks.invoke(f"{index}/getNodeType:getNodeType", minCores=8, minMemoryGb=32)

    assert version["id"] == RUNTIME
    assert node["id"].startswith("Standard_")
    with pytest.raises(Refused, match="getSparkVersion with "):
        databricks.invoke(f"{index}/getSparkVersion:getSparkVersion", sparkVersion="1.6.0")


def test_programs_can_read_the_sign_in(databricks: Plugin) -> None:
    me = databricks.invoke("databricks:index/getCurrentUser:getCurrentUser")

    assert me["userName"] and me["home"] == f"/Users/{me['userName']}"
    assert me["workspaceUrl"].startswith("https://adb-")


def test_an_operation_that_the_workspace_lacks_is_reported_with_its_message(databricks: Plugin) -> None:
    grants = [{"principal": "account users", "privileges": ["SELECT"]}]
    with pytest.raises(Refused, match=r"^NOT_IMPLEMENTED: .*Unity Catalog's privileges on a share"):
        databricks.create("databricks:index/grants:Grants", {"share": "models", "grants": grants})


def test_unknown_types_are_refused_by_name(databricks: Plugin) -> None:
    with pytest.raises(Refused, match="'databricks:index/pipeline:Pipeline' is not in this provider's table"):
        databricks.check("databricks:index/pipeline:Pipeline", {})


def test_a_plugin_can_be_stopped_at_once_after_a_refusal() -> None:
    """The refusal has arrived, and so nothing is under way that an interrupt would have to wait for."""
    for _ in range(6):
        plugin = Plugin("databricks", dict(os.environ))
        with pytest.raises(Refused):
            plugin.check("databricks:index/pipeline:Pipeline", {})
        assert plugin.stop() == ""


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        (
            POOL,
            {"azureAttributes": {"availability": "SPOT_WITH_FALLBACK_AZURE"}},
            "azureAttributes.availability",
            'expected azureAttributes.availability to be one of ["SPOT_AZURE" "ON_DEMAND_AZURE"], got'
            " SPOT_WITH_FALLBACK_AZURE",
        ),
        (
            POOL,
            {"gcpAttributes": {"localSsdCount": 1}},
            "azureAttributes",
            'Conflicting configuration arguments: "azureAttributes": conflicts with gcpAttributes',
        ),
        (POOL, {"maxCapacity": "many"}, "maxCapacity", "'maxCapacity' should be of type 'integer' but got 'string'"),
        (
            POLICY,
            {"name": "p", "definition": "{}", "policyFamilyId": "job-cluster"},
            "definition",
            'Conflicting configuration arguments: "definition": conflicts with policyFamilyId',
        ),
        (
            PERMISSIONS,
            {"clusterPolicyId": "p", "accessControls": [{"groupName": "a", "permissionLevel": "CAN_MANAGE"}]},
            "accessControls[0].permissionLevel",
            "permission_level CAN_MANAGE is not supported with clusterPolicyId objects; allowed levels: CAN_USE",
        ),
        (
            PERMISSIONS,
            {"instancePoolId": "p", "accessControls": [{"groupName": "admins", "permissionLevel": "CAN_MANAGE"}]},
            "accessControls[0].groupName",
            "it is not possible to modify admin permissions for instancePoolId resources",
        ),
        (
            PERMISSIONS,
            {"instancePoolId": "p", "accessControls": []},
            "accessControls",
            "Attribute accessControls requires 1 item minimum, but config has only 0 declared.",
        ),
        (
            SCOPE,
            {"name": "not allowed"},
            "name",
            "invalid value for name (Must consist of alphanumeric characters, dashes, underscores, and periods, and may"
            " not exceed 128 characters.)",
        ),
        (
            SECRET,
            {"scope": "a", "key": "b", "stringValue": ""},
            "stringValue",
            'expected "stringValue" to not be an empty string',
        ),
        (
            NOTEBOOK,
            {"path": "/a", "language": "JULIA", "contentBase64": "YQ=="},
            "language",
            'expected language to be one of ["SCALA" "PYTHON" "R" "SQL"], got JULIA',
        ),
        (
            NOTEBOOK,
            {"path": "/a", "contentBase64": "YQ=="},
            "contentBase64",
            'Missing required argument: "contentBase64": all of `contentBase64,language` must be specified',
        ),
        (FILE, {"path": "/a//b", "contentBase64": "YQ=="}, "path", "Clean path required: replace value with /a/b"),
        (DIRECTORY, {"path": "/a", "recursive": True}, "recursive", "unknown property 'recursive'"),
    ],
)
def test_a_value_that_the_vendor_s_provider_refuses_is_refused_before_any_request(
    databricks: Plugin, token: str, inputs: Plain, path: str, reason: str
) -> None:
    complete = pool_inputs() if token == POOL else {}

    _, refused = databricks.check(token, complete | inputs)

    ((where, message),) = refused
    assert where == path
    assert message.startswith(reason)


def test_unknown_values_in_a_preview_are_not_refused(databricks: Plugin) -> None:
    inputs = {
        "instancePoolId": UNKNOWN,
        "accessControls": [{"servicePrincipalName": UNKNOWN, "permissionLevel": UNKNOWN}],
    }

    _, refused = databricks.check(PERMISSIONS, inputs)

    assert refused == []
