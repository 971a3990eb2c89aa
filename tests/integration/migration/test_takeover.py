"""Resources made outside Pulumi are taken over by the real engine, and the next preview replaces none of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from localcloud.testing.azure_session import AzureSession

from tests.integration.migration.sample import Sample

ROOT = Path(__file__).resolve().parents[3]
BASE = "tfmoved"


def _run(environment: dict[str, str], *words: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(words), cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return the platform's project with a stack `dev` of its own; the settings in the repository stay unchanged."""
    for name in ("infra", "contract", "declarations", "__main__.py", "Pulumi.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "Pulumi.dev.yaml").write_text(
        f"""config:
  dataopsml:base_name: {BASE}
  dataopsml:location: westeurope
  dataopsml:owner: mlops@example.com
  dataopsml:cost_center: research
  dataopsml:key_vault:
    soft_delete_days: 7
    purge_protection: false
  dataopsml:training_data:
    replication: LRS
  dataopsml:databricks:
    managed_resource_group: databricks-rg-rg-{BASE}-dev
"""
    )
    return tmp_path


@pytest.fixture
def environment(azure: AzureSession, cloud: Any, tmp_path: Path) -> dict[str, str]:
    state = tmp_path / "state"
    state.mkdir()
    return {
        **os.environ, **cloud.environment, "PULUMI_BACKEND_URL": f"file://{state}",
        "PULUMI_CONFIG_PASSPHRASE": "test", "PULUMI_CONFIG_PASSPHRASE_FILE": "",
    }  # fmt: skip


@pytest.mark.nightly
def test_the_sample_is_imported_and_none_of_its_resources_are_replaced(
    azure: AzureSession, project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    sample = Sample(azure, BASE, "dev")
    sample.make()
    state = tmp_path / "terraform.tfstate"
    state.write_text(json.dumps(sample.state))
    ran = _run(environment, "pulumi", "stack", "init", "dev", "--non-interactive", folder=project)
    assert ran.returncode == 0, ran.stderr
    file, report = tmp_path / "import.json", tmp_path / "report.md"
    words = ("--stack", "dev", "--output", str(file), "--report", str(report), "--project", str(project))
    moved = _run(environment, sys.executable, "-m", "migration", str(state), *words)
    assert moved.returncode == 0, moved.stderr + moved.stdout
    assert "10 of 10 resources" in moved.stdout
    assert "secret" not in file.read_text() + report.read_text(), "keys in Terraform's state stay there"
    assert "allowSharedKeyAccess is on, the stack has off" in report.read_text()
    imported = _run(
        environment, "pulumi", "import", "--stack", "dev", "--file", str(file), "--generate-code=false",
        "--protect=false", "--yes", "--non-interactive", folder=project,
    )  # fmt: skip
    assert imported.returncode == 0, imported.stderr + imported.stdout
    show = ("pulumi", "preview", "--stack", "dev", "--json", "--show-sames", "--non-interactive")
    preview = _run(environment, *show, folder=project)
    assert preview.returncode == 0, preview.stderr + preview.stdout
    steps = {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in json.loads(preview.stdout)["steps"]}
    addresses = {resource["name"] for resource in json.loads(file.read_text())["resources"]}
    assert len(addresses) > 10, "with the components that hold them"
    assert {name: steps[name] for name in addresses if steps[name] not in {"same", "update"}} == {}
    assert not {op for op in steps.values() if "replace" in op or "delete" in op}, steps
    up = _run(
        environment, "pulumi", "up", "--stack", "dev", "--yes", "--skip-preview", "--non-interactive", folder=project
    )
    assert up.returncode == 0, up.stderr + up.stdout
    again = _run(environment, sys.executable, "-m", "migration", str(state), *words)
    assert again.returncode == 0, again.stderr
    assert json.loads(file.read_text()) == {"resources": []}, "what the stack has is not imported twice"


@pytest.mark.nightly
def test_resources_that_cannot_be_imported_are_named_and_set_the_exit_code(
    azure: AzureSession, project: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    other = Sample(azure, "elsewhere", "dev")
    group = {"id": other.group, "name": "rg-elsewhere-dev", "location": "westeurope"}
    resource = {
        "mode": "managed", "type": "azurerm_resource_group", "name": "old", "instances": [{"attributes": group}],
    }  # fmt: skip
    state = tmp_path / "terraform.tfstate"
    state.write_text(json.dumps({"version": 4, "resources": [resource]}))
    ran = _run(environment, "pulumi", "stack", "init", "dev", "--non-interactive", folder=project)
    assert ran.returncode == 0, ran.stderr
    file, report = tmp_path / "import.json", tmp_path / "report.md"
    words = ("--stack", "dev", "--output", str(file), "--report", str(report), "--project", str(project))
    moved = _run(environment, sys.executable, "-m", "migration", str(state), *words)
    assert moved.returncode == 2, moved.stderr + moved.stdout
    assert "no counterpart: azurerm_resource_group.old" in moved.stderr
    assert "the stack declares `rg-tfmoved-dev`" in report.read_text()
    state.write_text(json.dumps({"version": 3, "modules": []}))
    refused = _run(environment, sys.executable, "-m", "migration", str(state), *words)
    assert refused.returncode == 1 and "format 3" in refused.stderr and "Traceback" not in refused.stderr
    settings = project / "Pulumi.dev.yaml"
    settings.write_text(settings.read_text().replace("westeurope", "atlantis"))
    state.write_text(json.dumps({"version": 4, "resources": [resource]}))
    invalid = _run(environment, sys.executable, "-m", "migration", str(state), *words)
    assert invalid.returncode == 1 and "atlantis" in invalid.stderr, invalid.stderr
