"""An endpoint with as many deployments as it can have: old ones give way to a publication, needed ones stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.ai.ml.entities import Model
from localcloud.testing.azure_session import AzureSession

from mlops import candidates, old_deployments
from mlops.errors import InvalidError
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack

_VERSIONS = 10


@pytest.fixture
def full(azure: AzureSession) -> Iterator[Stack]:
    """Publish ten versions, each with a deployment that trains and one that scores."""
    stack = make_stack(azure, "dev", None)
    for version in range(1, _VERSIONS + 1):
        stack.publish(str(version), f"commit-{version}", keep_default=version > 1)
    yield stack
    remove_stack(stack)


def _names(stack: Stack) -> set[str]:
    return {str(known.name) for known in stack.workspace.client.batch_deployments.list(stack.clients.endpoint)}


def _promoted(stack: Stack, folder: Path, deployment: str, previous: str, at: str) -> None:
    folder.mkdir()
    (folder / "MLmodel").write_text("model_uuid: of-a-promotion\n")
    tags = {
        "promoted_from": "dev:diabetes:1", "promoted_at": at, "deployment": deployment,
        "previous_deployment": previous,
    }  # fmt: skip
    model = Model(name=stack.clients.pipeline.model, path=str(folder), type="mlflow_model", tags=tags)
    stack.workspace.client.models.create_or_update(model)


def test_the_oldest_version_without_use_gives_way_to_the_next_one(full: Stack, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="OutOfQuota"):
        full.publish("11", "commit-11", keep_default=True)
    # The default is v-1; a rollback of the newest promotion needs v-2 and v-3.
    _promoted(full, tmp_path / "model", "v-3", "v-2", "2026-11-30T00:00:00+00:00")
    assert candidates.versions(full.workspace.client, full.clients.pipeline.model)
    messages: list[str] = []

    old_deployments.make_room(full.clients, ("v-11", "s-11"), messages.append)
    full.publish("11", "commit-11", keep_default=True)

    assert [message.split(",")[0] for message in messages] == [
        "endpoint: deleted the old deployment s-4", "endpoint: deleted the old deployment v-4",
    ]  # fmt: skip
    versions = {1, 2, 3, 5, 6, 7, 8, 9, 10, 11}
    assert _names(full) == {f"{kind}-{version}" for version in versions for kind in "vs"}
    assert full.default == "v-1"


@pytest.mark.nightly
def test_nothing_is_deleted_for_deployments_that_are_there_already(full: Stack) -> None:
    before = _names(full)
    old_deployments.make_room(full.clients, ("v-10", "s-10"), print)
    assert _names(full) == before


@pytest.mark.nightly
def test_an_endpoint_full_of_another_pipeline_s_deployments_is_an_error(
    full: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _names(full)
    monkeypatch.setattr(type(full.clients.pipeline), "is_named_in", lambda *_: False)
    with pytest.raises(InvalidError, match="has 20 deployments of 20, and no other old one of diabetes can be deleted"):
        old_deployments.make_room(full.clients, ("v-11", "s-11"), print)
    assert _names(full) == before
