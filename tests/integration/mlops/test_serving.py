"""The version that serves at its online endpoint: colours, steps, failures, kills and the way back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from azure.ai.ml.entities import ManagedOnlineEndpoint, Model
from localcloud.testing.azure_session import AzureSession, unique
from sklearn.linear_model import LinearRegression
from typer.testing import CliRunner

from mlops import (
    asset_versions,
    cli,
    cli_serving,
    online_endpoints,
    promote,
    registered_models,
    remove,
    rollout,
    served_model,
    trial,
)
from mlops.clients import Clients
from mlops.errors import GateError, MissingError
from mlops.invoke import Caller
from mlops.promote import Promotion
from mlops.rollout import Served
from mlops.specifications import TrainingPipeline
from steps import training
from steps.serving import Online, Serve
from tests.integration.mlops.stacks import Stack, beside, make_stack, remove_stack

ROW = {"input_data": {"columns": ["a", "b"], "index": [0], "data": [[1.0, 0.0]]}}


@dataclass(frozen=True)
class Serving:
    """A stack whose pipeline serves online, with versions that answer their own number."""

    stack: Stack
    clients: Clients
    folder: Path

    def register(
        self,
        answer: float = 1.0,
        *,
        features: int = 2,
        packages: list[str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> str:
        """Register a model that answers `answer` for the row above; with other features it fails."""
        rows = pd.DataFrame([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], columns=["a", "b", "c"])
        model = LinearRegression(fit_intercept=False).fit(rows.iloc[:, :features], [answer, 0.0, 0.0])
        signed = rows[["a", "b"]]
        folder = self.folder / unique("model-")
        mlflow.sklearn.save_model(
            model, folder, signature=mlflow.models.infer_signature(signed, np.zeros(3)),
            input_example=training.typical_row(signed), pip_requirements=packages or training.requirements(),
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
        )  # fmt: skip
        path = asset_versions.with_unique_name(folder)
        upload = Model(name=self.clients.pipeline.model, path=str(path), type="mlflow_model", tags=tags)
        return str(self.clients.ml.models.create_or_update(upload).version)

    def serve(self, *, at_once: bool = False) -> tuple[Served, list[str]]:
        messages: list[str] = []
        return rollout.serve(self.clients, messages.append, at_once=at_once), messages

    def killed_at(self, text: str) -> None:
        """Serve, and be killed when the verb prints so."""

        def say(line: str) -> None:
            if text in line:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            rollout.serve(self.clients, say)

    def traffic(self) -> dict[str, int]:
        """Percentages by version."""
        deployments = online_endpoints.read(self.clients).deployments.values()
        return {deployment.version: deployment.traffic for deployment in deployments}

    def ask(self, colour: str | None = None) -> float:
        answer = Caller(self.clients, online_endpoints.read(self.clients)).ask(ROW, colour)
        return round(float(answer[0]), 6)


def serving(pipeline: TrainingPipeline, **settings: Any) -> TrainingPipeline:
    serve = Serve(online=Online.model_validate({"traffic_steps": (50, 100), "request_timeout": 30} | settings))
    return TrainingPipeline(pipeline.name, pipeline.folder, pipeline.specification.model_copy(update={"serve": serve}))


def with_endpoint(stack: Stack, folder: Path) -> Serving:
    """Give the stack's pipeline an online endpoint, as the stack's program does."""
    name = unique("oep-")
    endpoint = ManagedOnlineEndpoint(name=name, auth_mode="aad_token")
    stack.workspace.client.online_endpoints.begin_create_or_update(endpoint).result()
    outputs = stack.clients.outputs.model_copy(update={"online_endpoints": {stack.clients.pipeline.name: name}})
    return Serving(stack, Clients(outputs, serving(stack.clients.pipeline)), folder)


@pytest.fixture
def online(azure: AzureSession, tmp_path: Path) -> Iterator[Serving]:
    stack = make_stack(azure, "dev", None)
    yield with_endpoint(stack, tmp_path)
    remove_stack(stack)


def test_versions_change_colours_and_go_back_by_traffic_alone(online: Serving) -> None:
    with pytest.raises(MissingError, match="No version of diabetes serves on dev, so that there is nothing to deploy"):
        online.serve()
    first = online.register(1.0)
    assert online.serve()[0] == Served("blue", first)
    assert online.serve()[0] == Served("blue", first, unchanged=True), "it is told by tags"
    assert online.traffic() == {first: 100} and online.ask() == 1.0

    second = online.register(2.0)
    served, messages = online.serve()
    assert served == Served("green", second)
    assert [line for line in messages if "%" in line] == [
        "online: green gets 50 % of the requests", "online: green gets 100 % of the requests",
    ]  # fmt: skip
    assert online.traffic() == {first: 0, second: 100}
    assert online.ask() == 2.0 and online.ask("blue") == 1.0, "the old one stays to go back to"
    traffic = {model.version: model.online for model in registered_models.read(online.clients)}
    assert traffic == {first: {"blue": 0}, second: {"green": 100}}

    model = online.clients.ml.models.get(online.clients.pipeline.model, second)
    promote.tag(online.clients.ml, model, {promote.ROLLED_BACK: promote.stamp()})
    served, messages = online.serve(at_once=True)
    assert served == Served("blue", first) and not any("deploying" in line for line in messages)
    assert online.traffic() == {first: 100, second: 0} and online.ask() == 1.0


@pytest.mark.nightly
def test_a_version_that_fails_gets_no_requests_and_is_deleted(online: Serving) -> None:
    first = online.register(1.0)
    online.serve()
    online.register(features=3)

    with pytest.raises(GateError) as raised:
        online.serve()

    message = str(raised.value)
    assert message.startswith(
        "Version 2 of diabetes does not serve online: green was deleted, blue answers with version 1"
    )
    assert "424: The model failed" in message and "ValueError" in message.partition("The end of its log:")[2], message
    assert online.traffic() == {first: 100} and online.ask() == 1.0


@pytest.mark.nightly
def test_a_version_whose_environment_cannot_be_built_is_deleted_again(online: Serving) -> None:
    online.register(packages=["numpy==0.0.1"])

    with pytest.raises(
        GateError, match=r"(?s)Version 1 of diabetes .* blue was deleted, nothing answers\..*Image build"
    ):
        online.serve()

    assert online.traffic() == {}


@pytest.mark.nightly
def test_a_promotion_that_does_not_serve_is_taken_back(online: Serving) -> None:
    record = {"promoted_from": "staging:diabetes:1", "previous_deployment": promote.NONE, "deployment": "v-1"}
    first = online.register(1.0, tags=record | {"promoted_at": "2027-01-01T00:00:00Z"})
    trial.serve_promotion(online.clients, Promotion(first, "v-1", promote.NONE), print)
    second = online.register(features=3, tags=record | {"promoted_at": "2027-01-02T00:00:00Z"})

    with pytest.raises(
        GateError, match=f"Version {second} of diabetes was promoted and does not serve online, so that"
    ):
        trial.serve_promotion(online.clients, Promotion(second, "v-1", promote.NONE), print)

    assert online.traffic() == {first: 100} and online.ask() == 1.0
    assert online.serve()[0] == Served("blue", first, unchanged=True), "it is the version that serves again"


@pytest.mark.parametrize(
    "killed_at",
    ["deploying version", "gets 50 %", "gets 100 %", "to go back to"],
)
@pytest.mark.nightly
def test_a_killed_rollout_goes_on_and_loses_no_request(online: Serving, killed_at: str) -> None:
    online.register(1.0)
    online.serve()
    second = online.register(2.0)
    online.killed_at(killed_at)
    assert online.ask() in (1.0, 2.0), "somebody answers"

    assert online.serve()[0].version == second
    assert online.traffic() == {"1": 0, second: 100} and online.ask() == 2.0


@pytest.mark.nightly
def test_a_rollout_that_was_killed_makes_way_for_another_version(online: Serving) -> None:
    first = online.register(1.0)
    online.serve()
    online.register(2.0)
    online.killed_at("gets 50 %")
    third = online.register(3.0)

    served, messages = online.serve()

    assert messages[0] == "online: a rollout was cut off, blue gets all requests again"
    assert served == Served("green", third) and online.traffic() == {first: 0, third: 100} and online.ask() == 3.0


@pytest.mark.nightly
def test_a_deployment_that_is_being_made_is_waited_for(online: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill while Azure ML makes it: the resource exists, and its creation is active."""
    version = online.register(1.0)
    settings = online.clients.pipeline.online
    operations = online.clients.ml.online_deployments
    begin: Callable[[Any], Any] = operations.begin_create_or_update

    class Killed:
        def result(self) -> None:
            raise KeyboardInterrupt

    def begun(deployment: Any) -> Killed:
        begin(deployment)
        return Killed()

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(operations, "begin_create_or_update", begun)
        online_endpoints.create(online.clients, "blue", version, settings, "")

    served, messages = online.serve()

    assert served == Served("blue", version) and f"online: blue has version {version} already" in messages
    assert online.ask() == 1.0


@pytest.mark.nightly
def test_other_settings_are_the_same_version_in_the_other_colour(online: Serving) -> None:
    version = online.register(1.0)
    online.serve()
    pipeline = serving(online.clients.pipeline, requests_per_instance=2)
    changed = Serving(online.stack, Clients(online.clients.outputs, pipeline), online.folder)

    assert changed.serve()[0] == Served("green", version)
    assert changed.ask() == 1.0
    (deployment,) = (
        known for known in online.clients.ml.online_deployments.list(online.clients.online_endpoint)
        if known.name == "green"
    )  # fmt: skip
    assert deployment.environment_variables["WORKER_COUNT"] == "2"
    assert deployment.request_settings.max_concurrent_requests_per_instance == 2


def test_the_verbs_call_the_endpoint_and_refuse_unfit_requests(
    online: Serving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = online.register(2.0)
    monkeypatch.setattr(cli_serving, "clients_of", lambda *_: online.clients)

    def run(*words: str, stdin: str | None = None) -> tuple[int, str, str]:
        completed = CliRunner().invoke(cli.app, list(words), input=stdin)
        return completed.exit_code, completed.stdout, str(completed.exception or "")

    assert run("invoke", "--file", "-", stdin='{"a": 1, "b": 0}')[2].startswith("Nothing answers on oep-")
    assert run("serve")[0] == 0
    code, text, _ = run("invoke", "--file", "-", stdin='[{"a": 1, "b": 0}, {"a": 2.5, "b": 7}]')
    assert code == 0 and [round(value, 6) for value in json.loads(text)] == [2.0, 5.0]

    file = tmp_path / "request.json"
    file.write_text('{"a": 1, "bb": 0}', encoding="utf-8")
    assert run("invoke", "--file", str(file))[2] == (
        f"{file} has a field 'bb', which the model does not take. Did you mean b?"
    )
    assert "has no deployment 'bleu'. Did you mean blue?" in run(
        "invoke", "--file", "-", "--deployment", "bleu", stdin='{"a": 1, "b": 0}'
    )[2]  # fmt: skip
    assert run("invoke", "--file", str(tmp_path / "none.json"))[2].startswith("There is no file ")
    log = run("serve", "--log")
    assert log[0] == 0 and "/score" in log[1], log
    assert served_model.read(online.clients, version).columns[0].name == "a"


@pytest.mark.nightly
def test_a_removed_pipeline_s_endpoint_goes_with_its_deployments(azure: AzureSession, tmp_path: Path) -> None:
    stack = make_stack(azure, "dev", None)
    try:
        online = with_endpoint(beside(stack, "breast_cancer"), tmp_path)
        online.register(1.0)
        online.serve()

        planned = remove.plan(online.clients, keep_files=True)
        endpoint = f"online endpoint {online.clients.online_endpoint}"
        assert endpoint in list(planned.lines())
        messages: list[str] = []
        remove.remove(online.clients, planned, messages.append)

        assert f"Deleted {endpoint}." in messages
        with pytest.raises(MissingError, match=r"The online endpoint oep-.* does not exist: bring the stack up"):
            online_endpoints.read(online.clients)
    finally:
        remove_stack(stack)
