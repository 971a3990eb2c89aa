"""Removing a pipeline from a stack: its own parts are deleted, others' needs stay, and a failed removal can go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.workspace_session import ML

from mlops import notebooks, remove, specifications
from mlops.clients import Clients
from mlops.errors import InvalidError
from tests.integration.mlops.stacks import Stack, beside, make_stack, remove_stack

NAME = "breast_cancer"
_FIRST, _EARLIER = (f"/dataopsml/notebooks/{digit * 16}" for digit in "12")


@pytest.fixture
def stacks(azure: AzureSession, tmp_path: Path) -> Iterator[tuple[Stack, Stack]]:
    """Publish the first pipeline and the one to be removed; the second has a registered version."""
    first = make_stack(azure, "dev", None)
    body: dict[str, Any] = {
        "location": "westeurope", "sku": {"name": "premium"},
        "properties": {"computeMode": "Hybrid", "managedResourceGroupId": f"{first.workspace.group}-managed"},
    }  # fmt: skip
    databricks = f"{first.workspace.group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}"
    host = f"https://{azure.put(databricks, '2026-01-01', body)['properties']['workspaceUrl']}"
    published = beside(first, NAME)
    outputs = published.clients.outputs.model_copy(update={"databricks_host": host})
    second = Stack(published.workspace, Clients(outputs, published.clients.pipeline), published.step)
    for stack in (first, second):
        stack.publish("1", "commit-1")
        stack.train("1", "commit-1", tmp_path)
    first.publish("2", "commit-2", notebook=f"{_FIRST}/feature_engineering")
    second.publish("2", "commit-2", notebook=f"{_FIRST}/breast_cancer_features")
    second.publish("3", "commit-3", notebook=f"{_EARLIER}/breast_cancer_features")
    # It is from the time when the pipeline was the default one.
    former = specifications.load(NAME)
    vars(former)["has_first_endpoint"] = True
    elsewhere = Stack(second.workspace, Clients(first.clients.outputs, former), second.step)
    elsewhere.publish("0", "commit-0", keep_default=True)
    environment = {"properties": {"image": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04"}}
    azure.put(f"{second.workspace.id}/environments/dataopsml-training-{NAME}/versions/1", ML, environment)
    for folder in (_FIRST, _EARLIER):
        second.clients.databricks.workspace.mkdirs(folder)
    yield first, second
    remove_stack(first)


def test_a_pipeline_is_removed_with_all_its_resources_also_after_a_failure(
    azure: AzureSession, stacks: tuple[Stack, Stack], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = stacks
    clients, messages = second.clients, list[str]()
    planned = remove.plan(clients, keep_files=True)
    endpoint = clients.outputs.pipeline_endpoints[NAME]

    assert list(planned.lines()) == [
        f"batch endpoint {endpoint}",
        f"deployment s-0 of batch endpoint {first.clients.endpoint}",
        f"deployment v-0 of batch endpoint {first.clients.endpoint}",
        "version 1 of model breast_cancer",
        "model breast_cancer",
        "version 0 of component breast_cancer_training",
        "version 1 of component breast_cancer_training",
        "version 2 of component breast_cancer_training",
        "version 3 of component breast_cancer_training",
        "component breast_cancer_training",
        *(f"version {version} of component breast_cancer_scoring" for version in range(4)),
        "component breast_cancer_scoring",
        "version 1 of environment dataopsml-training-breast_cancer",
        "environment dataopsml-training-breast_cancer",
        f"notebooks {_EARLIER} in Databricks",
    ], "the other pipeline runs from the first notebook folder"
    assert planned.serves == f"the endpoint {endpoint} runs its deployment v-3"

    azure.put(
        f"{second.workspace.id}/components/{NAME}_training/providers/Microsoft.Authorization/locks/keep", "2020-05-01",
        {"properties": {"level": "CanNotDelete"}},
    )  # fmt: skip
    with pytest.raises(HttpResponseError, match="ScopeLocked"):
        remove.remove(clients, planned, messages.append)
    assert messages == [
        f"Deleted batch endpoint {endpoint}.", f"Deleted deployment s-0 of batch endpoint {first.clients.endpoint}.",
        f"Deleted deployment v-0 of batch endpoint {first.clients.endpoint}.",
        "Deleted version 1 of model breast_cancer.", "Deleted model breast_cancer.",
    ]  # fmt: skip

    azure.arm(
        "DELETE",
        f"{second.workspace.id}/components/{NAME}_training/providers/Microsoft.Authorization/locks/keep",
        "2020-05-01",
    )
    again = remove.plan(clients, keep_files=True)
    assert again.serves == ""
    remove.remove(clients, again, messages.append)

    assert messages[-1] == f"Deleted notebooks {_EARLIER}."
    assert list(remove.plan(clients, keep_files=True).lines()) == [], "nothing is left over"
    assert second.models() == {}
    assert first.default == "v-2" and list(first.models()) == ["1"], "the other pipeline is as it was"
    assert notebooks.exists(clients, _FIRST)


@pytest.mark.nightly
def test_the_pipeline_with_the_stack_s_first_endpoint_is_not_removed(stacks: tuple[Stack, Stack]) -> None:
    with pytest.raises(InvalidError, match="diabetes has the stack's first endpoint"):
        remove.plan(stacks[0].clients, keep_files=True)
