"""A run's identity at the storage account, through the whole of localcloud: Entra, ARM, roles, ABFS, Azurite."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service import compute, jobs
from databricks.sdk.service.jobs import RunResultState
from databricks.sdk.service.workspace import ImportFormat

from tests.localcloud.azure_session import AzureSession, unique

NOTEBOOK = b"""# Databricks notebook source
import json

base = dbutils.widgets.get("base")
dbutils.fs.put(f"{base}/in/rows.csv", "a,b\\n1,2.5\\n3,\\n", True)
rows = spark.read.csv(f"{base}/in/rows.csv", header=True, schema="a INT, b DOUBLE", mode="FAILFAST")
for _ in range(2):
    rows.dropna().write.mode("overwrite").parquet(f"{base}/out")
rows.write.partitionBy("a").parquet(f"{base}/parts")
dbutils.fs.mv(f"{base}/parts", f"{base}/moved/parts", True)
dbutils.fs.mkdirs(f"{base}/gone/deep")
dbutils.fs.rm(f"{base}/gone", True)

# COMMAND ----------

kept = spark.read.parquet(f"{base}/out")
moved = [item.name for item in dbutils.fs.ls(f"{base}/moved/parts") if item.isDir()]
names = [item.name for item in dbutils.fs.ls(base)]
flat = dbutils.widgets.get("flat")
kept.write.parquet(f"{flat}/out")
dbutils.notebook.exit(json.dumps({
    "kept": [list(row) for row in kept.collect()], "names": sorted(names), "moved": sorted(moved),
    "flat": spark.read.parquet(f"{flat}/out").count(),
}))
"""


@dataclass(frozen=True)
class Platform:
    """What the stack would declare: a workspace, a hierarchical storage account with a container, an identity.

    `flat` is another account, without hierarchy and without soft delete.
    """

    host: str
    account: str
    account_id: str
    flat: str
    flat_id: str
    client_id: str
    object_id: str


@pytest.fixture
def platform(azure: AzureSession, group: str) -> Iterator[Platform]:
    workspace = azure.put(
        f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}",
        "2026-01-01",
        {
            "location": "westeurope",
            "sku": {"name": "premium"},
            "properties": {"managedResourceGroupId": f"{group}-managed", "computeMode": "Hybrid"},
        },
    )
    accounts = {unique("st"): hierarchical for hierarchical in (True, False)}
    ids = {name: f"{group}/providers/Microsoft.Storage/storageAccounts/{name}" for name in accounts}
    for name, hierarchical in accounts.items():
        body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        azure.put(ids[name], "2024-01-01", {**body, "properties": {"isHnsEnabled": hierarchical}})
        azure.put(f"{ids[name]}/blobServices/default/containers/data", "2024-01-01", {"properties": {}})
    identity = azure.put(
        f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}",
        "2023-01-31",
        {"location": "westeurope"},
    )["properties"]
    host = f"https://{workspace['properties']['workspaceUrl']}"
    (account, account_id), (flat, flat_id) = ids.items()
    yield Platform(host, account, account_id, flat, flat_id, identity["clientId"], identity["principalId"])


def test_a_run_reaches_storage_with_the_roles_of_its_identity_and_no_more(
    azure: AzureSession, platform: Platform
) -> None:
    client = WorkspaceClient(
        host=platform.host,
        auth_type="azure-client-secret",
        azure_tenant_id=os.environ["AZURE_TENANT_ID"],
        azure_client_id=os.environ["AZURE_CLIENT_ID"],
        azure_client_secret=os.environ["AZURE_CLIENT_SECRET"],
    )
    assert client.current_user.me().user_name == os.environ["AZURE_CLIENT_ID"], "a Contributor comes in as admin"
    client.service_principals.create(application_id=platform.client_id, display_name="pipeline")
    folder = f"/Shared/{uuid.uuid4().hex}"
    client.workspace.mkdirs(folder)
    client.workspace.upload(f"{folder}/io.py", NOTEBOOK, format=ImportFormat.AUTO)

    def run() -> tuple[jobs.Run, jobs.RunOutput]:
        cluster = compute.ClusterSpec(
            spark_version="17.3.x-scala2.13",
            node_type_id="Standard_DS3_v2",
            is_single_node=True,
            kind=compute.Kind.CLASSIC_PREVIEW,
        )
        base = f"abfss://data@{platform.account}.dfs.core.windows.net/set"
        flat = f"abfss://data@{platform.flat}.dfs.core.windows.net"
        notebook = jobs.NotebookTask(f"{folder}/io", {"base": base, "flat": flat})
        task = jobs.SubmitTask("io", notebook_task=notebook, new_cluster=cluster)
        waiter = client.jobs.submit(tasks=[task], run_as=jobs.JobRunAs(service_principal_name=platform.client_id))
        done = client.jobs.wait_get_run_job_terminated_or_skipped(waiter.bind()["run_id"], timeout=timedelta(minutes=3))
        assert done.tasks is not None and done.tasks[0].run_id is not None
        return done, client.jobs.get_run_output(done.tasks[0].run_id)

    refused, output = run()
    assert refused.state is not None and refused.state.result_state == RunResultState.FAILED
    assert "AccessDeniedException" in (output.error or "") and "403" in (output.error or "")
    for account_id in (platform.account_id, platform.flat_id):
        azure.assign(account_id, "Storage Blob Data Contributor", platform.object_id)
    done, output = run()
    assert done.state is not None and done.state.result_state == RunResultState.SUCCESS, output.error_trace
    assert output.notebook_output is not None
    assert json.loads(output.notebook_output.result or "") == {
        "kept": [[1, 2.5]], "names": ["in/", "moved/", "out/"], "moved": ["a=1/", "a=3/"], "flat": 1,
    }  # fmt: skip


def test_a_token_for_another_service_does_not_open_the_workspace(azure: AzureSession, platform: Platform) -> None:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    with pytest.raises(Exception, match="Invalid access token") as caught:
        WorkspaceClient(host=platform.host, token=token, auth_type="pat").current_user.me()
    assert not isinstance(caught.value, PermissionDenied), "401, not 403: the token itself is refused"
