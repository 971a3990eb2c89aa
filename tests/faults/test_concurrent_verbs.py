"""Two of the same at the same instant: one wins, no message is false, and nothing is doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.testing.azure_session import AzureSession, unique

from infra.stack_file import ROOT
from tests.faults.platform import Command
from tests.faults.table import Tries
from tests.integration.mlops.stacks import Stack, make_registry, make_stack, remove_stack

_PROGRAM = """
import pulumi
pulumi.ComponentResource("test:index:Nothing", "nothing")
"""


def both(folder: Path, *argv: str, **variables: str) -> list[Command]:
    """Start a command twice and wait for both."""
    commands = [
        Command(
            subprocess.Popen(
                argv, cwd=folder, env=dict(os.environ) | {"PYTHONPATH": str(ROOT), **variables},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                start_new_session=True,
            )
        )
        for _ in range(2)
    ]  # fmt: skip
    for command in commands:
        command.wait()
    return commands


@pytest.fixture
def project(azure: AzureSession, tmp_path: Path) -> Path:
    """Write a program that is deployed in no time, with a stack `dev`."""
    options = f"{{toolchain: pip, virtualenv: {sys.prefix}}}"
    (tmp_path / "Pulumi.yaml").write_text(f"name: {unique('twice-')}\nruntime:\n  name: python\n  options: {options}\n")
    (tmp_path / "__main__.py").write_text(_PROGRAM)
    subprocess.run(["pulumi", "stack", "init", "dev", "--non-interactive"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.mark.fault_kind("two updates at once")
@pytest.mark.parametrize(
    "rounds", [pytest.param(1, marks=pytest.mark.nightly), pytest.param(8, marks=pytest.mark.faults)]
)
def test_at_least_one_of_two_updates_succeeds_and_no_lock_remains(project: Path, tries: Tries, rounds: int) -> None:
    update = ("pulumi", "up", "--stack", "dev", "--yes", "--skip-preview", "--non-interactive")
    for _ in range(rounds):
        updates = both(project, sys.executable, "-m", "pipelines.up", "--", *update)

        losers = [update for update in updates if update.process.returncode != 0]
        tries.add("two updates at once", len(losers) < 2)
        assert len(losers) < 2, "\n".join(update.text for update in losers)
        assert all("the stack is currently locked by" in update.text for update in losers), losers[0].text
    last = subprocess.run([*update, "--expect-no-changes"], cwd=project, capture_output=True, text=True, check=False)
    assert last.returncode == 0, last.stdout + last.stderr


@pytest.fixture(params=["copied", "through a registry"])
def stacks(request: pytest.FixtureRequest, azure: AzureSession, tmp_path: Path) -> Iterator[tuple[Stack, Stack, Path]]:
    """Staging and prod with their outputs in a folder."""
    name = unique("mlr") if request.param == "through a registry" else None
    staging, prod = make_stack(azure, "staging", name), make_stack(azure, "prod", name)
    registry = make_registry(azure, staging.workspace.group, name) if name else ""
    for stack in (staging, prod):
        file = tmp_path / f"{stack.clients.outputs.environment}.json"
        file.write_text(stack.clients.outputs.model_dump_json(), encoding="utf-8")
    yield staging, prod, tmp_path
    if registry:
        azure.finish(azure.arm("DELETE", registry, "2024-10-01"))
    for stack in (staging, prod):
        remove_stack(stack)


@pytest.mark.faults
@pytest.mark.fault_kind("two promotions at once")
def test_two_promotions_make_one_version_of_the_model(stacks: tuple[Stack, Stack, Path], tries: Tries) -> None:
    staging, prod, folder = stacks
    for number in ("1", "2", "3"):
        staging.publish(number, f"commit-{number}")
        staging.train(number, f"commit-{number}", folder)
        prod.publish(number, f"commit-{number}", keep_default=True)

        promotions = both(
            ROOT, sys.executable, "-m", "mlops", "promote", "--from", "staging", "--to", "prod",
            "--from-outputs", str(folder / "staging.json"), "--to-outputs", str(folder / "prod.json"),
        )  # fmt: skip

        texts = "\n".join(promotion.text for promotion in promotions)
        origins = sorted(tags["promoted_from"] for tags in prod.models().values())
        good = [promotion.process.returncode for promotion in promotions] == [0, 0]
        good = good and origins == [f"staging:diabetes:{n}" for n in range(1, int(number) + 1)]
        good = good and prod.default == f"v-{number}"
        tries.add("two promotions at once", good)
        assert good, f"{prod.models()}\n{prod.default}\n{texts}"
