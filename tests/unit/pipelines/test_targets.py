"""What the pipelines' make targets run, in a build and on a workstation."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def _make(*words: str, build: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    # Below another make, make speaks of its folders.
    foreign = ("TF_BUILD", "AMLRUN_ID", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    clean = {name: value for name, value in os.environ.items() if name not in foreign}
    return subprocess.run(
        ["make", *words],
        cwd=ROOT, env=clean | ({"TF_BUILD": "True"} if build else {}) | variables,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def _command(*words: str, build: bool = False, **variables: str) -> str:
    """What the target gives to Python, which is not run."""
    done = _make("--dry-run", *words, build=build, **variables)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.replace("\\\n", " ").partition(" -m ")[2].split())


@pytest.mark.parametrize("stack", ["staging", "prod", "local"])
def test_no_stack_but_dev_is_destroyed_and_the_refusal_names_it(stack: str) -> None:
    done = _make("undeploy", f"STACK={stack}", PATH="/usr/bin:/bin")

    assert done.returncode != 0
    assert f"Only the stack dev can be destroyed this way, not {stack}." in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("target", ["preview", "deploy"])
@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_every_stack_meets_the_policy_pack(target: str, stack: str) -> None:
    done = _make("--dry-run", target, f"STACK={stack}")

    assert f"--policy-pack policy --policy-pack-config policy/config/{stack}.json" in done.stdout


def test_the_pulumi_task_meets_it_too() -> None:
    alternative = (ROOT / "pipelines/alternatives/pulumi-task.yml").read_text(encoding="utf-8")

    assert "--policy-pack policy --policy-pack-config policy/config/${{ parameters.environment }}.json" in alternative


@pytest.mark.parametrize(
    ("words", "workstation", "build"),
    [
        (("publish", "STACK=dev"), "mlops publish --stack dev", "mlops publish --stack dev --azure-devops"),
        (
            ("publish", "STACK=dev", "WITH_DATA=1", "DATA=d.csv"),
            'mlops publish --stack dev --data "d.csv"',
            'mlops publish --stack dev --azure-devops --data "d.csv"',
        ),
        (
            ("smoke", "STACK=dev", "DATA=d.csv"),
            'mlops run --stack dev --data "d.csv"',
            'mlops run --stack dev --data "d.csv" --azure-devops',
        ),
        (
            ("smoke", "STACK=dev", "DATA=d.csv", "INCOMING=1"),
            'mlops run --stack dev --data "d.csv" --incoming',
            'mlops run --stack dev --data "d.csv" --incoming --azure-devops',
        ),
        (
            ("publish", "STACK=prod", "KEEP_DEFAULT=1"),
            "mlops publish --stack prod --keep-default",
            "mlops publish --stack prod --azure-devops --keep-default",
        ),
        (
            ("smoke", "STACK=dev", "DATA=d.csv", "CODE_VERSION=417"),
            'mlops run --stack dev --data "d.csv" --version "417"',
            'mlops run --stack dev --data "d.csv" --version "417" --azure-devops',
        ),
        # A build that has started no run leaves those of others alone.
        (("cancel", "STACK=dev"), "mlops cancel --stack dev", 'mlops cancel --stack dev --run ""'),
        (
            ("promote", "FROM=staging", "TO=prod"),
            "mlops promote --from staging --to prod",
            "mlops promote --from staging --to prod --shared",
        ),
        (("share", "STACK=staging"), "mlops share --stack staging", "mlops share --stack staging"),
        (("rollback", "STACK=prod"), "mlops rollback --stack prod", "mlops rollback --stack prod"),
    ],
)
def test_a_build_and_a_workstation_use_the_same_verb(words: tuple[str, ...], workstation: str, build: str) -> None:
    assert _command(*words) == workstation
    assert _command(*words, build=True) == build


def test_a_build_cancels_the_run_that_its_smoke_step_named() -> None:
    assert _command("cancel", "STACK=dev", build=True, AMLRUN_ID="run-7") == 'mlops cancel --stack dev --run "run-7"'
