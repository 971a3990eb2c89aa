"""The targets that change or compare a stack, with the real engine: messages on drift and on a second pipeline."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.workspace_session import wait_for

from infra.stack_file import ROOT
from pipelines.agent import devops
from tests.unit.http_service import Service
from tests.unit.pipelines.azure_devops import TOKEN, AzureDevOps

_PROJECT = """
name: dataopsml
runtime:
  name: python
  options: {{toolchain: pip, virtualenv: {venv}}}
"""
_PROGRAM = """
import time
from pathlib import Path
import pulumi
from pulumi_azure_native import resources, storage
while Path("wait").exists():
    time.sleep(0.05)
group = resources.ResourceGroup(
    "group", resource_group_name={name!r}, location="westeurope", tags={{"owner": "mlops@example.com"}}
)
account = storage.StorageAccount(
    "account", account_name={account!r}, resource_group_name=group.name, kind="StorageV2",
    location="westeurope", sku={{"name": "Standard_LRS"}},
)
storage.BlobServiceProperties(
    "blobs", blob_services_name="default", account_name=account.name, resource_group_name=group.name
)
"""


@dataclass(frozen=True)
class Project:
    """A stack `dev` of one resource group, in a folder where the pipelines' targets run."""

    folder: Path
    environment: dict[str, str]
    group: str

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )

    def make(self, target: str, *words: str) -> subprocess.CompletedProcess[str]:
        python = f"PYTHON_BIN={ROOT / '.venv/bin/python'}"
        return self.run("make", "-I", str(ROOT), "-f", str(ROOT / "Makefile"), target, "STACK=dev", python, *words)

    def drift(self) -> tuple[int, str]:
        """Run the target; return its exit code and the text for a work item."""
        completed = self.make("drift")
        assert (self.folder / "build/drift-dev.txt").exists(), completed.stdout + completed.stderr
        return completed.returncode, (self.folder / "build/drift-dev.txt").read_text(encoding="utf-8")


@pytest.fixture
def project(azure: AzureSession, tmp_path: Path) -> Iterator[Project]:
    group = unique("rg-")
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(_PROJECT.format(venv=ROOT / ".venv"), encoding="utf-8")
    (tmp_path / "Pulumi.dev.yaml").write_text("config: {}\n", encoding="utf-8")
    (tmp_path / "__main__.py").write_text(
        _PROGRAM.format(name=group, account=unique("st").replace("-", "")), encoding="utf-8"
    )
    environment = dict(os.environ) | {
        "PULUMI_BACKEND_URL": f"file://{tmp_path / 'state'}", "PULUMI_CONFIG_PASSPHRASE": "drift",
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    for name in ("PULUMI_CONFIG_PASSPHRASE_FILE", "BASE_NAME", "LOCATION", "TF_BUILD"):
        environment.pop(name, None)
    project = Project(tmp_path, environment, f"{azure.subscription}/resourceGroups/{group}")
    for words in (("stack", "init", "dev"), ("up", "--yes", "--skip-preview", "--stack", "dev")):
        completed = project.run("pulumi", *words)
        assert completed.returncode == 0, completed.stdout + completed.stderr
    yield project
    project.run("pulumi", "destroy", "--yes", "--skip-preview", "--stack", "dev")


def test_a_manually_changed_resource_fails_the_check_and_is_shown(
    project: Project, azure: AzureSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, report = project.drift()
    assert code == 0, report

    azure.put(project.group, "2024-03-01", {"location": "westeurope", "tags": {"owner": "nobody@example.com"}})
    code, report = project.drift()

    assert code != 0
    assert "nobody@example.com" in report and "mlops@example.com" in report
    assert _work_item(project, monkeypatch) == "Drift of stack dev", "and no failure of the check"
    content = azure.arm("GET", project.group, "2024-03-01").json()
    assert content["tags"] == {"owner": "nobody@example.com"}, "looking changes nothing"
    assert project.drift()[0] != 0, "not even in the state: the next night says it again"


@pytest.mark.nightly
def test_values_that_azure_fills_in_are_no_drift_and_manual_values_are(project: Project) -> None:
    """The state is as a refresh by the vendor's provider leaves it: with the service's values among the inputs."""
    exported = project.run("pulumi", "stack", "export", "--stack", "dev").stdout

    def drift_with(cors: dict[str, list[dict[str, str]]]) -> tuple[int, str]:
        state = json.loads(exported)
        for resource in state["deployment"]["resources"]:
            if resource["type"] == "azure-native:storage:BlobServiceProperties":
                for inputs in (resource["inputs"], resource["outputs"]["__inputs"]):
                    inputs["cors"] = cors
        (project.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
        imported = project.run("pulumi", "stack", "import", "--stack", "dev", "--file", "state.json")
        assert imported.returncode == 0, imported.stderr
        return project.drift()

    code, report = drift_with({"corsRules": []})
    assert code == 0, report
    assert "issues/1700" in report and "Drift:" not in report
    code, report = drift_with({"corsRules": [{"allowedOrigins": "*"}]})
    assert code != 0
    assert "Drift: azure-native:storage:BlobServiceProperties blobs: cors" in report


@pytest.mark.nightly
def test_an_impossible_comparison_names_its_reason(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.folder / "__main__.py").write_text("raise RuntimeError('no such program')", encoding="utf-8")

    code, report = project.drift()

    assert code != 0
    assert report.startswith("The preview did not succeed.") and "no such program" in report
    assert _work_item(project, monkeypatch) == "The drift check of stack dev failed"


@pytest.mark.nightly
def test_a_second_pipeline_gets_the_lock_holder_s_name_and_changes_nothing(project: Project) -> None:
    waits = project.folder / "wait"
    waits.touch()
    locks = project.folder / "state/.pulumi/locks"
    first = subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", "dev"],
        cwd=project.folder, env=project.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        wait_for(lambda: list(locks.rglob("*.json")), bool)
        second = project.make("deploy", "POLICY=")
    finally:
        waits.unlink()
        output, _ = first.communicate(timeout=120)

    assert first.returncode == 0, output
    assert second.returncode != 0
    assert "the stack is currently locked by 1 lock(s)" in second.stderr
    assert f"{getpass.getuser()}@{socket.gethostname()} (pid {first.pid})" in second.stderr
    assert project.make("deploy", "POLICY=").returncode == 0, "once the first is done"


def _work_item(project: Project, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the title of the work item that `make work-item` opens."""
    boards = AzureDevOps()
    with Service(boards.serve) as running:
        variables = {
            "SYSTEM_COLLECTIONURI": f"{running.url}/org/", "SYSTEM_TEAMPROJECTID": "9c1f4f8e-project",
            "SYSTEM_ACCESSTOKEN": TOKEN, "BUILD_BUILDID": "4711",
        }  # fmt: skip
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        devops.work_item("dev", project.folder / "build/drift-dev.txt")
    (item,) = boards.items
    return str(item["fields"]["System.Title"])
