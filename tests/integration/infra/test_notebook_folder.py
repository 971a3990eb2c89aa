"""The folder of the platform's notebooks on the real engine: on a new stack, and an old one with it below /Shared."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.workspace import ImportFormat, Language
from localcloud.databricks.access import APPLICATION_ID
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.principals import IdentityCredential

from infra.stack_file import ROOT

_PROJECT = "name: dataopsml\nruntime:\n  name: python\n  options: {{toolchain: pip, virtualenv: {venv}}}\n"
_COMMON = """
import os
import pulumi
import pulumi_databricks as databricks

HOST, WORKSPACE, CLIENT = (os.environ[name] for name in ("DBX_HOST", "DBX_WORKSPACE", "DBX_CLIENT"))


class Workspace(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("tests:databricks:Workspace", "workspace")


workspace = Workspace()
"""
# Declared as in commit 3019f3b.
_EARLIER = """
class NotebookRuns(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("dataopsml:databricks:NotebookRuns", name)
        own = pulumi.ResourceOptions(parent=self)
        provider = databricks.Provider(
            f"{name}-provider", host=HOST, azure_workspace_resource_id=WORKSPACE, opts=own
        )
        child = pulumi.ResourceOptions(
            parent=self, provider=provider, replace_with=[workspace], deleted_with=workspace
        )
        folder = databricks.Directory(
            f"{name}-folder", path="/Shared/AzureMLDeployed", delete_recursive=True, opts=child
        )
        principal = databricks.ServicePrincipal(
            f"{name}-identity", application_id=CLIENT, display_name="id-tests", opts=child
        )
        databricks.Permissions(
            f"{name}-folder-read",
            directory_path=folder.path,
            access_controls=[
                databricks.PermissionsAccessControlArgs(
                    service_principal_name=principal.application_id, permission_level="CAN_READ"
                )
            ],
            opts=child,
        )


NotebookRuns("runs")
"""
_NOW = """
from infra.notebook_runs import NotebookRuns, NotebookRunsArgs
from infra.placement import Placement
from infra.settings import DatabricksSettings

runs = NotebookRuns(
    "runs",
    NotebookRunsArgs(
        placement=Placement(
            resource_group_name="none", location="westeurope", tags={}, subscription_id="none", tenant_id="none"
        ),
        settings=DatabricksSettings(availability="spot"),
        workspace=workspace,
        host=HOST,
        workspace_id=WORKSPACE,
        client_id=CLIENT,
        identity_name="id-tests",
        depends_on=[],
    ),
)
pulumi.export("folder", runs.folder)
"""
_EARLIER_NOTEBOOK = "/Shared/AzureMLDeployed/0123456789abcdef/feature_engineering"


@dataclass
class Stack:
    """A stack with notebook runs alone, in a Databricks workspace of its own."""

    folder: Path
    admin: WorkspaceClient
    identity: WorkspaceClient
    environment: dict[str, str] = field(repr=False)

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(_COMMON + text, encoding="utf-8")

    def pulumi(self, *words: str) -> str:
        completed = subprocess.run(
            ["pulumi", "--non-interactive", *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert completed.returncode == 0, completed.stdout
        return completed.stdout

    def up(self) -> str:
        return self.pulumi("up", "--yes", "--skip-preview")

    def upload(self, client: WorkspaceClient, path: str, text: str) -> None:
        source = f"# Databricks notebook source\n{text}\n".encode()
        client.workspace.mkdirs(path.rsplit("/", 1)[0])
        client.workspace.upload(path, source, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True)

    def read(self, client: WorkspaceClient, path: str) -> str:
        return client.workspace.download(path).read().decode()


@pytest.fixture
def stack(cloud: Cloud, azure: AzureSession, tmp_path: Path) -> Iterator[Stack]:
    group = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    body: dict[str, Any] = {
        "location": "westeurope", "sku": {"name": "premium"},
        "properties": {"computeMode": "Hybrid", "managedResourceGroupId": f"{group}-managed"},
    }  # fmt: skip
    workspace = f"{group}/providers/Microsoft.Databricks/workspaces/{unique('dbw-')}"
    host = f"https://{azure.put(workspace, '2026-01-01', body)['properties']['workspaceUrl']}"
    identity_id = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-tests"
    identity = azure.put(identity_id, "2023-01-31", {"location": "westeurope"})["properties"]
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(_PROJECT.format(venv=ROOT / ".venv"), encoding="utf-8")
    environment = dict(os.environ) | {
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}", "PULUMI_CONFIG_PASSPHRASE": "tests",
        "PYTHONPATH": str(ROOT), "DBX_HOST": host, "DBX_WORKSPACE": workspace, "DBX_CLIENT": identity["clientId"],
    }  # fmt: skip

    def client(credential: Any) -> WorkspaceClient:
        token = credential.get_token(f"{APPLICATION_ID}/.default").token
        return WorkspaceClient(host=host, token=token, auth_type="pat")

    stack = Stack(
        tmp_path, client(azure.credential), client(IdentityCredential(cloud, identity["principalId"])), environment
    )
    stack.pulumi("stack", "init", "it")
    yield stack
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


def test_the_pipeline_s_identity_reads_its_notebooks_and_changes_none(stack: Stack) -> None:
    stack.program(_NOW)
    stack.up()
    folder = stack.pulumi("stack", "output", "folder").strip()
    notebook = f"{folder}/0123456789abcdef/feature_engineering"
    stack.upload(stack.admin, notebook, "published = True")

    assert "published = True" in stack.read(stack.identity, notebook)
    for change in (
        lambda: stack.upload(stack.identity, notebook, "published = False"),
        lambda: stack.upload(stack.identity, f"{folder}/0123456789abcdef/lib/more", ""),
        lambda: stack.identity.workspace.delete(notebook),
        lambda: stack.identity.workspace.delete(folder, recursive=True),
        lambda: stack.identity.workspace.mkdirs(f"{folder}-of-mine"),
        lambda: stack.identity.workspace.mkdirs("/of-mine"),
    ):
        with pytest.raises(PermissionDenied, match="does not have CAN_"):
            change()
    assert "published = True" in stack.read(stack.admin, notebook)
    assert [item.path for item in stack.admin.workspace.list("/Shared")] == []


@pytest.mark.nightly
def test_an_earlier_stack_keeps_the_notebooks_of_its_deployments(stack: Stack) -> None:
    stack.program(_EARLIER)
    stack.up()
    stack.upload(stack.admin, _EARLIER_NOTEBOOK, "published = True")
    stack.upload(stack.identity, _EARLIER_NOTEBOOK, "published = False")  # the reason to move them

    stack.program(_NOW)
    output = stack.up()

    assert "published = False" in stack.read(stack.identity, _EARLIER_NOTEBOOK), output
    assert stack.pulumi("stack", "output", "folder").strip() == "/dataopsml/notebooks"
    stack.pulumi("preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert "published = False" in stack.read(stack.admin, _EARLIER_NOTEBOOK)
