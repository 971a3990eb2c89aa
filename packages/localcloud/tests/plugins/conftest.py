"""Both plugins as processes, signed in by the variables of `make env`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.plugin_process import Plugin


@pytest.fixture(scope="session")
def azure_native(azure: AzureSession) -> Iterator[Plugin]:
    plugin = Plugin("azure_native", dict(os.environ))
    plugin.configure()
    yield plugin
    plugin.stop()


@pytest.fixture
def group_name(group: str) -> str:
    return group.rsplit("/", 1)[1]


@pytest.fixture(scope="module")
def databricks(azure: AzureSession) -> Iterator[Plugin]:
    group = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    workspace = f"{group}/providers/Microsoft.Databricks/workspaces/dbw-plugins"
    body = {
        "location": "westeurope",
        "sku": {"name": "premium"},
        "properties": {"computeMode": "Hybrid", "managedResourceGroupId": f"{group}-managed"},
    }
    content = azure.put(workspace, "2026-01-01", body)
    plugin = Plugin("databricks", dict(os.environ))
    plugin.configure(host=f"https://{content['properties']['workspaceUrl']}", azureWorkspaceResourceId=workspace)
    yield plugin
    assert plugin.stop() == ""
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))
