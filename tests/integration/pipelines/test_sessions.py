"""The Azure CLI's session of a step, against Entra: it lasts as long as its id token, or is kept active."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.workspace_session import wait_for
from pipeline_runner import az
from pipeline_runner.issuer import AUDIENCE, Issuer
from pipeline_runner.session_refresh import session_kept_active

from infra.stack_file import ROOT

_CONNECTION = "0b9b0f0a-6a0d-4a55-8d7e-3a1f0c2b4d6e"
_OTHER = "3f1c0b52-7d64-4b8e-9a51-0e6a2c9d4b17"
_EXPIRED = -120
"""Seconds; Entra allows for clocks that are a minute apart."""


@dataclass
class Step:
    """A step of a job, whose service connection is bound to another subscription than the stack's."""

    issuer: Issuer
    client: str
    folder: Path
    environment: dict[str, str]
    signed_in: list[int] = field(default_factory=list)

    def sign_in(self, seconds: int = 600) -> None:
        token = self.issuer.token(self.issuer.subject(_CONNECTION), seconds)
        az.sign_in(self.folder, self.client, TENANT_ID, [_OTHER, SUBSCRIPTION_ID], token)
        self.signed_in.append(seconds)

    def az(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment, "AZURE_CONFIG_DIR": str(self.folder), "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            [sys.executable, "-m", "pipeline_runner.az", *words], env=environment, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip

    def token(self, resource: str = "https://management.azure.com") -> subprocess.CompletedProcess[str]:
        return self.az("account", "get-access-token", "--output", "json", "--resource", resource)


@pytest.fixture
def step(cloud: Any, azure: AzureSession, tmp_path: Path) -> Iterator[Step]:
    issuer = Issuer(cloud.settings.home / "tls" / "server.pem", TENANT_ID)
    group = f"{azure.subscription}/resourceGroups/{unique('rg-')}"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-deploy"
    client = azure.put(identity, "2023-01-31", {"location": "westeurope"})["properties"]["clientId"]
    trusted = {"issuer": issuer.url, "subject": issuer.subject(_CONNECTION), "audiences": [AUDIENCE]}
    azure.put(f"{identity}/federatedIdentityCredentials/ado", "2023-01-31", {"properties": trusted})
    yield Step(issuer, client, tmp_path / "az", cloud.environment)
    issuer.close()
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


def test_a_connections_token_has_the_form_that_new_connections_present(step: Step) -> None:
    assert step.issuer.url.endswith(f"/{TENANT_ID}/v2.0")
    assert step.issuer.subject(_CONNECTION).startswith("/eid1/c/pub/t/fh88XaBkDk-dHCwbepDA3g/a/")
    assert step.issuer.subject(_CONNECTION).endswith(f"/{_CONNECTION}")
    step.sign_in()
    assert json.loads(step.token().stdout)["tenant"] == TENANT_ID


def test_an_expired_id_token_ends_the_session_and_another_sign_in_renews_it(step: Step) -> None:
    step.sign_in(_EXPIRED)
    refused = step.token()
    assert refused.returncode == 1
    assert "AADSTS700024: Client assertion is not within its valid time range" in refused.stderr

    with session_kept_active(step.sign_in, seconds=0.05):
        wait_for(lambda: step.signed_in, lambda signed_in: 600 in signed_in)
    assert step.token().returncode == 0


def test_an_access_token_is_kept_until_it_expires(step: Step) -> None:
    step.sign_in()
    first = json.loads(step.token().stdout)["accessToken"]
    step.sign_in(_EXPIRED)
    assert json.loads(step.token().stdout)["accessToken"] == first
    assert step.token("https://vault.azure.net").returncode == 1, "one for another resource takes a valid id token"


def test_the_default_is_the_connections_subscription_and_each_call_may_name_another(step: Step) -> None:
    step.sign_in()
    assert json.loads(step.az("account", "show", "--output", "json").stdout)["id"] == _OTHER
    account = step.az("account", "show", "--output", "json", "--subscription", SUBSCRIPTION_ID)
    assert json.loads(account.stdout)["id"] == SUBSCRIPTION_ID
    unknown = step.az("account", "show", "--output", "json", "--subscription", _CONNECTION)
    assert unknown.returncode == 1
    assert f"Subscription '{_CONNECTION}' not found." in unknown.stderr
