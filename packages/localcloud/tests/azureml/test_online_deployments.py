"""Deployments that run: an MLflow model without a scoring script, served by Azure's own inference server."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml.constants._endpoint import EndpointInvokeFields
from azure.ai.ml.entities import ManagedOnlineEndpoint, OnlineRequestSettings
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.online_session import (
    FRAME,
    REQUEST,
    deployment,
    find_server,
    logs,
    register,
    save,
    score,
    serve,
    server_of,
)
from localcloud.testing.principals import session_as
from localcloud.testing.workspace_session import ML, MlWorkspace, wait_for
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]
_SLOW: Json = {"input_data": FRAME, "params": {"seconds": 4.0}}


@pytest.fixture(scope="module")
def model(ml: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the id of a registered model that adds two columns."""
    return register(ml, save(tmp_path_factory.mktemp("sum")))


@pytest.fixture(scope="module")
def other_model(ml: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the id of a model that adds 100 too."""
    return register(ml, save(tmp_path_factory.mktemp("other"), offset=100))


@pytest.fixture(scope="module")
def endpoint(ml: MlWorkspace, model: str) -> Iterator[str]:
    """Return an endpoint with keys and a deployment `blue` that has all of its traffic."""
    name = serve(ml, model)
    yield name
    ml.client.online_endpoints.begin_delete(name).result()


def test_azure_ai_ml_invokes_the_model(
    ml: MlWorkspace, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # azure-ai-ml writes the chosen deployment into this dictionary of the module, batch endpoints' too, and keeps it.
    monkeypatch.setattr(EndpointInvokeFields, "DEFAULT_HEADER", {"Content-Type": "application/json"})
    file = tmp_path / "request.json"
    file.write_text(json.dumps(REQUEST))
    answer = ml.client.online_endpoints.invoke(endpoint, request_file=str(file))
    chosen = ml.client.online_endpoints.invoke(endpoint, request_file=str(file), deployment_name="blue")
    assert json.loads(answer) == json.loads(chosen) == [3.0, 7.5]


def test_the_deployment_shows_its_settings_and_azure_s_defaults(ml: MlWorkspace, endpoint: str, model: str) -> None:
    blue = ml.client.online_deployments.get("blue", endpoint)
    assert (blue.provisioning_state, blue.instance_type, blue.instance_count) == ("Succeeded", "Standard_DS3_v2", 1)
    assert blue.model == model
    assert (blue.liveness_probe.initial_delay, blue.liveness_probe.failure_threshold) == (10, 30)
    assert blue.request_settings.request_timeout_ms == 60_000
    assert [deployment.name for deployment in ml.client.online_deployments.list(endpoint)] == ["blue"]
    assert ml.client.online_endpoints.get(endpoint).traffic == {"blue": 100}


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"input_data": {"columns": ["second", "first"], "data": [[1, 2]]}}, [3.0]),
        ({"input_data": {"columns": ["first", "second", "times"], "data": [[1, 2.5, 3], [1, 1, 2.0]]}}, [10.5, 4.0]),
        (REQUEST | {"params": {"seconds": 0.0}}, [3.0, 7.5]),
        (REQUEST | {"params": {"unknown": 1.0}}, [3.0, 7.5]),
    ],
)
def test_inputs_in_every_form_that_azure_takes(ml: MlWorkspace, endpoint: str, body: Json, answer: list[float]) -> None:
    response = score(ml, endpoint, body)
    assert (response.status_code, response.json()) == (200, answer)
    assert response.headers["azureml-model-deployment"] == "blue"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"input_data": {"columns": ["first"], "index": [0], "data": [[1.0]]}}, "400", "second"),
        ({"input_data": FRAME | {"data": [["x", 1.0]], "index": [0]}}, "400", "first"),
        ({"input_data": FRAME | {"data": [[1.0]], "index": [0]}}, "400", "Row 0"),
        ({"input_data": {"columns": ["first", "second", "times"], "data": [[1, 1, 1.5]]}}, "400", "'times'"),
        ({"input_data": {"first": [1.0, 2.0], "second": [1.0, 2.0]}}, "400", "'columns'"),
        ({"input_data": FRAME | {"index": [1]}}, "400", "'index'"),
        ({"input_data": "not json"}, "400", "'input_data'"),
        ({"input_data": 7}, "400", "'input_data'"),
        (REQUEST | {"params": {"seconds": "long"}}, "400", "seconds"),
        (REQUEST | {"params": [1]}, "400", "'params'"),
        ({"data": []}, "400", "'input_data'"),
        ([], "400", "JSON dictionary"),
    ],
)
def test_an_input_that_does_not_fit_the_signature_is_a_model_error_that_names_the_field(
    ml: MlWorkspace, endpoint: str, body: Any, status: str, message: str
) -> None:
    response = score(ml, endpoint, body)
    assert response.status_code == 424, response.text
    assert response.headers["ms-azureml-model-error-reason"] == "model_error"
    assert response.headers["ms-azureml-model-error-statuscode"] == status
    assert message in response.json()["message"]


def test_a_request_without_a_key_is_refused(ml: MlWorkspace, endpoint: str) -> None:
    for header, reason in (
        ("Bearer wrong", "key_auth_access_denied"), ("Basic abc", "key_auth_bad_header_forbidden"),
        ("", "key_auth_bad_header_forbidden"), (f"Bearer {ml.token()}", "key_auth_access_denied"),
    ):  # fmt: skip
        response = score(ml, endpoint, REQUEST, Authorization=header)
        assert (response.status_code, response.json()["error"]["message"]) == (401, reason)


def test_a_deployment_that_is_not_there_and_an_unknown_host_are_404(ml: MlWorkspace, endpoint: str) -> None:
    response = score(ml, endpoint, REQUEST, **{"azureml-model-deployment": "green"})
    assert response.status_code == 404
    assert "no deployment 'green'" in response.json()["error"]["message"]
    unknown = requests.post("https://nobody.westeurope.inference.ml.azure.com/score", json=REQUEST, timeout=60)
    assert unknown.status_code == 404
    assert score(ml, endpoint, REQUEST, path="other").status_code == 501


def test_requests_are_traced(ml: MlWorkspace, endpoint: str) -> None:
    response = score(ml, endpoint, REQUEST, **{"x-ms-client-request-id": "mine-" + "1" * 60, "x-request-id": "no-guid"})
    assert response.headers["x-ms-client-request-id"] == ("mine-" + "1" * 60)[:40]
    assert len(response.headers["x-request-id"]) == 36 and response.headers["x-ms-request-id"]


def test_the_swagger_document_describes_the_input(ml: MlWorkspace, endpoint: str) -> None:
    key = ml.client.online_endpoints.get_keys(endpoint).secondary_key
    url = ml.client.online_endpoints.get(endpoint).openapi_uri
    answer = requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=60)
    assert answer.status_code == 200
    assert "/score" in json.dumps(answer.json()["paths"]) and '"first"' in answer.text


def test_a_request_that_is_too_large_is_refused(ml: MlWorkspace, endpoint: str) -> None:
    response = score(ml, endpoint, {"input_data": "x" * (10 * 1024 * 1024)})
    assert response.status_code == 413
    assert "10485760 bytes" in response.json()["error"]["message"]


def test_logs_have_the_output_of_each_container(ml: MlWorkspace, endpoint: str) -> None:
    assert score(ml, endpoint, REQUEST).status_code == 200
    server = wait_for(lambda: logs(ml, endpoint), lambda text: "POST /score 200" in text)
    assert "UserContainerStart: Succeeded" in server
    assert "Azure ML Inferencing HTTP server" in server or "azmlinfsrv" in server
    storage = logs(ml, endpoint, container_type="storage-initializer")
    assert "model/MLmodel" in storage and "model/conda.yaml" in storage
    last = ml.client.online_deployments.get_logs("blue", endpoint, 3)
    assert len(last.split("Container logs:")[1].strip().splitlines()) == 3


@pytest.mark.nightly
def test_settings_change_without_a_new_server_and_bound_time_and_number_of_requests(
    ml: MlWorkspace, cloud: Cloud, endpoint: str, model: str
) -> None:
    def change(timeout_ms: int) -> None:
        limits = OnlineRequestSettings(request_timeout_ms=timeout_ms, max_concurrent_requests_per_instance=1)
        changed = deployment(endpoint, "blue", model, request_settings=limits)
        ml.client.online_deployments.begin_create_or_update(changed).result()

    before = server_of(cloud, endpoint).pid
    change(1000)
    try:
        response = score(ml, endpoint, _SLOW)
        assert (response.status_code, response.json()["error"]["code"]) == (408, "RequestTimeout")
        assert "1 s" in response.json()["error"]["message"]

        change(60_000)
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: score(ml, endpoint, _SLOW), range(4)))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused, "2 * max_concurrent_requests_per_instance * instance_count are taken"
        assert {answer.status_code for answer in answers} == {200, 429}
        assert refused[0].headers["ms-azureml-model-error-reason"] == "too_many_pending_request"
        assert refused[0].content == b""
        assert server_of(cloud, endpoint).pid == before
    finally:
        ml.client.online_deployments.begin_create_or_update(deployment(endpoint, "blue", model)).result()


@pytest.mark.nightly
def test_a_server_that_dies_is_started_again(ml: MlWorkspace, cloud: Cloud, endpoint: str) -> None:
    killed = server_of(cloud, endpoint)
    killed.send_signal(signal.SIGKILL)
    wait_for(lambda: find_server(cloud, endpoint), lambda process: process is not None and process.pid != killed.pid)
    wait_for(lambda: score(ml, endpoint, REQUEST).status_code, lambda status: status == 200)
    assert "The container ended with exit code -9" in logs(ml, endpoint)


def test_traffic_is_split_moved_mirrored_and_held(ml: MlWorkspace, endpoint: str, other_model: str) -> None:
    ml.client.online_deployments.begin_create_or_update(deployment(endpoint, "green", other_model)).result()
    current = ml.client.online_endpoints.get(endpoint)
    assert current.traffic == {"blue": 100, "green": 0}, "a new deployment gets no traffic by itself"
    assert score(ml, endpoint, REQUEST, **{"azureml-model-deployment": "green"}).json() == [103.0, 107.5]

    def moved(traffic: dict[str, int], mirror: dict[str, int] | None = None) -> None:
        current.traffic, current.mirror_traffic = traffic, mirror or {}
        ml.client.online_endpoints.begin_create_or_update(current).result()

    with pytest.raises(HttpResponseError, match="sums to 90"):
        moved({"blue": 50, "green": 40})
    with pytest.raises(HttpResponseError, match="at most 50 percent"):
        moved({"blue": 100}, {"green": 51})
    with pytest.raises(HttpResponseError, match="'blue' has live traffic"):
        moved({"blue": 100}, {"blue": 10})

    moved({"blue": 100}, {"green": 50})
    requests_before = logs(ml, endpoint, "green").count("POST /score")
    for _ in range(20):
        assert score(ml, endpoint, REQUEST).json() == [3.0, 7.5], "a mirrored request is answered by blue alone"
    wait_for(lambda: logs(ml, endpoint, "green").count("POST /score"), lambda number: number > requests_before)

    moved({"blue": 50, "green": 50})
    answers = [score(ml, endpoint, REQUEST).json()[0] for _ in range(40)]
    assert 5 < answers.count(3.0) < 35 and answers.count(3.0) + answers.count(103.0) == 40

    with pytest.raises(HttpResponseError, match="50 percent of the traffic"):
        ml.client.online_deployments.begin_delete("green", endpoint).result()
    moved({"blue": 100})
    ml.client.online_deployments.begin_delete("green", endpoint).result()
    assert ml.client.online_endpoints.get(endpoint).traffic == {"blue": 100}
    moved({"blue": 0})
    assert score(ml, endpoint, REQUEST).status_code == 404, "no deployment with positive weight"
    moved({"blue": 100})


def test_entra_tokens_need_the_role_to_score(ml: MlWorkspace, cloud: Cloud, model: str) -> None:
    name = serve(ml, model, auth_mode="aad_token")
    endpoint = ml.client.online_endpoints.get(name)

    def answer(token: str) -> requests.Response:
        return requests.post(
            endpoint.scoring_uri, json=REQUEST, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )

    assert answer(ml.token()).json() == [3.0, 7.5]
    wrong = answer(ml.token("https://management.azure.com"))
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "InvalidAuthenticationTokenAudience")
    caller = session_as(cloud, ml.identity["principalId"])
    token = caller.credential.get_token("https://ml.azure.com/.default").token
    refused = answer(token)
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "Unauthorized")
    assert "onlineEndpoints/score/action" in refused.json()["error"]["message"]
    ml.azure.assign(str(endpoint.id), "AzureML Data Scientist", ml.identity["principalId"])
    assert answer(token).json() == [3.0, 7.5]

    ml.client.online_endpoints.begin_delete(name).result()
    assert answer(token).status_code == 404, "the endpoint takes its deployments along"
    assert ml.azure.arm("GET", f"{ml.id}/onlineEndpoints/{name}/deployments/blue", ML).status_code == 404


def test_tokens_of_azure_ml_open_their_own_endpoint(ml: MlWorkspace, model: str) -> None:
    endpoints = [
        ml.client.online_endpoints.begin_create_or_update(
            ManagedOnlineEndpoint(name=unique("oep"), auth_mode="aml_token")
        ).result()
        for _ in range(2)
    ]
    tokens = [ml.client.online_endpoints.get_keys(endpoint.name).access_token for endpoint in endpoints]

    def status(token: str) -> int:
        return requests.post(
            endpoints[0].scoring_uri, json=REQUEST, headers={"Authorization": f"Bearer {token}"}, timeout=60
        ).status_code

    assert status(tokens[0]) == 404, "let in, and there is no deployment yet"
    assert (status(tokens[1]), status("abc")) == (401, 401)
    for endpoint in endpoints:
        ml.client.online_endpoints.begin_delete(endpoint.name).result()
