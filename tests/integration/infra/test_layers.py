"""Updates of stacks of earlier programs replace and delete nothing, beside the replacements of docs/upgrading.md.

The earlier programs come from the repository's history: pytest -m upgrade
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud

from declarations.training_pipelines import additional_pipelines, watched_models
from infra.stack_file import PROJECT, ROOT
from tests.integration.infra.project import PARTS, Project

pytestmark = [pytest.mark.upgrade, pytest.mark.timeout(1800)]
BEFORE_LAYERS = "e8fdced"
"""The commit before the program had layers: an update from it creates the new component and changes nothing else."""
BEFORE_AZURE = "3019f3b"
"""An older commit, whose stacks docs/upgrading.md is about."""
_REPLACED = {BEFORE_LAYERS: {}, BEFORE_AZURE: {"runs-folder-read": "replace"}}
"""Replaced resources: the permission to read notebooks goes to their new folder (docs/upgrading.md, step 5)."""
_OPEN = ({"lock": True, "protect": False}, {"lock": False, "protect": False})
"""Protection comes off first, then the lock, each with an update."""
_FORGETTABLE = {"key_vault": {"soft_delete_days": 7, "purge_protection": False}}
_LATER = (".venv", "declarations", "steps")
"""Resources that the earlier commits lack."""


@pytest.fixture(scope="module", params=[BEFORE_LAYERS, BEFORE_AZURE])
def commit(request: pytest.FixtureRequest) -> str:
    """Return the commit whose program deploys the stack."""
    return str(request.param)


@pytest.fixture(scope="module")
def earlier(commit: str, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project with the program of the earlier commit."""
    source, folder = tmp_path_factory.mktemp("earlier"), tmp_path_factory.mktemp("projects") / "earlier"
    kept = [part for part in PARTS if part not in _LATER]
    archive = subprocess.run(["git", "archive", commit, *kept], cwd=ROOT, capture_output=True, check=False)
    assert archive.returncode == 0, f"the history lacks {commit}: fetch it, such as with `git fetch --unshallow`"
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    (source / ".venv").symlink_to(ROOT / ".venv")
    return Project.make(folder, cloud.environment, source)


@pytest.fixture(scope="module")
def now(cloud: Cloud, earlier: Project) -> Project:
    return Project.make(earlier.folder.with_name("now"), cloud.environment)


_SCORING = {
    "catalog-scoring-files-location": "create", "catalog-scoring-files-location-grants": "create",
    "storage-training-lifecycle": "update",
}  # fmt: skip
"""Resources that files to be scored need: the notebooks' way to read them, and the rules that delete them."""
_WATCHING = {
    "insights-monitoring-metrics-publisher-pipeline": "create", "model-alerts": "create",
    "workbook": "create", "workbook-runs": "create",
    **{f"model-alerts-watch-{model}": "create" for model in watched_models()},
}  # fmt: skip
"""Resources that watched models need: the right to send metrics, alerts on them, and the page that shows them."""


def _config(text: str) -> dict[str, Any]:
    """Return the settings of a stack's file, with a vault that a test can remove."""
    config = yaml.safe_load(text)["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()} | _FORGETTABLE


def _earlier_config(commit: str, stack: str) -> dict[str, Any]:
    """Return the settings that the stack had at a commit."""
    shown_config = subprocess.run(
        ["git", "show", f"{commit}:Pulumi.{stack}.yaml"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return _config(shown_config.stdout)


@pytest.fixture(params=["local", "prod"])
def stack(
    request: pytest.FixtureRequest, commit: str, earlier: Project, now: Project, azure: AzureSession
) -> Iterator[str]:
    """Deploy a stack with the earlier program and its own settings, locks and protection; return the stack's name."""
    name, base = str(request.param), {"base_name": f"t{secrets.token_hex(4)}"}
    config = _config((ROOT / f"Pulumi.{name}.yaml").read_text(encoding="utf-8")) | base
    if commit == BEFORE_AZURE:
        config |= {"workspace_storage": {"replication": "LRS"}}  # as the account is: docs/upgrading.md, step 3
    earlier.settings(name, _earlier_config(commit, name) | base)
    init = earlier.pulumi("stack", "init", stack=name)
    assert init.code == 0, init.text
    # Resources are made one at a time: the older program has private endpoints to one account made at once, which
    # Azure refuses with StorageAccountOperationInProgress.
    up = earlier.pulumi("up", "--yes", "--skip-preview", "--parallel", "1", stack=name)
    assert up.code == 0, up.text
    (now.folder / f"Pulumi.{name}.yaml").write_text((earlier.folder / f"Pulumi.{name}.yaml").read_text())
    now.settings(name, config)
    yield name
    for protection in _OPEN:
        now.settings(name, config | {"protection": protection})
        freed = now.up(name)
        assert freed.code == 0, freed.text
    for words in (("destroy", "--yes", "--skip-preview"), ("stack", "rm", "--yes")):
        completed = now.pulumi(*words, stack=name)
        assert completed.code == 0, completed.text


def test_nothing_is_replaced_or_deleted(stack: str, commit: str, now: Project) -> None:
    preview = now.pulumi("preview", "--json", stack=stack)

    assert preview.code == 0, preview.text
    steps = json.loads(preview.text[preview.text.index("{") :])["steps"]
    changed = {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] != "same"}
    if commit == BEFORE_LAYERS:
        endpoints = {f"learning-endpoint-{pipeline}": "create" for pipeline in additional_pipelines()}
        assert changed == {"learning-training": "create"} | endpoints | _SCORING | _WATCHING, (
            "an update makes nothing else"
        )
    replaced = {name: operation for name, operation in changed.items() if operation not in ("create", "update")}
    assert replaced == _REPLACED[commit]
    holding = [resource for resource in now.resources(stack) if resource["type"].endswith(":ManagementLockByScope")]
    assert all(lock["protect"] for lock in holding)
    assert bool(holding) == (stack == "prod")
