"""pipelines/session.sh: the service connection's identity for a target's children, or missing parts by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.http_service import Request, Response, Service

ROOT = Path(__file__).resolve().parents[3]
_TASK = {"servicePrincipalId": "client-1", "tenantId": "tenant-1", "idToken": "eyJ.the-id-token.x"}
_GROUP = {
    "BASE_NAME": "acme", "LOCATION": "westeurope", "SUBSCRIPTION_ID": "sub-of-the-stack",
    "BACKEND_STORAGE_ACCOUNT": "stacme", "BACKEND_CONTAINER": "state-dev",
}  # fmt: skip


# The session of the Azure CLI, as AzureCLI@2 leaves it: its default is the connection's subscription.
_AZ = """#!/bin/sh
echo "az $*" >> "$AZ_LOG"
case "$*" in
    *"account show"*) echo '{"id": "sub-of-the-connection"}' ;;
    *get-access-token*) echo '{"accessToken": "of-the-session", "expiresOn": "2099-01-01 00:00:00.000000"}' ;;
esac
"""


@pytest.fixture
def az(tmp_path: Path) -> str:
    """Make a PATH with an `az` that is signed in as the service connection's identity."""
    (tmp_path / "az").write_text(_AZ, encoding="utf-8")
    (tmp_path / "az").chmod(0o755)
    return f"{tmp_path}:/usr/bin:/bin"


def _session(path: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "pipelines/session.sh"), *words],
        env={"PATH": path, "AZ_LOG": "/dev/null", **variables}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip


def _environment(path: str, **variables: str) -> dict[str, str]:
    completed = _session(path, "env", **_TASK, **_GROUP, **variables)
    assert completed.stderr == ""
    return dict(line.split("=", 1) for line in completed.stdout.splitlines())


def test_a_target_signs_in_only_by_the_session_of_the_azure_cli(az: str) -> None:
    """A token in a variable would be the provider's until it exits, regardless of its lifetime: AADSTS700024."""
    agent = {
        "ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "eyJ.old", "ARM_CLIENT_ID": "another", "ARM_CLIENT_SECRET": "secret",
        "ARM_USE_MSI": "true", "DATABRICKS_AUTH_TYPE": "azure-msi",
    }  # fmt: skip

    variables = _environment(az, **agent)

    expected = {
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential", "DATABRICKS_AUTH_TYPE": "azure-cli",
        "ARM_TENANT_ID": "tenant-1", "PULUMI_BACKEND_URL": "azblob://state-dev?storage_account=stacme",
    }  # fmt: skip
    assert {name: variables.get(name) for name in expected} == expected
    signing_in = {name for name in variables if name.startswith("ARM_")} - {"ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID"}
    assert not signing_in, "the provider would prefer any of these to the session"
    assert "idToken" not in variables


def test_the_variable_group_decides_the_subscription(az: str) -> None:
    variables = _environment(az, ARM_SUBSCRIPTION_ID="of-the-agent")

    assert variables["ARM_SUBSCRIPTION_ID"] == variables["AZURE_SUBSCRIPTION_ID"] == "sub-of-the-stack"


_TOKEN_SCRIPT = """
from azure.identity import DefaultAzureCredential
print(DefaultAzureCredential().get_token("https://vault.azure.net/.default").token)
"""


def _identity_of_the_machine(request: Request) -> Response:
    """Answer as the token endpoint of an agent's machine with a managed identity."""
    token = {"access_token": "of-the-machine", "expires_on": "4070908800", "resource": "x", "token_type": "Bearer"}
    return Response(200, "application/json", json.dumps(token))


def test_a_managed_identity_of_the_agents_machine_does_not_come_before_the_session(az: str) -> None:
    with Service(_identity_of_the_machine) as machine:
        agent = {"IDENTITY_ENDPOINT": machine.url, "IDENTITY_HEADER": "h"}
        without = subprocess.run(
            [sys.executable, "-c", _TOKEN_SCRIPT], env={"PATH": az, "AZ_LOG": "/dev/null", **agent},
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        within = _session(az, sys.executable, "-c", _TOKEN_SCRIPT, **_TASK, **_GROUP, **agent)

    assert without.stdout.strip() == "of-the-machine", "or this proves nothing"
    assert within.stdout.strip() == "of-the-session", within.stderr


def test_the_provider_gets_every_token_from_the_session_and_names_the_stacks_subscription(
    az: str, tmp_path: Path
) -> None:
    code = (
        "from localcloud.plugins.azure_native import sign_in\n"
        "credential = sign_in.credential(sign_in.settings({}))\n"
        "for _ in range(2): print(credential.get_token('https://management.azure.com/.default').token)\n"
    )
    group = _GROUP | {"SUBSCRIPTION_ID": "8a4e7c52-0b1d-4f63-a9f8-6f6d2b5e10ca"}
    log = tmp_path / "log"

    completed = _session(az, sys.executable, "-c", code, **_TASK, **group, PYTHONPATH=str(ROOT), AZ_LOG=str(log))

    assert completed.stdout.split() == ["of-the-session"] * 2, completed.stderr
    calls = log.read_text(encoding="utf-8").splitlines()
    assert len(calls) == 2 and all(f"--subscription {group['SUBSCRIPTION_ID']}" in call for call in calls), calls


def test_a_target_s_exit_code_is_the_session_s(az: str) -> None:
    assert _session(az, "sh", "-c", "exit 7", **_TASK, **_GROUP).returncode == 7


@pytest.mark.parametrize("name", _GROUP)
@pytest.mark.parametrize("value", ["", "a macro that names no variable"])
def test_a_variable_missing_from_the_group_is_named_and_nothing_runs(az: str, name: str, value: str) -> None:
    settings = _GROUP | {name: f"$({name})" if value else ""}

    completed = _session(az, "echo", "ran", **_TASK, **settings)

    assert (completed.returncode, completed.stdout) == (1, "")
    assert completed.stderr == (
        f"##vso[task.logissue type=error]Variable {name} is not set: add it to the environment's variable group.\n"
    )


def test_a_connection_with_a_secret_is_refused(az: str) -> None:
    completed = _session(az, "echo", "ran", **(_TASK | {"idToken": ""}), **_GROUP)

    assert (completed.returncode, completed.stdout) == (1, "")
    assert "workload identity federation; this one has a secret" in completed.stderr
