"""The variables of `make env` are enough for each kind of client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud

_CLIENTS = {
    "azure-identity and azure-mgmt-resource": """
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.resource.resources import ResourceManagementClient
        client = ResourceManagementClient(DefaultAzureCredential(), os.environ["AZURE_SUBSCRIPTION_ID"])
        print("rg-localcloud-state" in [group.name for group in client.resource_groups.list()])
    """,
    "azure-storage-blob": """
        from azure.identity import DefaultAzureCredential
        from azure.storage.blob import ContainerClient
        url = "https://stlocalcloudstate.blob.core.windows.net/state"
        container = ContainerClient.from_container_url(url, DefaultAzureCredential())
        container.upload_blob("probe", b"x", overwrite=True)
        print(container.download_blob("probe").readall() == b"x")
    """,
    "mlflow": """
        import mlflow
        with mlflow.start_run() as run:
            mlflow.log_metric("rmse", 1.5)
        print(mlflow.get_run(run.info.run_id).data.metrics == {"rmse": 1.5})
    """,
}


def _only(cloud: Cloud, home: Path, **more: str) -> dict[str, str]:
    return {**cloud.environment, "HOME": str(home), "LANG": "C.UTF-8", **more}


def _python(cloud: Cloud, home: Path, script: str, **more: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-c", "import os\n" + dedent(script)], env=_only(cloud, home, **more), cwd=home,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.splitlines()[-1]


@pytest.mark.parametrize("client", _CLIENTS)
def test_a_client_needs_nothing_else(cloud: Cloud, tmp_path: Path, client: str) -> None:
    assert _python(cloud, tmp_path, _CLIENTS[client]) == "True"


def test_databricks_sdk_needs_the_host_alone(cloud: Cloud, azure: AzureSession, group: str, tmp_path: Path) -> None:
    workspace = azure.put(
        f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}",
        "2026-01-01",
        {
            "location": "westeurope",
            "sku": {"name": "premium"},
            "properties": {"managedResourceGroupId": f"{group}-managed", "computeMode": "Hybrid"},
        },
    )
    script = """
        from databricks.sdk import WorkspaceClient
        client = WorkspaceClient()
        print(client.config.auth_type, client.current_user.me().user_name)
    """
    host = f"https://{workspace['properties']['workspaceUrl']}"
    output = _python(cloud, tmp_path, script, DATABRICKS_HOST=host)
    assert output == f"azure-client-secret {cloud.environment['AZURE_CLIENT_ID']}"


def test_the_engine_keeps_its_state_in_the_container(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: empty\nruntime: python\n")
    (tmp_path / "__main__.py").write_text("")
    stack = unique("s")

    def pulumi(*words: str) -> str:
        completed = subprocess.run(
            ["pulumi", *words, "--non-interactive"], env=_only(cloud, tmp_path), cwd=tmp_path,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert completed.returncode == 0, completed.stderr + completed.stdout
        return completed.stdout

    assert "azblob://state" in pulumi("login")
    pulumi("stack", "init", stack)
    assert stack in [stack["name"] for stack in json.loads(pulumi("stack", "ls", "--json"))]
    pulumi("stack", "rm", stack, "--yes")


def test_curl_trusts_and_reaches_localcloud(cloud: Cloud, tmp_path: Path) -> None:
    completed = subprocess.run(
        ["curl", "-sS", "-o", os.devnull, "-w", "%{http_code}", "https://management.azure.com/subscriptions"],
        env=_only(cloud, tmp_path), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (completed.stdout, completed.stderr) == ("401", "")
