"""`make verify-azure` against a stack on localcloud: requests, restored values, written answers, untouched parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.workspace_session import ML

from infra.stack_file import ROOT
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack

_BUDGETS = "2024-08-01"


@dataclass(frozen=True)
class Verification:
    """Exit code, output and answers of the program."""

    code: int
    text: str
    folder: Path

    def answers(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "here.json").read_text(encoding="utf-8"))
        return content["answers"]  # type: ignore[no-any-return]

    def outcomes(self) -> dict[str, str]:
        return {name: answer["outcome"] for name, answer in self.answers().items()}


@pytest.fixture(scope="module")
def stack(azure: AzureSession) -> Iterator[Stack]:
    """Publish a stack with a budget and the platform's datastore, without a Databricks workspace."""
    stack = make_stack(azure, "dev", None)
    stack.publish("7", "commit-7")
    group, out = stack.workspace.group, stack.clients.outputs
    azure.put(f"{group}/providers/Microsoft.Consumption/budgets/budget", _BUDGETS, {"properties": _budget()})
    store = {
        "datastoreType": "AzureDataLakeGen2", "accountName": out.training_account, "filesystem": "trainingdata",
        "credentials": {"credentialsType": "None"}, "serviceDataAccessAuthIdentity": "None",
        "subscriptionId": out.subscription_id, "resourceGroup": out.resource_group,
    }  # fmt: skip
    azure.put(f"{stack.workspace.id}/datastores/trainingdata", ML, {"properties": store})
    yield stack
    remove_stack(stack)


def _budget() -> dict[str, Any]:
    first = datetime.now(UTC).date().replace(day=1)
    contacts = {"contactEmails": ["mlops@example.com"], "operator": "GreaterThan", "threshold": 80, "enabled": True}
    return {
        "category": "Cost", "amount": 100, "timeGrain": "Monthly",
        "timePeriod": {"startDate": f"{first}T00:00:00Z"}, "notifications": {"actual": contacts},
    }  # fmt: skip


def verify(stack: Stack, folder: Path, *words: str, environment: str = "dev") -> Verification:
    outputs = folder / "outputs.json"
    values = stack.clients.outputs.model_copy(update={"environment": environment})
    outputs.write_text(values.model_dump_json(), encoding="utf-8")
    parity = folder / "parity"
    command = [sys.executable, "-m", "verification", "--stack", "dev", "--outputs", str(outputs), "--as", "here"]
    completed = subprocess.run(
        [*command, "--folder", str(parity), *words], cwd=ROOT, env={**os.environ, "COLUMNS": "400"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    return Verification(completed.returncode, completed.stdout + completed.stderr, parity)


def test_answers_are_judged_and_changes_are_reverted(stack: Stack, azure: AzureSession, tmp_path: Path) -> None:
    verification = verify(
        stack, tmp_path, *(word for name in (
            "registered-providers", "budget-update", "identity-datastore", "default-deployment-after-update",
            "shared-folder", "agentless-job",
        ) for word in ("--only", name)),
    )  # fmt: skip
    assert verification.code == 0, verification.text
    assert verification.outcomes() == {
        "registered-providers": "holds", "budget-update": "holds", "identity-datastore": "holds",
        "default-deployment-after-update": "holds", "shared-folder": "error", "agentless-job": "manual",
    }  # fmt: skip
    answers = verification.answers()
    assert answers["default-deployment-after-update"]["text"] == "v-7 before, None after"
    assert stack.default == "v-7", "the default is where it was"
    budget = azure.arm("GET", f"{stack.workspace.group}/providers/Microsoft.Consumption/budgets/budget", _BUDGETS)
    assert budget.json()["properties"]["amount"] == 100
    assert answers["identity-datastore"]["basis"].startswith("Azure/bicep-types-az#2468")


@pytest.mark.nightly
def test_a_contradicted_belief_fails_the_verification_and_is_recorded(
    stack: Stack, azure: AzureSession, tmp_path: Path
) -> None:
    compute = f"{azure.subscription}/providers/Microsoft.Compute"
    assert azure.arm("POST", f"{compute}/unregister", "2022-09-01").status_code == 200
    try:
        verification = verify(stack, tmp_path, "--only", "registered-providers", "--only", "runtime-key")
    finally:
        azure.arm("POST", f"{compute}/register", "2022-09-01")
    assert verification.code == 1 and "Contradicted: registered-providers." in verification.text, verification.text
    answer = verification.answers()["registered-providers"]
    assert (answer["outcome"], answer["text"]) == ("contradicted", "not Registered: Microsoft.Compute")
    assert verification.outcomes()["runtime-key"] == "error", "the next probe is asked"


@pytest.mark.parametrize("reason", ["prod", "locked"])
def test_prod_and_locked_stacks_are_not_changed(stack: Stack, azure: AzureSession, tmp_path: Path, reason: str) -> None:
    lock = f"{stack.workspace.group}/providers/Microsoft.Authorization/locks/keep"
    if reason == "locked":
        azure.put(lock, "2020-05-01", {"properties": {"level": "CanNotDelete"}})
    try:
        verification = verify(
            stack, tmp_path, "--only", "budget-update", "--only", "identity-datastore",
            environment="prod" if reason == "prod" else "dev",
        )  # fmt: skip
    finally:
        azure.arm("DELETE", lock, "2020-05-01")
    assert verification.outcomes() == {"budget-update": "skipped", "identity-datastore": "holds"}, verification.text
    assert "--allow-changes asks it" in verification.answers()["budget-update"]["text"]


@pytest.mark.nightly
def test_the_newest_answers_of_other_platforms_are_shown_beside_these(stack: Stack, tmp_path: Path) -> None:
    parity = tmp_path / "parity"
    parity.mkdir()
    other = {"identity-datastore": {"outcome": "contradicted", "text": "AzureBlob"}}
    (parity / "elsewhere.json").write_text(json.dumps({"answers": other}))
    verification = verify(stack, tmp_path, "--only", "identity-datastore")
    assert verification.code == 0 and "✗ AzureBlob" in verification.text, (
        "another platform's contradiction is not this one's"
    )
    (page,) = parity.glob("*-here.md")
    text = page.read_text(encoding="utf-8")
    assert "| probe | believed | rests on | here | elsewhere |" in text and "✗ AzureBlob" in text


def test_an_unknown_probe_is_named(stack: Stack, tmp_path: Path) -> None:
    verification = verify(stack, tmp_path, "--only", "wibble")
    assert verification.code == 2 and "There is no probe wibble. There are: registered-providers," in verification.text
