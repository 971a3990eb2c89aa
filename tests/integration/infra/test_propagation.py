"""A first deployment where roles take time to have effect."""

from __future__ import annotations

import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localcloud.cli.env import variables
from localcloud.core.settings import Settings, load_settings
from localcloud.engine import provision
from localcloud.testing.cloud import Cloud, free_port

from contract.resource_providers import RESOURCE_PROVIDERS
from infra.stack_file import ROOT
from tests.integration.infra.project import Project
from tests.integration.infra.test_unity_catalog import SPARK_CONF

COMMON = {"location": "westeurope", "owner": "mlops@example.com", "cost_center": "tests"}
FORGOTTEN = {"key_vault": {"soft_delete_days": 7, "purge_protection": False}}
OPERATION, ROLES = 3.0, 4.5
"""Seconds: longer than one operation, and shorter than the two between the roles and the workspace."""
ENGINE = """#!{python}
import os, subprocess, sys, requests
from azure.identity import ClientSecretCredential
code = subprocess.run(["pulumi", *sys.argv[1:]], close_fds=False).returncode  # the event log is a descriptor
names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")
credential = ClientSecretCredential(*(os.environ[name] for name in names))
token = credential.get_token("https://management.azure.com/.default").token
answer = requests.post("{url}", json={{"seconds": 0}}, headers={{"Authorization": "Bearer " + token}}, timeout=60)
sys.exit(code if answer.ok else 3)
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Start a localcloud whose operations take seconds, and whose roles take longer than an operation."""
    settings = Settings(home=tmp_path_factory.mktemp("slow") / "home", port=free_port(), cache=load_settings().cache)
    provision.ensure(settings)
    cloud = Cloud(settings, {})
    register = ",".join(RESOURCE_PROVIDERS)
    started = cloud.command(
        "start", "--register", register, LOCALCLOUD_OPERATION_SECONDS=str(OPERATION), LOCALCLOUD_ROLE_SECONDS=str(ROLES)
    )
    try:
        assert started.returncode == 0, started.stderr + started.stdout
        cloud.environment.update(variables(settings))
        yield cloud
    finally:
        cloud.command("stop")


def _project(cloud: Cloud, folder: Path, **settings: Any) -> tuple[Project, str]:
    project = Project.make(folder / "it", cloud.environment)
    project.settings("roles", {"base_name": f"t{secrets.token_hex(4)}", **COMMON, **FORGOTTEN, **settings})
    assert project.pulumi("stack", "init", stack="roles").code == 0
    return project, "roles"


@pytest.mark.nightly
def test_the_wait_for_databricks_is_long_enough(slow: Cloud, tmp_path: Path) -> None:
    # Unity Catalog is off: its external locations are tested one operation earlier than the ML workspace is made.
    way = {"unity_catalog": {"enabled": False}, "databricks": {"spark_conf": SPARK_CONF}}
    project, stack = _project(slow, tmp_path, **way)

    up = project.up(stack)

    assert up.code == 0, up.text


@pytest.mark.nightly
def test_a_second_run_succeeds_where_the_wait_is_too_short(cloud: Cloud, tmp_path: Path) -> None:
    """Roles have no effect at all until the first run has failed."""
    project, stack = _project(cloud, tmp_path)
    url = f"{cloud.settings.gateway_url}/_localcloud/role-propagation"
    engine = tmp_path / "engine"
    engine.write_text(ENGINE.format(python=sys.executable, url=url))
    engine.chmod(engine.stat().st_mode | stat.S_IXUSR)
    python = str(ROOT / ".venv" / "bin" / "python")
    later = (
        f"import requests, os; from azure.identity import ClientSecretCredential as C; e = os.environ; "
        f"t = C(e['AZURE_TENANT_ID'], e['AZURE_CLIENT_ID'], e['AZURE_CLIENT_SECRET'])"
        f".get_token('https://management.azure.com/.default').token; requests.post('{url}', json={{'seconds': 600}}, "
        "headers={'Authorization': 'Bearer ' + t}, timeout=60).raise_for_status()"
    )
    assert project.run(python, "-c", later).code == 0

    up = project.run(
        python, "-m", "pipelines.up", "--", str(engine), "up", "--stack", stack, "--yes", "--skip-preview",
        "--non-interactive",
    )  # fmt: skip

    assert up.code == 0, up.text
    assert "Role assignments had no effect yet (" in up.text and "Trying once more." in up.text
    destroyed = project.pulumi("destroy", "--yes", "--skip-preview", stack=stack)
    assert destroyed.code == 0, destroyed.text
