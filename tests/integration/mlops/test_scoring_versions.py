"""The scoring version: after promotions, rollbacks and publications, and after a promotion whose sample fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.workspace_session import ML

from mlops import jobs, promote, publish, rollback, scoring, trial
from mlops.errors import GateError, MissingError
from mlops.promote import Promotion
from mlops.scoring import Scorer
from mlops.terminal import console
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack


@pytest.fixture(scope="module")
def staging(azure: AzureSession) -> Iterator[Stack]:
    """Trained two versions, with the commits commit-1 and commit-2."""
    stack = make_stack(azure, "staging", None)
    yield stack
    remove_stack(stack)


@pytest.fixture
def prod(azure: AzureSession) -> Iterator[Stack]:
    stack = make_stack(azure, "prod", None)
    yield stack
    remove_stack(stack)


@pytest.fixture(scope="module")
def tested(staging: Stack, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("models")
    for version in ("1", "2"):
        staging.publish(version, f"commit-{version}")
        staging.train(version, f"commit-{version}", folder)
    return staging


def _promote(tested: Stack, prod: Stack, version: str, *, tried: bool = False) -> Promotion:
    messages: list[str] = []
    promotion = promote.promote(tested.clients, prod.clients, version, messages.append)
    if tried:
        trial.try_promotion(prod.clients, promotion, messages.append, console(stderr=True))
    return promotion


def test_the_version_that_scores_follows_promotion_and_rollback(tested: Stack, prod: Stack) -> None:
    with pytest.raises(MissingError, match=r"No version of diabetes serves on prod, so that nothing can score"):
        scoring.find_scorer(prod.clients)
    for version in ("1", "2"):
        prod.publish(version, f"commit-{version}", keep_default=True)
        _promote(tested, prod, version)
        assert scoring.find_scorer(prod.clients) == Scorer(version, f"s-{version}")

    rollback.rollback(prod.clients, print)
    assert scoring.find_scorer(prod.clients) == Scorer("1", "s-1")

    prod.publish("3", "commit-3")
    assert prod.default == "v-3"
    assert scoring.find_scorer(prod.clients) == Scorer("1", "s-1"), "a publication is no promotion"
    assert [known.deployment for known in publish.deployments(prod.clients)] == ["v-1", "v-2", "v-3"]
    assert jobs.newest(prod.clients) is None


def test_a_promotion_whose_sample_is_not_scored_is_taken_back(tested: Stack, prod: Stack) -> None:
    prod.publish("1", "commit-1", keep_default=True)
    message = r"Version 1 of diabetes was promoted and did not score a sample, so that the promotion was taken back"
    with pytest.raises(GateError, match=message):
        _promote(tested, prod, "1", tried=True)
    assert "rolled_back_at" in prod.models()["1"], "the first promotion has nothing to go back to"
    assert jobs.newest(prod.clients) is None, "a scoring run is none of the training's"

    _promote(tested, prod, "1")
    prod.publish("2", "commit-2", keep_default=True)
    with pytest.raises(GateError, match=r"and the ledger has no entry of sample\.csv"):
        _promote(tested, prod, "2", tried=True)
    assert prod.default == "v-1"
    assert "rolled_back_at" in prod.models()["2"]
    assert scoring.find_scorer(prod.clients) == Scorer("1", "s-1")


def test_a_version_that_scored_its_sample_once_stays_when_a_later_one_fails(tested: Stack, prod: Stack) -> None:
    prod.publish("1", "commit-1", keep_default=True)
    promotion = _promote(tested, prod, "1")
    model = prod.clients.ml.models.get(prod.clients.pipeline.model, promotion.model_version)
    promote.tag(prod.clients.ml, model, {trial.TRIED: promote.stamp()})

    with pytest.raises(GateError, match="It serves on, since it scored a sample when it was promoted"):
        _promote(tested, prod, "1", tried=True)
    assert "rolled_back_at" not in prod.models()["1"]


def test_a_deployment_that_was_published_without_scoring_is_named(
    tested: Stack, prod: Stack, azure: AzureSession
) -> None:
    prod.publish("1", "commit-1", keep_default=True)
    _promote(tested, prod, "1")
    beside = f"{prod.workspace.id}/batchEndpoints/{prod.clients.endpoint}/deployments/s-1"
    azure.finish(azure.arm("DELETE", beside, ML))

    with pytest.raises(
        MissingError, match="The deployment v-1, with which version 1 of diabetes serves, was published"
    ):
        scoring.find_scorer(prod.clients)
