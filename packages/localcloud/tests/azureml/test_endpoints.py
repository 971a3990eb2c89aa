"""Batch endpoints, their deployments, and refusals of invocations."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from azure.ai.ml.entities import BatchEndpoint
from azure.core.exceptions import HttpResponseError
from localcloud.core.database import Database
from localcloud.entra.directory import Directory
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]


@pytest.fixture(scope="module")
def component(ml: MlWorkspace) -> str:
    """Return a pipeline component of one step, with a required and an optional input."""
    step = f"{ml.id}/components/{unique('step')}/versions/1"
    spec: Json = {
        "type": "command", "command": "echo ${{inputs.word}}", "environment": ml.environment,
        "inputs": {"word": {"type": "string"}}, "outputs": {},
    }  # fmt: skip
    ml.azure.put(step, ML, {"properties": {"componentSpec": spec}})
    whole = f"{ml.id}/components/{unique('pipe')}/versions/1"
    spec = {
        "type": "pipeline",
        "inputs": {"word": {"type": "string"}, "size": {"type": "integer", "optional": True}},
        "outputs": {},
        "jobs": {
            "say": {
                "type": "command", "componentId": step,
                "inputs": {"word": {"job_input_type": "literal", "value": "${{parent.inputs.word}}"}},
            }
        },
    }  # fmt: skip
    ml.azure.put(whole, ML, {"properties": {"componentSpec": spec}})
    return whole


def _deploy(ml: MlWorkspace, endpoint: str, name: str, component: str, **settings: str) -> Any:
    body = {
        "location": "westeurope",
        "properties": {
            "deploymentConfiguration": {
                "deploymentConfigurationType": "PipelineComponent",
                "componentId": {"assetId": component, "referenceType": "Id"},
                "settings": {"default_compute": ml.compute} | settings,
            }
        },
    }
    return ml.azure.arm("PUT", f"{ml.id}/batchEndpoints/{endpoint}/deployments/{name}", ML, body)


@pytest.fixture(scope="module")
def endpoint(ml: MlWorkspace, component: str) -> str:
    """Return the name of an endpoint with one deployment, `first`, which is the default."""
    name = unique("bep")
    ml.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)).result()
    ml.azure.finish(_deploy(ml, name, "first", component))
    return name


def _invoke(ml: MlWorkspace, endpoint: str, body: Json | None, **headers: str) -> requests.Response:
    url = ml.client.batch_endpoints.get(endpoint).scoring_uri
    headers = {"Authorization": f"Bearer {ml.token()}"} | headers
    return requests.post(url, data=json.dumps(body) if body is not None else "{", headers=headers, timeout=60)


def test_the_first_deployment_becomes_the_default(ml: MlWorkspace, endpoint: str) -> None:
    current = ml.client.batch_endpoints.get(endpoint)
    assert current.defaults.deployment_name == "first"
    assert current.scoring_uri == f"https://{endpoint}.westeurope.inference.ml.azure.com/jobs"
    assert [deployment.name for deployment in ml.client.batch_deployments.list(endpoint)] == ["first"]


def test_the_default_moves_only_to_an_existing_deployment(ml: MlWorkspace, endpoint: str, component: str) -> None:
    ml.azure.finish(_deploy(ml, endpoint, "second", component))
    current = ml.client.batch_endpoints.get(endpoint)
    current.defaults.deployment_name = "third"
    with pytest.raises(HttpResponseError, match="'third'"):
        ml.client.batch_endpoints.begin_create_or_update(current).result()
    current.defaults.deployment_name = "second"
    ml.client.batch_endpoints.begin_create_or_update(current).result()
    assert ml.client.batch_endpoints.get(endpoint).defaults.deployment_name == "second"
    current.defaults.deployment_name = "first"
    ml.client.batch_endpoints.begin_create_or_update(current).result()
    ml.client.batch_deployments.begin_delete("second", endpoint).result()
    assert [deployment.name for deployment in ml.client.batch_deployments.list(endpoint)] == ["first"]


@pytest.mark.parametrize("name", ["ab", "1abc", "a" * 33, "abc-"])
def test_an_invalid_endpoint_name_is_refused(ml: MlWorkspace, name: str) -> None:
    body = {"location": "westeurope", "properties": {"authMode": "AADToken"}}
    status, code, message = error_of(ml.azure.arm("PUT", f"{ml.id}/batchEndpoints/{name}", ML, body))
    assert (status, code) == (400, "UserError")
    assert f"'{name}'" in message


def test_batch_endpoints_accept_only_entra_tokens(ml: MlWorkspace, endpoint: str) -> None:
    body = {"location": "westeurope", "properties": {"authMode": "Key"}}
    answer = ml.azure.arm("PUT", f"{ml.id}/batchEndpoints/{unique('bep')}", ML, body)
    assert error_of(answer)[:2] == (400, "UserError")
    assert ml.azure.arm("POST", f"{ml.id}/batchEndpoints/{endpoint}/listKeys", ML).status_code == 400


def test_a_deployment_names_a_pipeline_component_and_compute_that_exist(
    ml: MlWorkspace, endpoint: str, component: str
) -> None:
    missing = component.replace("versions/1", "versions/2")
    assert error_of(_deploy(ml, endpoint, "bad", missing))[:2] == (404, "NotFound")
    status, _, message = error_of(_deploy(ml, endpoint, "bad", component, default_compute="nowhere"))
    assert status == 400
    assert "'nowhere'" in message


def test_invoking_makes_a_pipeline_job_of_the_default_deployment(ml: MlWorkspace, endpoint: str) -> None:
    body = {"properties": {"inputData": {"word": {"jobInputType": "Literal", "value": "hello"}}}}
    answer = _invoke(ml, endpoint, body)
    assert answer.status_code in {200, 201, 202}, answer.text
    job = ml.client.jobs.get(answer.json()["name"])
    assert job.type == "pipeline"
    assert job.properties["azureml.deploymentname"] == "first"
    assert ml.finished(job.name).status == "Completed"


def test_the_jobs_of_an_endpoint_and_of_its_deployments_are_listed(ml: MlWorkspace, endpoint: str) -> None:
    before = {job.name for job in ml.client.batch_endpoints.list_jobs(endpoint)}
    body = {"properties": {"inputData": {"word": {"jobInputType": "Literal", "value": "listed"}}}}
    job = _invoke(ml, endpoint, body).json()["name"]
    assert {listed.name for listed in ml.client.batch_endpoints.list_jobs(endpoint)} - before == {job}
    assert job in {listed.name for listed in ml.client.batch_deployments.list_jobs(endpoint, name="first")}
    path = f"{ml.id}/batchEndpoints/{endpoint}"
    assert ml.azure.arm("GET", f"{path}/deployments/other/jobs", ML).json()["value"] == []
    assert error_of(ml.azure.arm("GET", f"{path}x/jobs", ML))[0] == 404


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({}, "'word'"),
        (
            {"word": {"jobInputType": "Literal", "value": "x"}, "more": {"jobInputType": "Literal", "value": "1"}},
            "more",
        ),
    ],
)
def test_inputs_that_are_missing_or_unknown_are_refused(
    ml: MlWorkspace, endpoint: str, inputs: Json, named: str
) -> None:
    status, code, message = error_of(_invoke(ml, endpoint, {"properties": {"inputData": inputs}}))
    assert (status, code) == (400, "UserError")
    assert named in message


def test_an_unknown_deployment_endpoint_or_body_is_refused(ml: MlWorkspace, endpoint: str) -> None:
    answer = _invoke(ml, endpoint, {"properties": {}}, **{"azureml-model-deployment": "third"})
    assert error_of(answer)[0] == 404
    assert error_of(_invoke(ml, endpoint, None))[0] == 400
    url = "https://nothing.westeurope.inference.ml.azure.com/jobs"
    answer = requests.post(url, json={}, headers={"Authorization": f"Bearer {ml.token()}"}, timeout=60)
    assert error_of(answer)[0] == 404


def test_invoking_needs_a_token_for_azure_ml(ml: MlWorkspace, endpoint: str) -> None:
    wrong = f"Bearer {ml.token('https://storage.azure.com')}"
    assert _invoke(ml, endpoint, {"properties": {}}, Authorization=wrong).status_code == 401


def test_invoking_needs_a_role(ml: MlWorkspace, endpoint: str, cloud: Cloud) -> None:
    database = Database(cloud.settings.database)
    directory = Directory(database)
    identity = directory.by_object_id(ml.identity["principalId"])
    assert identity is not None
    token = directory.issue_token(identity, "https://ml.azure.com")
    database.close()
    answer = _invoke(ml, endpoint, {"properties": {}}, Authorization=f"Bearer {token}")
    status, code, message = error_of(answer)
    assert (status, code) == (403, "AuthorizationFailed")
    assert "batchEndpoints/jobs/write" in message
