"""Computes by azure-ai-ml."""

from __future__ import annotations

from typing import Any

import pytest
from azure.ai.ml.entities import AmlCompute
from localcloud.testing.azure_session import error_of
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]


def _put(ml: MlWorkspace, name: str, **inner: Any) -> tuple[int, str, str]:
    properties = {"vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1}} | inner
    body: Json = {"location": "westeurope", "properties": {"computeType": "AmlCompute", "properties": properties}}
    return error_of(ml.azure.arm("PUT", f"{ml.id}/computes/{name}", ML, body))


def test_a_cluster_is_made_scaled_listed_and_deleted(ml: MlWorkspace) -> None:
    created = ml.client.compute.begin_create_or_update(
        AmlCompute(
            name="life", size="Standard_DS3_v2", min_instances=0, max_instances=2, idle_time_before_scale_down=300
        )
    ).result()
    assert (created.provisioning_state, created.size) == ("Succeeded", "STANDARD_DS3_V2")
    created.max_instances = 4
    ml.client.compute.begin_update(created).result()
    cluster = ml.client.compute.get("life")
    assert (cluster.max_instances, cluster.idle_time_before_scale_down) == (4, 300)
    assert {"life", ml.compute} <= {compute.name for compute in ml.client.compute.list()}
    assert list(ml.client.compute.list_nodes("life")) == []
    ml.client.compute.begin_delete("life").wait()
    assert ml.azure.arm("GET", f"{ml.id}/computes/life", ML).status_code == 404


def test_the_identity_of_a_cluster_is_shown_with_its_client_id(ml: MlWorkspace) -> None:
    identities = ml.azure.arm("GET", f"{ml.id}/computes/{ml.compute}", ML).json()["identity"]["userAssignedIdentities"]
    assert [identity["clientId"] for identity in identities.values()] == [ml.identity["clientId"]]


@pytest.mark.parametrize(
    ("inner", "named"),
    [
        ({"vmSize": "huge"}, "'huge'"),
        ({"scaleSettings": {"minNodeCount": 3, "maxNodeCount": 2}}, "minNodeCount is 3"),
        ({"scaleSettings": {"minNodeCount": 0}}, "maxNodeCount None"),
        ({"scaleSettings": {"maxNodeCount": 1, "nodeIdleTimeBeforeScaleDown": "5 minutes"}}, "'5 minutes'"),
        ({"vmPriority": "Whenever"}, "'Whenever'"),
    ],
)
def test_an_invalid_cluster_is_refused(ml: MlWorkspace, inner: Json, named: str) -> None:
    status, code, message = _put(ml, "bad", **inner)
    assert (status, code) == (400, "UserError")
    assert named in message


@pytest.mark.parametrize("name", ["1st", "a", "seventeen-letters", "a_b"])
def test_an_invalid_cluster_name_is_refused(ml: MlWorkspace, name: str) -> None:
    status, code, message = _put(ml, name)
    assert (status, code) == (400, "UserError")
    assert f"'{name}'" in message


def test_the_size_of_a_cluster_never_changes(ml: MlWorkspace) -> None:
    status, code, message = _put(ml, ml.compute, vmSize="STANDARD_DS4_V2")
    assert (status, code) == (400, "BadArgument")
    assert "vmSize" in message


def test_other_kinds_of_compute_answer_501(ml: MlWorkspace) -> None:
    body = {"location": "westeurope", "properties": {"computeType": "Kubernetes", "properties": {}}}
    status, code, message = error_of(ml.azure.arm("PUT", f"{ml.id}/computes/k8s", ML, body))
    assert (status, code) == (501, "NotImplemented")
    assert "'Kubernetes'" in message


def test_sizes_and_usage_of_a_region_are_listed(ml: MlWorkspace) -> None:
    sizes = {size.name: size for size in ml.client.compute.list_sizes(location="westeurope")}
    assert sizes["Standard_DS3_v2"].family == "standardDSv2Family"
    usages = [vars(usage) for usage in ml.client.compute.list_usage(location="westeurope")]
    assert usages
    assert all(0 <= usage["currentValue"] <= usage["limit"] for usage in usages)


def test_the_administrator_s_password_is_never_shown(ml: MlWorkspace) -> None:
    admin = {"adminUserName": "azureuser", "adminUserPassword": "hush", "adminUserSshPublicKey": "ssh-rsa hush"}
    inner = {
        "vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": 1},
        "userAccountCredentials": admin,
    }  # fmt: skip
    path = f"{ml.id}/computes/admin"
    compute = ml.azure.put(
        path, ML, {"location": "westeurope", "properties": {"computeType": "AmlCompute", "properties": inner}}
    )
    assert compute["properties"]["properties"]["userAccountCredentials"] == {"adminUserName": "azureuser"}
    ml.azure.finish(ml.azure.arm("DELETE", path, ML, underlyingResourceAction="Delete"))
