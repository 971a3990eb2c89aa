"""pipelines/session.sh: the service connection's identity for all that a target starts, or what is missing by name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
_TASK = {"servicePrincipalId": "client-1", "tenantId": "tenant-1", "idToken": "eyJ.the-id-token.x"}
_GROUP = {
    "BASE_NAME": "acme", "LOCATION": "westeurope",
    "BACKEND_STORAGE_ACCOUNT": "stacme", "BACKEND_CONTAINER": "state-dev",
}  # fmt: skip


@pytest.fixture
def az(tmp_path: Path) -> str:
    """A PATH on which `az` knows one subscription."""
    (tmp_path / "az").write_text('#!/bin/sh\n[ "$*" = "account show --query id --output tsv" ] && echo sub-1\n')
    (tmp_path / "az").chmod(0o755)
    return f"{tmp_path}:/usr/bin:/bin"


def _session(path: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "pipelines/session.sh"), *words],
        env={"PATH": path, **variables}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def test_a_target_has_the_connections_identity_under_every_name_that_it_is_looked_for(az: str) -> None:
    done = _session(az, "env", **_TASK, **_GROUP)

    given = dict(line.split("=", 1) for line in done.stdout.splitlines())
    wanted = {
        "ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "eyJ.the-id-token.x", "ARM_CLIENT_ID": "client-1",
        "ARM_TENANT_ID": "tenant-1", "ARM_SUBSCRIPTION_ID": "sub-1", "AZURE_SUBSCRIPTION_ID": "sub-1",
        "DATABRICKS_AUTH_TYPE": "azure-cli", "PULUMI_BACKEND_URL": "azblob://state-dev?storage_account=stacme",
    }  # fmt: skip
    assert {name: given.get(name) for name in wanted} == wanted
    assert done.stderr == ""


def test_a_target_s_exit_code_is_the_session_s(az: str) -> None:
    assert _session(az, "sh", "-c", "exit 7", **_TASK, **_GROUP).returncode == 7


@pytest.mark.parametrize("name", _GROUP)
@pytest.mark.parametrize("value", ["", "a macro that names no variable"])
def test_a_variable_that_the_group_lacks_is_named_and_nothing_runs(az: str, name: str, value: str) -> None:
    given = _GROUP | {name: f"$({name})" if value else ""}

    done = _session(az, "echo", "ran", **_TASK, **given)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"##vso[task.logissue type=error]Variable {name} is not set: add it to the environment's variable group.\n"
    )


def test_a_connection_with_a_secret_is_refused(az: str) -> None:
    done = _session(az, "echo", "ran", **(_TASK | {"idToken": ""}), **_GROUP)

    assert (done.returncode, done.stdout) == (1, "")
    assert "workload identity federation; this one has a secret" in done.stderr
