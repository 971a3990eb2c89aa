"""The main job's data, its registered versions as the vendor's client reads them, and runs that its contract stops."""

from __future__ import annotations

import re
from pathlib import Path

from tests.e2e.conftest import ROOT, Machine, Result

DATA = ROOT / "data" / "diabetes.csv"
_REGISTERED = """
import os
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential
from contract.outputs import PlatformOutputs
import json, subprocess
outputs = json.loads(subprocess.check_output(["pulumi", "stack", "output", "--json", "-s", "local"]))
names = (outputs[name] for name in ("subscription_id", "resource_group", "workspace_name"))
client = MLClient(DefaultAzureCredential(), *names)
print("versions", sorted(int(m.version) for m in client.models.list(name="diabetes")))
"""


def registered_versions(machine: Machine) -> list[int]:
    """Return the versions of the model from the vendor's client, not ours."""
    script = machine.python(_REGISTERED)
    assert script.code == 0, script.text
    versions = re.search(r"^versions \[(.*)\]$", script.text, re.MULTILINE)
    assert versions, script.text
    return [int(version) for version in versions[1].split(",") if version.strip()]


def data_file(folder: Path, name: str, text: str) -> Path:
    """Write a file of training data."""
    path = folder / f"{name}.csv"
    path.write_text(text, encoding="utf-8")
    return path


def assert_refused_by_contract(up: Result, reason: str) -> None:
    """Assert that the check of the data failed for a reason, after engineering and before training."""
    assert up.code != 0, up.text
    assert re.search(r"feature_engineering\b.*Completed", up.text), up.text
    assert re.search(r"check_data\b.*Failed", up.text), up.text
    assert reason in " ".join(up.text.split()), f"the step's own error should have {reason!r}:\n{up.text}"
    assert not re.search(r"\btrain\b.*Completed", up.text), up.text
    assert "Traceback" not in up.text
