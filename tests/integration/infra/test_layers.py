"""A stack of the commit before the program's layers goes on with them: no resource is replaced or deleted.

The earlier program comes from the repository's history: pytest -m upgrade
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

from infra.stack_file import PROJECT, ROOT
from tests.integration.infra.project import PARTS, Project

pytestmark = [pytest.mark.upgrade, pytest.mark.timeout(1800)]
EARLIER = "e8fdced"
_OPEN = ({"lock": True, "protect": False}, {"lock": False, "protect": False})
"""Protection comes off first, then the lock, each with an update."""
_FORGETTABLE = {"key_vault": {"soft_delete_days": 7, "purge_protection": False}}


@pytest.fixture(scope="module")
def earlier(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The program of the earlier commit."""
    source, folder = tmp_path_factory.mktemp("earlier"), tmp_path_factory.mktemp("projects") / "earlier"
    kept = [part for part in PARTS if part != ".venv" and part != "declarations"]
    archive = subprocess.run(["git", "archive", EARLIER, *kept], cwd=ROOT, capture_output=True, check=False)
    assert archive.returncode == 0, f"the history lacks {EARLIER}: fetch it, such as with `git fetch --unshallow`"
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive.stdout, check=True)
    (source / ".venv").symlink_to(ROOT / ".venv")
    return Project.make(folder, cloud.environment, source)


@pytest.fixture(scope="module")
def now(cloud: Cloud, earlier: Project) -> Project:
    return Project.make(earlier.folder.with_name("now"), cloud.environment)


def _config(stack: str) -> dict[str, Any]:
    """Return the settings of a stack of this repository, under a base name that no other test has."""
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    settings = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}
    return settings | {"base_name": f"t{secrets.token_hex(4)}"} | _FORGETTABLE


@pytest.fixture(params=["local", "prod"])
def stack(request: pytest.FixtureRequest, earlier: Project, now: Project, azure: AzureSession) -> Iterator[str]:
    """A stack that the earlier program has deployed, with the settings, locks and protection of its kind."""
    name, config = str(request.param), _config(request.param)
    for project in (earlier, now):
        project.settings(name, config)
    made = earlier.pulumi("stack", "init", stack=name)
    assert made.code == 0, made.text
    up = earlier.up(name)
    assert up.code == 0, up.text
    (now.folder / f"Pulumi.{name}.yaml").write_text((earlier.folder / f"Pulumi.{name}.yaml").read_text())
    yield name
    for protection in _OPEN:
        now.settings(name, config | {"protection": protection})
        freed = now.up(name)
        assert freed.code == 0, freed.text
    for words in (("destroy", "--yes", "--skip-preview"), ("stack", "rm", "--yes")):
        done = now.pulumi(*words, stack=name)
        assert done.code == 0, done.text


def test_nothing_is_replaced_or_deleted(stack: str, now: Project) -> None:
    preview = now.pulumi("preview", "--json", stack=stack)

    assert preview.code == 0, preview.text
    steps = json.loads(preview.text[preview.text.index("{") :])["steps"]
    changed = {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] != "same"}
    assert changed == {"learning": "create"}, "the new component is all that an update makes"
    holding = [resource for resource in now.resources(stack) if resource["type"].endswith(":ManagementLockByScope")]
    assert all(lock["protect"] for lock in holding)
    assert bool(holding) == (stack == "prod")
