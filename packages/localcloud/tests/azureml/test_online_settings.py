"""Deployments that are refused before anything runs: sizes, quota, request settings, probes, missing operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from azure.ai.ml.entities import ManagedOnlineEndpoint
from localcloud.azureml.online import instance_types
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]


@pytest.fixture(scope="module")
def endpoint(ml: MlWorkspace) -> Iterator[str]:
    name = unique("oep")
    ml.client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name)).result()
    yield name
    ml.client.online_endpoints.begin_delete(name).result()


def _put(ml: MlWorkspace, endpoint: str, capacity: Any = 1, **properties: Any) -> requests.Response:
    body: Json = {
        "location": "westeurope", "sku": {"name": "Default", "capacity": capacity},
        "properties": {
            "endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2",
            "model": f"{ml.id}/models/none/versions/1",
        } | properties,
    }  # fmt: skip
    return ml.azure.arm("PUT", f"{ml.id}/onlineEndpoints/{endpoint}/deployments/blue", ML, body)


@pytest.mark.parametrize(
    ("properties", "code", "expected"),
    [
        ({"instanceType": "Standard_Huge"}, "BadArgument", "'Standard_Huge'"),
        ({"requestSettings": {"requestTimeout": "PT181S"}}, "BadArgument", "'PT181S'"),
        ({"requestSettings": {"requestTimeout": "5000"}}, "BadArgument", "'5000'"),
        ({"requestSettings": {"requestTimeout": 5}}, "BadArgument", "requestSettings.requestTimeout 5"),
        ({"requestSettings": {"maxConcurrentRequestsPerInstance": 0}}, "BadArgument", "maxConcurrentRequests"),
        ({"livenessProbe": {"initialDelay": "PT0S"}}, "BadArgument", "livenessProbe.initialDelay 'PT0S'"),
        ({"livenessProbe": {"successThreshold": 2}}, "BadArgument", "livenessProbe.successThreshold 2"),
        ({"readinessProbe": {"failureThreshold": 0}}, "BadArgument", "readinessProbe.failureThreshold 0"),
        ({"scaleSettings": {"scaleType": "TargetUtilization"}}, "BadArgument", "'TargetUtilization'"),
        ({"model": None}, "BadArgument", "has no model"),
        ({"codeConfiguration": {"scoringScript": "score.py"}}, "BadArgument", "codeId and scoringScript"),
        ({"codeConfiguration": {"codeId": "c", "scoringScript": "s.py"}}, "BadArgument", "needs an environment"),
        ({"environmentVariables": {"A": 1}}, "BadArgument", "'A'"),
    ],
)
def test_settings_that_no_deployment_can_have_are_refused(
    ml: MlWorkspace, endpoint: str, properties: Json, code: str, expected: str
) -> None:
    status, actual, message = error_of(_put(ml, endpoint, **properties))
    assert (status, actual) == (400, code)
    assert expected in message


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"endpointComputeType": "Kubernetes"}, "endpointComputeType 'Kubernetes'"),
        ({"egressPublicNetworkAccess": "Disabled"}, "egressPublicNetworkAccess"),
        ({"dataCollector": {"collections": {"model_inputs": {"dataCollectionMode": "Enabled"}}}}, "dataCollector"),
        ({"modelMountPath": "/model"}, "modelMountPath"),
        ({"environmentVariables": {"A": "${{azureml://connections/c/credentials/k}}"}}, "secret injection"),
    ],
)
def test_an_unsupported_setting_is_named(ml: MlWorkspace, endpoint: str, properties: Json, expected: str) -> None:
    status, code, message = error_of(_put(ml, endpoint, **properties))
    assert (status, code) == (501, "NotImplemented")
    assert expected in message


@pytest.mark.parametrize("capacity", [0, 51, "2", True])
def test_a_number_of_instances_that_no_deployment_can_have_is_refused(
    ml: MlWorkspace, endpoint: str, capacity: Any
) -> None:
    status, code, message = error_of(_put(ml, endpoint, capacity))
    assert (status, code) == (400, "BadArgument")
    assert repr(capacity) in message


def test_instances_beyond_the_quota_are_refused_with_the_reserve_for_upgrades(ml: MlWorkspace, endpoint: str) -> None:
    status, code, message = error_of(_put(ml, endpoint, 21))
    assert (status, code) == (400, "OutOfQuota")
    assert "Current usage/limit: 0/100. Additional needed: 104" in message, "ceil(1.2 * 21) * 4"


@pytest.mark.parametrize(
    ("size", "instances", "cores"), [("STANDARD_DS3_V2", 10, 48), ("Standard_F4s_v2", 5, 24), ("Standard_DS3_v2", 1, 8)]
)
def test_a_deployment_takes_cores_for_a_fifth_more_instances(size: str, instances: int, cores: int) -> None:
    assert instance_types.find(size).needed(instances) == cores


def test_a_size_without_the_reserve_takes_its_cores_alone() -> None:
    assert instance_types.find("Standard_NC24ads_A100_v4").needed(2) == 48


def test_a_model_that_does_not_exist_fails_the_deployment(ml: MlWorkspace, endpoint: str) -> None:
    answer = _put(ml, endpoint)
    assert answer.status_code == 201
    poll = answer.headers["Azure-AsyncOperation"]
    token = {"Authorization": f"Bearer {ml.token('https://management.azure.com')}"}
    status: Json = {}
    while status.get("status") not in {"Succeeded", "Failed"}:
        status = requests.get(poll, headers=token, timeout=60).json()
    assert status["error"]["code"] == "NotFound"
    assert "models/none/versions/1" in status["error"]["message"]
    deployment = ml.azure.arm("GET", f"{ml.id}/onlineEndpoints/{endpoint}/deployments/blue", ML).json()
    assert deployment["properties"]["provisioningState"] == "Failed"
    ml.client.online_deployments.begin_delete("blue", endpoint).result()
