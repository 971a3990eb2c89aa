"""A program of a few resources through the real engine, from its first preview to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from localcloud.testing.azure_session import AzureSession, unique

_PROJECT = """
name: story
runtime:
  name: python
  options: {{toolchain: pip, virtualenv: {venv}}}
"""
_PROGRAM = """
import json
from pathlib import Path
import pulumi
from pulumi_azure_native import applicationinsights, databricks, managedidentity, resources, storage
settings = json.loads(Path("settings.json").read_text())
group = resources.ResourceGroup("group", resource_group_name=settings["group"], location="westeurope")
identity = managedidentity.UserAssignedIdentity(
    "identity", resource_group_name=group.name, location="westeurope", tags=settings["tags"]
)
account = storage.StorageAccount(
    "account", account_name=settings["account"], resource_group_name=group.name, kind="StorageV2",
    sku=storage.SkuArgs(name="Standard_LRS"), location="westeurope", is_hns_enabled=settings["hns"],
)
applicationinsights.Component(
    "insights", resource_name_="appi-story", resource_group_name=group.name, kind="web", application_type="web",
    location="westeurope",
)
workspace = databricks.Workspace(
    "workspace", workspace_name="dbw-story", resource_group_name=group.name, location="westeurope",
    compute_mode="Hybrid", sku=databricks.SkuArgs(name="premium"),
    managed_resource_group_id=group.id.apply(lambda id: id + "-managed"),
)
import pulumi_databricks as bricks
provider = bricks.Provider(
    "bricks", host=workspace.workspace_url.apply(lambda url: f"https://{{url}}"),
    azure_workspace_resource_id=workspace.id,
)
bricks.InstancePool(
    "pool", instance_pool_name="story", node_type_id="Standard_D4ds_v5", idle_instance_autotermination_minutes=10,
    opts=pulumi.ResourceOptions(provider=provider),
)
pulumi.export("blob", account.primary_endpoints.blob)
pulumi.export("identity", identity.name)
"""


@dataclass
class Stack:
    """A project folder of its own with state in it."""

    folder: Path
    environment: dict[str, str]
    settings: dict[str, Any]

    def set(self, **settings: Any) -> None:
        self.settings |= settings
        (self.folder / "settings.json").write_text(json.dumps(self.settings))

    def pulumi(self, *words: str, code: int = 0) -> str:
        completed = subprocess.run(
            ["pulumi", *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert completed.returncode == code, completed.stdout + completed.stderr
        return completed.stdout

    def steps(self, *words: str) -> dict[str, str]:
        """Return a preview's operations by logical name, without unchanged resources."""
        plan = json.loads(self.pulumi("preview", "--json", *words))
        operations = {step["urn"].rsplit("::", 1)[1]: step["op"] for step in plan["steps"]}
        return {name: op for name, op in operations.items() if op != "same"}

    def state(self) -> dict[str, Any]:
        exported = json.loads(self.pulumi("stack", "export"))
        return {resource["urn"].rsplit("::", 1)[1]: resource for resource in exported["deployment"]["resources"]}


@pytest.fixture(scope="module")
def stack(azure: AzureSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("story")
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text(_PROJECT.format(venv=sys.prefix))
    (folder / "__main__.py").write_text(_PROGRAM.format())
    environment = dict(os.environ) | {
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}", "PULUMI_CONFIG_PASSPHRASE": "story",
    }  # fmt: skip
    environment.pop("PULUMI_CONFIG_PASSPHRASE_FILE", None)
    stack = Stack(folder, environment, {})
    stack.set(group=unique("rg-"), account=unique("st"), hns=False, tags={"team": "one"})
    stack.pulumi("stack", "init", "local")
    yield stack
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert azure.arm("GET", f"{azure.subscription}/resourceGroups/{stack.settings['group']}", "2024-03-01").ok is False


@pytest.mark.nightly
def test_a_program_is_created_updated_and_destroyed(stack: Stack, azure: AzureSession) -> None:
    """One test, because each step starts where the one before ended."""
    assert set(stack.steps().values()) == {"create"}, "a preview with nothing there yet, the host unknown"

    stack.pulumi("up", "--yes", "--skip-preview")
    assert stack.steps() == {}, "nothing differs straight after"
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")

    text = stack.pulumi("stack", "export")
    resources = stack.state()
    assert resources["identity"]["outputs"]["name"].startswith("identity")
    for name in ("instrumentationKey", "connectionString"):
        assert "ciphertext" in resources["insights"]["outputs"][name], "keys are sealed in state"
    assert "InstrumentationKey=" not in text

    identity = resources["identity"]["id"]
    azure.put(identity, "2023-01-31", {"location": "westeurope", "tags": {"team": "another"}})
    stack.pulumi("refresh", "--yes", "--skip-preview")
    assert stack.steps() == {"identity": "update"}, "drift is seen and would be put right"

    stack.set(hns=True, tags={"team": "two"})
    assert stack.steps() == {"identity": "update", "account": "replace"}
    stack.pulumi("up", "--yes", "--skip-preview")
    assert stack.state()["account"]["outputs"]["isHnsEnabled"] is True
    assert azure.arm("GET", identity, "2023-01-31").json()["tags"] == {"team": "two"}


@pytest.mark.nightly
def test_a_refused_resource_is_named_with_a_failing_exit_code(stack: Stack) -> None:
    kept = stack.settings["account"]
    stack.set(account="Not_A_Name")

    printed = stack.pulumi("up", "--yes", "--skip-preview", code=1)

    assert 'Status=400 Code="AccountNameInvalid"' in printed
    assert "Traceback" not in printed and "localcloud" not in printed
    stack.set(account=kept)
    stack.pulumi("up", "--yes", "--skip-preview")


@pytest.mark.nightly
def test_an_existing_resource_is_imported(stack: Stack, azure: AzureSession) -> None:
    group = f"{azure.subscription}/resourceGroups/{stack.settings['group']}"
    id_ = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-elsewhere"
    azure.put(id_, "2023-01-31", {"location": "westeurope", "tags": {"made": "elsewhere"}})
    type_ = "azure-native:managedidentity:UserAssignedIdentity"

    stack.pulumi("import", type_, "elsewhere", id_, "--yes", "--protect=false", "--generate-code=false")

    assert stack.state()["elsewhere"]["inputs"]["tags"] == {"made": "elsewhere"}
    stack.pulumi("up", "--yes", "--skip-preview")
    assert azure.arm("GET", id_, "2023-01-31").status_code == 404, "the program does not declare it"
