"""A deleted workspace leaves nothing: no rows, no artifacts, no active run, no place in the metastore."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psutil
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service import compute, jobs
from databricks.sdk.service.workspace import ImportFormat
from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud
from mlflow import MlflowClient

NOTEBOOK = b"# Databricks notebook source\nimport time\ntime.sleep(600)\n"


class Removed:
    """A workspace that tests fill and delete."""

    def __init__(self, azure: AzureSession, cloud: Cloud, group: str) -> None:
        self._azure, self._cloud, self._group = azure, cloud, group
        self.id = f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}"

    def make(self) -> Json:
        properties = {"managedResourceGroupId": f"{self._group}-managed", "computeMode": "Hybrid"}
        body = {"location": "westeurope", "sku": {"name": "premium"}, "properties": properties}
        created: Json = self._azure.put(self.id, "2026-01-01", body)["properties"]
        return created

    def delete(self) -> None:
        self._azure.finish(self._azure.arm("DELETE", self.id, "2026-01-01"))

    def client(self, properties: Json) -> WorkspaceClient:
        return WorkspaceClient(
            host=f"https://{properties['workspaceUrl']}",
            auth_type="azure-client-secret",
            azure_tenant_id=os.environ["AZURE_TENANT_ID"],
            azure_client_id=os.environ["AZURE_CLIENT_ID"],
            azure_client_secret=os.environ["AZURE_CLIENT_SECRET"],
        )

    def rows(self, properties: Json) -> dict[str, int]:
        """Rows of localcloud's database that are the workspace's, by table and kind."""
        number = properties["workspaceId"]
        counts = {
            "documents": ("databricks_documents WHERE workspace LIKE ?", f"{number}@%"),
            "contents": ("databricks_contents WHERE workspace LIKE ?", f"{number}@%"),
            "metastores": ("databricks_documents WHERE kind = 'uc-workspace' AND key = ?", number),
        }
        with closing(sqlite3.connect(self._cloud.settings.database)) as database:
            return {
                name: int(database.execute(f"SELECT count(*) FROM {where}", (value,)).fetchone()[0])  # noqa: S608
                for name, (where, value) in counts.items()
            }


@pytest.fixture
def workspace(azure: AzureSession, cloud: Cloud, group: str) -> Iterator[Removed]:
    yield Removed(azure, cloud, group)


def _notebook(client: WorkspaceClient) -> str:
    client.workspace.mkdirs("/work")
    client.workspace.upload("/work/notebook.py", NOTEBOOK, format=ImportFormat.AUTO)
    return "/work/notebook"


def test_a_workspace_is_deleted_with_its_content(
    workspace: Removed, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = workspace.make()
    client = workspace.client(properties)
    _notebook(client)
    assert client.metastores.current().metastore_id
    artifacts = cloud.settings.home / "databricks-artifacts"
    others = set(artifacts.glob("*"))
    monkeypatch.setenv("DATABRICKS_HOST", f"https://{properties['workspaceUrl']}")
    monkeypatch.setenv("DATABRICKS_AUTH_TYPE", "azure-client-secret")
    tracking = MlflowClient("databricks")
    run = tracking.create_run(tracking.create_experiment("/work/experiment"))
    tracking.log_text(run.info.run_id, "hello", "note.txt")
    assert set(artifacts.glob("*")) - others, "there is an artifact"
    assert all(count > 0 for count in workspace.rows(properties).values()), workspace.rows(properties)

    workspace.delete()

    assert workspace.rows(properties) == {"documents": 0, "contents": 0, "metastores": 0}
    assert set(artifacts.glob("*")) <= others


def test_a_workspace_of_the_same_name_begins_with_nothing(workspace: Removed) -> None:
    properties = workspace.make()
    _notebook(workspace.client(properties))
    workspace.delete()

    again = workspace.make()

    assert again["workspaceUrl"] == properties["workspaceUrl"], "the address follows from the name"
    assert "/work" not in [item.path for item in workspace.client(again).workspace.list("/")]
    workspace.delete()


def test_active_runs_of_a_deleted_workspace_are_stopped_with_their_drivers(workspace: Removed, cloud: Cloud) -> None:
    properties = workspace.make()
    client = workspace.client(properties)
    cluster = compute.ClusterSpec(
        spark_version="17.3.x-scala2.13", node_type_id="Standard_DS3_v2", is_single_node=True,
        kind=compute.Kind.CLASSIC_PREVIEW, data_security_mode=compute.DataSecurityMode.SINGLE_USER,
    )  # fmt: skip
    notebook = jobs.NotebookTask(_notebook(client))
    waiter = client.jobs.submit(tasks=[jobs.SubmitTask("work", notebook_task=notebook, new_cluster=cluster)])
    run_id = waiter.bind()["run_id"]

    def drivers() -> list[str]:
        folder = str(cloud.settings.home / "drivers")
        return [
            str(process.info["cmdline"]) for process in psutil.process_iter(["cmdline"]) if folder in str(process.info)
        ]

    while not drivers():
        assert client.jobs.get_run(run_id).state is not None

    workspace.delete()

    assert drivers() == []
    assert workspace.rows(properties)["documents"] == 0, "the run that ended late left no row"
