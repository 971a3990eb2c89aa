"""A model's way from staging to prod and back, by mlops' own commands and the real clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.principals import IdentityCredential
from localcloud.testing.workspace_session import ML

from infra.stack_file import ROOT
from mlops import candidates, jobs, promote, publish, registered_models, rollback, schedules, serving_version, shared
from mlops.clients import Clients
from mlops.errors import GateError, MissingError
from mlops.promote import Promotion
from steps.schedule import Schedule
from tests.integration.mlops.stacks import (
    PIPELINE,
    STATE,
    Stack,
    beside,
    grant_registry,
    make_registry,
    make_stack,
    remove_stack,
    write_state,
)


@dataclass(frozen=True)
class Pair:
    """`messages` are the lines that mlops printed for its user."""

    staging: Stack
    prod: Stack
    registry: str
    messages: list[str]

    def both(self, version: str, folder: Path) -> str:
        """Publish a build on staging, train it there, publish it on prod, and return the model's version."""
        self.staging.publish(version, f"commit-{version}")
        model = self.staging.train(version, f"commit-{version}", folder)
        self.prod.publish(version, f"commit-{version}", keep_default=True)
        return model

    def promote(self, version: str | None = None) -> Promotion:
        return promote.promote(self.staging.clients, self.prod.clients, version, self.messages.append)

    def rollback(self) -> Promotion:
        return rollback.rollback(self.prod.clients, self.messages.append)


@pytest.fixture
def pair(azure: AzureSession) -> Iterator[Pair]:
    name = unique("mlr")
    staging, prod = make_stack(azure, "staging", name), make_stack(azure, "prod", name)
    registry = make_registry(azure, staging.workspace.group, name)
    yield Pair(staging, prod, registry, [])
    azure.finish(azure.arm("DELETE", registry, ML))
    for stack in (staging, prod):
        remove_stack(stack)


def test_one_command_promotes_from_staging_to_prod(pair: Pair, cloud: Any, azure: AzureSession, tmp_path: Path) -> None:
    """Promote as a person with rights on both: the shell is signed in to prod's state, staging's is found beside it."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", project)
    environment = {**os.environ, **cloud.environment}
    for stack in (pair.staging, pair.prod):
        write_state(stack, project, environment)
    pair.both("1", tmp_path)

    completed = subprocess.run(
        [sys.executable, "-m", "mlops", "promote", "--from", "staging", "--to", "prod"],
        cwd=ROOT, env=environment | {"PULUMI_BACKEND_URL": STATE.format("prod")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert completed.returncode == 0, completed.stderr
    assert "gate: staging:diabetes:1 was trained and tested by run" in completed.stdout
    assert "\x1b" not in completed.stdout + completed.stderr, "azure-ai-ml's uploads print colour codes"
    (tags,) = pair.prod.models().values()
    tested = pair.staging.models()["1"]
    assert tags["promoted_from"] == "staging:diabetes:1"
    assert {name: tags[name] for name in ("commit", "data_version", "pipeline_run", "metric.mse")} == {
        "commit": "commit-1", "data_version": "data-of-1", "pipeline_run": tested["pipeline_run"], "metric.mse": "0.5",
    }  # fmt: skip
    assert tested["promoted_to.prod"].startswith("1 at ")
    registry = pair.prod.clients.registry(str(pair.prod.clients.outputs.model_registry))
    assert [model.version for model in registry.models.list(name=PIPELINE.model)] == ["staging-1-1"]
    assert pair.prod.default == "v-1"


@pytest.mark.nightly
def test_a_promotion_is_taken_back_and_made_again(pair: Pair, tmp_path: Path) -> None:
    for version in ("1", "2"):
        model = pair.both(version, tmp_path)
        shared.share(pair.staging.clients, candidates.tested(pair.staging.clients, None)[0], pair.messages.append)
        assert pair.prod.default == "v-1", "the first deployment is the default; another one waits for its promotion"
        promote.promote_shared("staging", pair.prod.clients, None, pair.messages.append)
    assert (model, pair.prod.default) == ("2", "v-2")

    assert pair.rollback().deployment == "v-1"
    assert pair.prod.default == "v-1"
    assert "rolled_back_at" in pair.prod.models()["2"]

    pair.promote()
    assert pair.prod.default == "v-1", "what was rolled back is not taken again unasked"
    assert pair.messages[-1].endswith("was rolled back: give --model-version 2 to promote it again")
    pair.promote("2")
    assert pair.prod.default == "v-2"
    assert "rolled_back_at" not in pair.prod.models()["2"]


@pytest.mark.nightly
def test_a_version_that_prod_trained_itself_is_promoted_there_and_taken_back(pair: Pair, tmp_path: Path) -> None:
    """The code that serves has trained again after drift, on prod's own data."""
    pair.both("1", tmp_path)
    pair.promote()
    prod, retrained = pair.prod.clients, tmp_path / "retrained"
    retrained.mkdir()
    assert pair.prod.train("1", "commit-1", retrained) == "2"
    with pytest.raises(GateError, match=r"Version 1 of diabetes on prod was promoted from staging:diabetes:1: only a"):
        promote.promote_own(prod, "1", pair.messages.append)
    assert serving_version.require(prod, "").version == "1", "a version that is registered does not serve"

    done = promote.promote_own(prod, None, pair.messages.append)

    assert done == Promotion("2", "v-1", "v-1")
    assert pair.prod.models()["2"]["promoted_from"] == "prod:diabetes:2"
    assert serving_version.require(prod, "").version == "2"
    pair.promote()
    assert pair.messages[-1] == (
        "version 2 was promoted after staging:diabetes:1 and serves on: give --model-version 1 to promote that one "
        "again"
    )
    assert serving_version.require(prod, "").version == "2", "the next build of the same code changes nothing"

    pair.rollback()

    assert pair.messages[-1].startswith("version 2 of diabetes does not serve any more; v-1 stays the default")
    assert (serving_version.require(prod, "").version, pair.prod.default) == ("1", "v-1")
    promote.promote_own(prod, None, pair.messages.append)
    assert pair.messages[-1] == "prod:diabetes:2 was rolled back: give --model-version 2 to promote it again"
    promote.promote_own(prod, "2", pair.messages.append)
    assert serving_version.require(prod, "").version == "2"


@pytest.mark.nightly
def test_the_schedule_moves_with_promotion_and_rollback_and_stops_both_when_it_cannot(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = Schedule(cron="15 3 * * 1", data="data/current/")
    training = replace(PIPELINE, specification=PIPELINE.specification.model_copy(update={"schedule": schedule}))
    prod = replace(pair.prod, clients=Clients(pair.prod.clients.outputs, training))
    pair = replace(pair, prod=prod)

    def scheduled() -> tuple[str, bool]:
        schedule = schedules.read(prod.clients, PIPELINE.schedule)
        assert schedule is not None
        return schedule.version, schedule.on

    pair.both("1", tmp_path)
    pair.promote()
    assert scheduled() == ("1", False), "off until somebody switches it on"
    schedules.switch(prod.clients, True)
    pair.both("2", tmp_path)

    def refuse(*_: Any) -> None:
        raise HttpResponseError("the schedule cannot be changed")

    with monkeypatch.context() as patch, pytest.raises(HttpResponseError, match="the schedule cannot be changed"):
        patch.setattr(schedules, "put", refuse)
        pair.promote()
    assert (prod.default, scheduled()) == ("v-1", ("1", True))
    assert set(prod.models()) == {"1"}, "nothing was promoted"
    with monkeypatch.context() as patch, pytest.raises(HttpResponseError, match="the schedule cannot be changed"):
        patch.setattr(publish, "make_default", refuse)
        pair.promote()
    assert (prod.default, scheduled()) == ("v-1", ("1", True)), "the schedule went back"

    pair.promote()
    assert (prod.default, scheduled()) == ("v-2", ("2", True))
    pair.rollback()
    assert (prod.default, scheduled()) == ("v-1", ("1", True))


@pytest.mark.nightly
def test_an_overtaken_promotion_uses_the_version_of_the_other(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.both("1", tmp_path)
    pair.promote()
    listed, before = candidates.versions, [2]

    def versions(ml: Any, name: str) -> list[Any]:
        """Show prod's versions before the other promotion, twice."""
        if ml is pair.prod.clients.ml and before[0]:
            before[0] -= 1
            return []
        return listed(ml, name)

    monkeypatch.setattr(candidates, "versions", versions)

    assert pair.promote().model_version == "1"
    assert list(pair.prod.models()) == ["1"]


@pytest.mark.nightly
def test_prod_s_identity_uses_the_shared_model_and_cannot_read_staging(
    pair: Pair, cloud: Any, azure: AzureSession, tmp_path: Path
) -> None:
    pair.both("1", tmp_path)
    shared.share(pair.staging.clients, candidates.tested(pair.staging.clients, None)[0], pair.messages.append)
    deployer = pair.prod.workspace.identity["principalId"]
    azure.assign(pair.prod.workspace.group, "Contributor", deployer)
    staging, prod = (_as(deployer, stack, cloud) for stack in (pair.staging, pair.prod))

    with pytest.raises(HttpResponseError, match="AuthorizationFailed"):
        promote.promote_shared("staging", prod, None, pair.messages.append)
    grant_registry(azure, pair.registry, deployer)
    with pytest.raises(HttpResponseError, match="AuthorizationFailed"):
        promote.promote(staging, prod, None, pair.messages.append)
    assert pair.prod.models() == {}

    promote.promote_shared("staging", prod, None, pair.messages.append)

    assert pair.prod.models()["1"]["promoted_from"] == "staging:diabetes:1"


def _as(object_id: str, stack: Stack, cloud: Any) -> Clients:
    clients = Clients(stack.clients.outputs, PIPELINE)
    vars(clients)["credential"] = IdentityCredential(cloud, object_id)
    return clients


@pytest.mark.nightly
def test_a_rollback_without_an_earlier_deployment_changes_nothing(pair: Pair, tmp_path: Path) -> None:
    pair.both("1", tmp_path)
    with pytest.raises(MissingError, match="There is no promotion of diabetes to roll back on prod"):
        pair.rollback()

    pair.promote()
    before = pair.prod.models()
    with pytest.raises(MissingError, match="nothing to go back to: version 1 of diabetes was the first"):
        pair.rollback()
    assert (pair.prod.default, pair.prod.models()) == ("v-1", before)


@pytest.mark.nightly
def test_a_rollback_leaves_a_manually_moved_endpoint_unchanged(pair: Pair, tmp_path: Path) -> None:
    pair.both("1", tmp_path)
    pair.promote()
    pair.prod.publish("2", "commit-2")

    with pytest.raises(GateError, match=r"default is v-2, not v-1, .*it was moved since"):
        pair.rollback()

    assert pair.prod.default == "v-2"


def _unseat(stack: Stack) -> None:
    """Update the endpoint as a client does that does not know its default: by a PUT without it."""
    azure, id_ = stack.workspace.azure, f"{stack.workspace.id}/batchEndpoints/{stack.clients.outputs.batch_endpoint}"
    body = {"location": "westeurope", "tags": {"cost_center": "other"}, "properties": {"authMode": "AADToken"}}
    azure.put(id_, ML, body)
    assert publish.published(stack.clients) is None


@pytest.mark.nightly
def test_a_promotion_restores_its_default_deployment(pair: Pair, tmp_path: Path) -> None:
    for version in ("1", "2"):
        pair.both(version, tmp_path)
        pair.promote()
    _unseat(pair.prod)
    outputs = tmp_path / "outputs.json"
    outputs.write_text(pair.prod.clients.outputs.model_dump_json())
    status = subprocess.run(
        [sys.executable, "-m", "mlops", "status", "--stack", "prod", "--outputs", str(outputs)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip

    promotion = pair.promote()

    assert "The endpoint has deployments (v-1, v-2), and none is its default: publish or promote again." in (
        " ".join(status.stdout.split())
    ), status.stderr
    assert (promotion.deployment, pair.prod.default) == ("v-2", "v-2")
    assert pair.messages[-1].endswith("had lost its default, v-2 is it again")
    assert pair.rollback().deployment == "v-1", "what a rollback goes back to is still known"


@pytest.mark.nightly
def test_a_rollback_works_though_its_deployment_is_no_longer_the_default(pair: Pair, tmp_path: Path) -> None:
    for version in ("1", "2"):
        pair.both(version, tmp_path)
        pair.promote()
    _unseat(pair.prod)

    assert pair.rollback().deployment == "v-1"
    assert pair.prod.default == "v-1"


@pytest.mark.nightly
def test_a_rollback_to_a_deployment_of_another_commit_is_refused(pair: Pair, tmp_path: Path) -> None:
    for version in ("1", "2"):
        pair.both(version, tmp_path)
        pair.promote()
    pair.prod.publish("1", "commit-9", keep_default=True)

    with pytest.raises(GateError, match="deployment v-1 is of commit commit-9, and was of commit-1"):
        pair.rollback()

    assert pair.prod.default == "v-2"


@pytest.mark.nightly
def test_a_lineage_that_staging_did_not_test_is_refused_and_prod_is_untouched(pair: Pair, tmp_path: Path) -> None:
    pair.both("1", tmp_path)
    model = pair.staging.workspace.client.models.get(PIPELINE.model, "1")
    model.tags = dict(model.tags) | {"data_version": "other-data"}
    pair.staging.workspace.client.models.create_or_update(model)

    with pytest.raises(GateError, match=r"data_version of the model is other-data, but .* tested data-of-1"):
        pair.promote()

    _nothing_came(pair)


@pytest.mark.nightly
def test_a_model_with_code_of_another_commit_in_prod_is_refused(pair: Pair, tmp_path: Path) -> None:
    pair.staging.publish("1", "commit-1")
    pair.staging.train("1", "commit-1", tmp_path)
    pair.prod.publish("1", "commit-9")

    with pytest.raises(GateError, match="published from commit commit-9, but the tested model comes from commit-1"):
        pair.promote()

    _nothing_came(pair)


@pytest.mark.nightly
def test_a_manually_registered_model_is_refused(pair: Pair, tmp_path: Path) -> None:
    pair.both("1", tmp_path)
    weights = tmp_path / "by-hand"
    weights.mkdir()
    (weights / "MLmodel").write_text("model_uuid: by-hand\n")
    pair.staging.workspace.client.models.create_or_update(
        Model(name=PIPELINE.model, path=str(weights), type="mlflow_model")
    )

    with pytest.raises(GateError, match="Version 2 of diabetes has no lineage"):
        pair.promote()

    _nothing_came(pair)


@pytest.mark.nightly
def test_pipelines_of_one_stack_are_promoted_and_rolled_back_apart(pair: Pair, tmp_path: Path) -> None:
    other = Pair(beside(pair.staging, "breast_cancer"), beside(pair.prod, "breast_cancer"), pair.registry, [])
    for release, versions in ((pair, ("1",)), (other, ("1", "2"))):
        for version in versions:
            release.both(version, tmp_path)
            release.promote()

    assert (pair.prod.default, other.prod.default) == ("v-1", "v-2")
    assert set(pair.prod.models()) == {"1"} and set(other.prod.models()) == {"1", "2"}
    assert other.prod.models()["2"]["promoted_from"] == "staging:breast_cancer:2"
    newest = jobs.newest(pair.staging.clients)
    assert newest is not None and newest.code == "1", "the other pipeline's newer run is none of this one's"

    other.rollback()

    assert (pair.prod.default, other.prod.default) == ("v-1", "v-1")
    with pytest.raises(MissingError, match="nothing to go back to: version 1 of diabetes was the first"):
        pair.rollback()
    versions_of_other = {model.version: model.serves for model in registered_models.read(other.prod.clients)}
    assert versions_of_other == {"1": True, "2": False}, "what was rolled back does not serve"


def _nothing_came(pair: Pair) -> None:
    assert pair.prod.models() == {}
    assert (
        candidates.listed(pair.prod.clients.registry(str(pair.prod.clients.outputs.model_registry)), PIPELINE.model)
        == []
    )
