"""Online endpoints: for pipelines that serve online alone, with the least roles, and never updated by the stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.outputs import read_outputs
from declarations.training_pipelines import SpecificationError, online_pipelines
from infra.configuration import SettingsError
from tests.unit.infra.recorder import Deployment, deploy, deploy_serving
from tests.unit.infra.test_access import ALWAYS, DEPLOYER_S, granted
from tests.unit.infra.test_platform import NETWORKS

SERVING = "principal-of-id-dataops-dev-serving"
PIPELINES = {"diabetes": "entra", "house_prices": "key"}


@pytest.fixture
def serving() -> Deployment:
    return deploy_serving(PIPELINES)


def test_without_a_pipeline_that_serves_there_is_nothing_of_it() -> None:
    deployment = deploy()

    assert not deployment.of("OnlineEndpoint") and not deployment.of("Serving") and not deployment.of("ServingAccess")
    assert deployment.outputs["online_endpoints"] == {}
    assert granted(deployment) == ALWAYS | DEPLOYER_S


def test_each_pipeline_that_serves_has_an_endpoint_that_outputs_name(serving: Deployment) -> None:
    names = {endpoint.name: endpoint.inputs["endpointName"] for endpoint in serving.of("OnlineEndpoint")}

    assert set(names) == {"serving-endpoint-diabetes", "serving-endpoint-house_prices"}
    assert read_outputs(serving.outputs, "dev").online_endpoints == {
        "diabetes": names["serving-endpoint-diabetes"], "house_prices": names["serving-endpoint-house_prices"],
    }  # fmt: skip


def test_callers_sign_in_by_the_specification_s_way(serving: Deployment) -> None:
    modes = {endpoint.name: endpoint.inputs["properties"]["authMode"] for endpoint in serving.of("OnlineEndpoint")}

    assert modes == {"serving-endpoint-diabetes": "AADToken", "serving-endpoint-house_prices": "Key"}
    assert all("keys" not in endpoint.inputs["properties"] for endpoint in serving.of("OnlineEndpoint"))


def test_the_endpoint_s_identity_fetches_image_and_model_and_nothing_else(serving: Deployment) -> None:
    assert granted(serving) - ALWAYS - DEPLOYER_S == {
        (SERVING, "ACR_PULL", "Registry/acrdataopsdev"),
        (SERVING, "STORAGE_BLOB_DATA_READER", "StorageAccount/stdataopsdev"),
    }
    (identity,) = [identity for identity in serving.of("UserAssignedIdentity") if identity.name == "identities-serving"]
    assignments = {
        assignment.urn for assignment in serving.of("RoleAssignment") if assignment.inputs["principalId"] == SERVING
    }
    for endpoint in serving.of("OnlineEndpoint"):
        assert endpoint.inputs["identity"]["type"] == "UserAssigned"
        assert identity.urn in endpoint.reads["identity"]
        assert assignments <= set(endpoint.depends_on), "Azure ML looks for the roles when it deploys"


@pytest.mark.parametrize(
    ("profile", "access"), [("public", "Enabled"), ("restricted", "Enabled"), ("private", "Disabled")]
)
def test_the_network_profile_decides_whether_the_internet_reaches_it(profile: str, access: str) -> None:
    endpoint = deploy_serving({"diabetes": "entra"}, network=NETWORKS[profile]).resource("OnlineEndpoint")

    assert endpoint.inputs["properties"]["publicNetworkAccess"] == access


def test_no_update_of_the_stack_takes_the_traffic_away(serving: Deployment) -> None:
    """The provider's PUT has the program's inputs alone: every property that is not ignored makes another endpoint."""
    for endpoint in serving.of("OnlineEndpoint"):
        assert "traffic" not in endpoint.inputs["properties"]
        replaced = {name.removeprefix("properties.") for name in endpoint.replaced_on}
        ignored = {name.removeprefix("properties.") for name in endpoint.ignores}
        assert set(endpoint.inputs["properties"]) <= ignored | replaced
        assert {"tags", "identity", "traffic"} <= ignored
        assert endpoint.deleted_first, "the name is taken until the old one is gone"


def test_requests_and_containers_log_to_log_analytics(serving: Deployment) -> None:
    endpoints = {endpoint.urn for endpoint in serving.of("OnlineEndpoint")}
    settings = [setting for setting in serving.of("DiagnosticSetting") if set(setting.reads["resourceUri"]) & endpoints]

    assert len(settings) == len(endpoints)
    for setting in settings:
        assert [log["category"] for log in setting.inputs["logs"]] == [
            "AmlOnlineEndpointConsoleLog", "AmlOnlineEndpointTrafficLog", "AmlOnlineEndpointEventLog",
        ]  # fmt: skip
        assert setting.inputs["metrics"] == [{"category": "AllMetrics", "enabled": True}]


def _pipelines(folder: Path, **serve: Any) -> Path:
    for name, value in serve.items():
        (folder / name).mkdir()
        content = {"model": name} if value is None else {"model": name, "serve": value}
        (folder / name / "pipeline.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return folder


def test_the_specifications_name_serving_pipelines_and_their_way_to_sign_in(tmp_path: Path) -> None:
    folder = _pipelines(
        tmp_path, a="online", b=None, c={"online": {"auth": "key"}}, d={"online": None}, e={"online": {"instances": 2}}
    )

    assert online_pipelines(folder) == {"a": "entra", "c": "key", "d": "entra", "e": "entra"}


@pytest.mark.parametrize(
    "serve", ["onlin", ["online"], {"online": {"auth": "aml"}}, {"batch": {}}, {"online": 3}, True]
)
def test_a_specification_that_serves_otherwise_stops_the_stack(tmp_path: Path, serve: Any) -> None:
    with pytest.raises(
        SpecificationError, match=r"mlops/pipelines/a/pipeline\.yml: serve is .*: write `serve: online`"
    ):
        online_pipelines(_pipelines(tmp_path, a=serve))


CALLER, ROLE = "66666666-7777-8888-9999-000000000000", "11111111-2222-3333-4444-555555555555"


def test_callers_get_the_organisation_s_role_on_the_endpoints_alone() -> None:
    settings = {"caller_role": ROLE, "callers": [{"object_id": CALLER, "type": "Group"}]}
    deployment = deploy_serving(PIPELINES, serving=json.dumps(settings))

    assigned = [
        assignment for assignment in deployment.of("RoleAssignment") if assignment.inputs["principalId"] == CALLER
    ]
    assert {str(assignment.inputs["scope"]).rpartition("/")[2] for assignment in assigned} == {
        endpoint.inputs["endpointName"] for endpoint in deployment.of("OnlineEndpoint")
    }
    for assignment in assigned:
        assert str(assignment.inputs["roleDefinitionId"]).endswith(f"/roleDefinitions/{ROLE}")
        assert assignment.inputs["principalType"] == "Group"
    assert len({assignment.inputs["roleAssignmentName"] for assignment in assigned}) == len(assigned) == len(PIPELINES)


def test_callers_without_a_role_are_refused() -> None:
    settings = {"callers": [{"object_id": CALLER, "type": "Group"}]}

    with pytest.raises(SettingsError, match=r"serving\.callers = .*: needs serving\.caller_role, the id of the role"):
        deploy_serving(PIPELINES, serving=json.dumps(settings))
