"""Notebook folders stay as long as a deployment of the endpoint names them, default or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from databricks.sdk.errors import NotFound
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.workspace_session import ML

from mlops import notebooks
from mlops.clients import Clients
from mlops.errors import MissingError
from mlops.prune import prune
from tests.integration.mlops.stacks import PIPELINE, Stack, make_stack, remove_stack

_DEFAULT, _EARLIER = "/dataopsml/notebooks/1111111111111111", "/Shared/AzureMLDeployed/2222222222222222"
_LEFT = ("/dataopsml/notebooks/3333333333333333", "/Shared/AzureMLDeployed/4444444444444444")


@pytest.fixture
def stack(azure: AzureSession) -> Iterator[Stack]:
    stack = make_stack(azure, "dev", None)
    yield stack
    remove_stack(stack)


@pytest.fixture
def clients(azure: AzureSession, stack: Stack) -> Clients:
    """Return the stack's clients with a Databricks workspace."""
    body: dict[str, Any] = {
        "location": "westeurope", "sku": {"name": "premium"},
        "properties": {"computeMode": "Hybrid", "managedResourceGroupId": f"{stack.workspace.group}-managed"},
    }  # fmt: skip
    id_ = f"{stack.workspace.group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}"
    host = f"https://{azure.put(id_, '2026-01-01', body)['properties']['workspaceUrl']}"
    return Clients(stack.clients.outputs.model_copy(update={"databricks_host": host}), PIPELINE)


@pytest.mark.nightly
def test_only_folders_without_a_deployment_are_deleted(azure: AzureSession, stack: Stack, clients: Clients) -> None:
    stack.publish("1", "commit-1", notebook=f"{_EARLIER}/feature_engineering")
    stack.publish("2", "commit-2", notebook=f"{_DEFAULT}/feature_engineering")
    own = f"/dataopsml/notebooks/{notebooks.content_hash('feature_engineering')}"
    same_content = f"/Shared/AzureMLDeployed/{notebooks.content_hash('feature_engineering')}"
    left = sorted((*_LEFT, same_content), key=lambda folder: (folder.startswith("/Shared"), folder))
    for folder in (_DEFAULT, _EARLIER, own, *left):
        clients.databricks.workspace.mkdirs(f"{folder}/lib")
    messages: list[str] = []

    prune(clients, messages.append)
    prune(clients, messages.append)

    assert messages == [*(f"Removed {folder}." for folder in left), "Every notebook folder is in use."]
    for folder in left:
        with pytest.raises(NotFound):
            clients.databricks.workspace.get_status(folder)
    for folder in (_DEFAULT, _EARLIER, own):
        assert clients.databricks.workspace.get_status(folder).path == folder

    endpoint = f"{stack.workspace.id}/batchEndpoints/{clients.outputs.batch_endpoint}"
    azure.finish(azure.arm("DELETE", f"{endpoint}/deployments/v-1", ML))
    prune(clients, messages.append)
    assert messages[-1] == f"Removed {_EARLIER}.", "no deployment names it any more"


def test_nothing_is_deleted_while_a_deployment_s_notebooks_are_unknown(
    azure: AzureSession, stack: Stack, clients: Clients
) -> None:
    stack.publish("1", "commit-1", notebook=f"{_DEFAULT}/feature_engineering")
    for folder in (_DEFAULT, *_LEFT):
        clients.databricks.workspace.mkdirs(folder)
    assert azure.arm("DELETE", f"{stack.workspace.id}/components/diabetes_training/versions/1", ML).ok

    with pytest.raises(MissingError, match="of deployment v-1 is not there, so that nothing tells"):
        prune(clients, print)

    assert clients.databricks.workspace.get_status(_LEFT[0]).path == _LEFT[0]
