"""Tags and traffic of an endpoint during a rollout, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlops import online_endpoints
from mlops.clients import Clients
from mlops.errors import RemoteError
from mlops.invoke import Caller, InvocationError
from mlops.online_endpoints import Deployment, Endpoint
from mlops.specifications import TrainingPipeline
from steps.serving import Online
from steps.specification import Specification
from tests.unit.http_service import Request, Response, Service

PIPELINE = TrainingPipeline(
    "houses",
    Path("houses"),
    Specification.model_validate(
        {
            "description": "d", "model": "houses", "task": "regression", "target": "y", "notebook": "n",
            "data": "d.csv", "gate": {"metrics": [{"name": "rmse"}]}, "serve": "online",
        }
    ),
)  # fmt: skip


def _endpoint(*deployments: Deployment, uri: str = "https://nowhere/score", uses_keys: bool = False) -> Endpoint:
    return Endpoint("oep-houses", uri, uses_keys, {known.colour: known for known in deployments})


def _deployment(colour: str, traffic: int, *, print_: str = "", replaces: str = "") -> Deployment:
    return Deployment(colour, "1", print_, replaces, "Succeeded", traffic)


@pytest.mark.parametrize(
    ("deployments", "serving"),
    [
        ([], None),
        ([_deployment("blue", 0)], None),
        ([_deployment("blue", 100), _deployment("green", 0)], "blue"),
        ([_deployment("blue", 90, print_="1"), _deployment("green", 10, print_="2", replaces="1")], "blue"),
        ([_deployment("blue", 10, print_="1"), _deployment("green", 90, print_="2", replaces="1")], "blue"),
        ([_deployment("blue", 50, print_="3", replaces="2"), _deployment("green", 50, print_="2")], "green"),
        ([_deployment("blue", 30), _deployment("green", 70)], "green"),
    ],
)  # fmt: skip
def test_during_a_rollout_the_replaced_deployment_serves(deployments: list[Deployment], serving: str | None) -> None:
    answering = _endpoint(*deployments).serving

    assert (answering.colour if answering else None) == serving


def test_settings_and_version_tell_deployments_apart_and_steps_and_sign_in_do_not() -> None:
    now = online_endpoints.fingerprint("1", Online())

    assert now != online_endpoints.fingerprint("2", Online())
    assert now != online_endpoints.fingerprint("1", Online(instances=2))
    assert now == online_endpoints.fingerprint("1", Online(traffic_steps=(100,), auth="key"))
    assert len(now) == 16


class _Endpoint:
    """An endpoint with set answers, which records its requests."""

    def __init__(self, response: Response) -> None:
        self.requests: list[Request] = []
        self._response = response

    def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        return self._response


def _ask(response: Response, *, deployment: str | None = None, uses_keys: bool = False) -> tuple[Any, list[Request]]:
    answering = _Endpoint(response)
    keys = SimpleNamespace(get_keys=lambda name: SimpleNamespace(primary_key=f"key-of-{name}"))
    clients = SimpleNamespace(
        pipeline=PIPELINE,
        options="--stack dev --pipeline houses",
        credential=SimpleNamespace(get_token=lambda scope: SimpleNamespace(token=f"token-for-{scope}")),
        ml=SimpleNamespace(online_endpoints=keys),
    )
    with Service(answering) as service:
        caller = Caller(cast(Clients, clients), _endpoint(uri=f"{service.url}/score", uses_keys=uses_keys))
        return caller.ask({"input_data": [[1]]}, deployment), answering.requests


def test_a_request_is_signed_in_and_addressed() -> None:
    answer, (request,) = _ask(Response(200, "application/json", "[1.5]"), deployment="green")

    assert answer == [1.5]
    assert request.method == "POST" and request.path == "/score"
    assert request.headers["Authorization"] == "Bearer token-for-https://ml.azure.com/.default"
    assert request.headers["azureml-model-deployment"] == "green"
    assert json.loads(request.content) == {"input_data": [[1]]}


def test_without_a_deployment_the_traffic_decides_and_a_key_signs_in_where_the_endpoint_takes_one() -> None:
    _, (request,) = _ask(Response(200, "application/json", "[1.5]"), uses_keys=True)

    assert request.headers["Authorization"] == "Bearer key-of-oep-houses"
    assert request.headers["azureml-model-deployment"] is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (401, "401: oep-houses takes no request of yours: sign in, such as with `az login`, or get a role that allows"),
        (403, "403: You may not ask oep-houses: get a role that allows Microsoft.MachineLearningServices/workspaces/"),
        (
            404,
            "404: There is nothing that answers for the deployment blue of oep-houses: run `python -m mlops serve "
            "--stack dev --pipeline houses`",
        ),
        (408, "408: The model did not answer within 5 s: send fewer rows, or raise serve.online.request_timeout"),
        (424, "424: The model failed (500, KeyError): compare the request with the model's signature"),
        (429, "429: the deployment blue of oep-houses has more requests than it takes at a time: send again later"),
        (502, "502: the deployment blue of oep-houses failed."),
    ],
)
def test_a_refusal_is_one_line_with_a_remedy(status: int, message: str) -> None:
    headers = {"ms-azureml-model-error-statuscode": "500", "ms-azureml-model-error-reason": "KeyError"}
    refused = Response(status, "text/plain", "because\n of it", headers if status == 424 else {})

    with pytest.raises(InvocationError) as raised:
        _ask(refused, deployment="blue")

    assert raised.value.status == status
    assert str(raised.value).startswith(message), str(raised.value)
    assert str(raised.value).endswith("It answered: because of it") and "\n" not in str(raised.value)
    assert "token-for" not in str(raised.value)


def test_an_answer_that_is_no_json_is_an_error() -> None:
    with pytest.raises(RemoteError, match="The endpoint oep-houses answered with something else than JSON"):
        _ask(Response(200, "text/html", "<html>"))
