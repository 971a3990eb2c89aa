"""The good day: a commit goes to prod, a second one follows, its model lives there, and the other pipelines run.

The first commit brings both training pipelines to all three stacks, the second one the default pipeline to staging and
prod. A tier of its own, since it deploys three stacks and trains ten times: `pytest -m rehearsal`. The tests go on from
each other, in their order.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from typing import Any

import pytest
from pipeline_runner.workspace import git

from contract.resource_providers import RESOURCE_PROVIDERS
from pipelines.rehearsal.life_stages import STAGES
from pipelines.rehearsal.next_commit import commit_on_top
from tests.e2e.builds import STATE, command, play, resource_groups, serving
from tests.e2e.conftest import ROOT, Machine

# A build trains two models in each of three stacks.
pytestmark = [pytest.mark.e2e, pytest.mark.rehearsal, pytest.mark.timeout(2700)]
STACKS = ("dev", "staging", "prod")
# The stage Verify is `make lint` and this test suite's own lower tiers.
PREVIEWS = [word for stack in STACKS for word in ("--stage", f"Preview_{stack}")]
OTHER = "breast_cancer"
BOTH = ("--parameter", f"trainingPipelines=[default, {OTHER}]")
FIRST_STAGES = [*PREVIEWS, *(word for stack in STACKS for word in ("--stage", stack))]
NEXT_STAGES = ["--stage", "staging", "--stage", "prod"]


@pytest.fixture(scope="module")
def cloud(machine: Machine) -> Machine:
    started = machine.run(sys.executable, "-m", "localcloud", "start", "--register", ",".join(RESOURCE_PROVIDERS))
    assert started.code == 0, started.text
    return machine


@pytest.fixture(scope="module")
def first(cloud: Machine) -> dict[str, Any]:
    """Release the first commit and return the serving model of prod."""
    played = play(cloud, "--yes", *FIRST_STAGES, *BOTH, timeout=2500)
    assert played.code == 0, played.text
    return serving(cloud, "prod")


def test_the_model_that_staging_trained_serves_in_prod(cloud: Machine, first: dict[str, Any]) -> None:
    assert {f"rg-dataops-{stack}" for stack in STACKS} <= set(resource_groups(cloud))
    staging = serving(cloud, "staging")
    assert first["tags"]["promoted_from"] == "staging:diabetes:1"
    assert first["tags"]["pipeline_run"] == staging["tags"]["pipeline_run"]
    assert first["tags"]["commit"] == git("rev-parse", "HEAD", cwd=ROOT)
    assert first["tags"]["deployment"] == first["default"] == "v-1"


def test_the_other_training_pipeline_serves_in_prod_too_and_can_be_taken_back(
    cloud: Machine, first: dict[str, Any]
) -> None:
    other = serving(cloud, "prod", OTHER)
    assert other["tags"]["promoted_from"] == f"staging:{OTHER}:1"
    assert other["tags"]["commit"] == first["tags"]["commit"]
    assert other["tags"]["deployment"] == other["default"] == "v-1"

    rolled = cloud.in_shell(
        "make", "rollback", "STACK=prod", f"PIPELINE={OTHER}", env={"PULUMI_BACKEND_URL": STATE.format("prod")}
    )

    assert rolled.code != 0, "nothing served before it"
    assert "to go back to" in rolled.text, rolled.text
    assert serving(cloud, "prod", OTHER)["default"] == "v-1"
    assert serving(cloud, "prod")["tags"] == first["tags"], "the first pipeline is left alone"


@pytest.mark.usefixtures("first")
def test_a_pull_request_previews_no_change_and_changes_nothing(cloud: Machine) -> None:
    played = play(cloud, "--reason", "PullRequest", "--branch", "refs/pull/7/merge", *PREVIEWS)

    assert played.code == 0, played.text
    assert played.text.count(" unchanged") == len(STACKS)
    assert "Comment on the pull request: it calls Azure DevOps" in played.text


@pytest.mark.usefixtures("first")
def test_no_stack_has_drifted(cloud: Machine) -> None:
    played = play(cloud, "pipelines/drift.yml", "--reason", "Schedule")

    assert played.code == 0, played.text


@pytest.mark.usefixtures("first")
def test_a_retraining_without_a_better_model_keeps_the_serving_one(cloud: Machine) -> None:
    played = play(cloud, "pipelines/retrain.yml", "--yes", "--reason", "Schedule", "--parameter", "promote=true")

    assert played.code == 0, played.text
    assert "is not better than version 1's" in played.text
    assert "staging:diabetes:1 serves already" in played.text


@pytest.fixture(scope="module")
def second(cloud: Machine, first: dict[str, Any]) -> dict[str, Any]:
    """Release another commit and return the serving model of prod."""
    assert first
    copy = commit_on_top(ROOT, cloud.home / "rehearsal" / "next")
    played = play(cloud, "--yes", *NEXT_STAGES, "--repository", str(copy), timeout=2500)
    assert played.code == 0, played.text
    return serving(cloud, "prod")


def test_another_commit_is_promoted(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert second["tags"]["commit"] != first["tags"]["commit"]
    assert second["tags"]["previous_deployment"] == first["default"] != second["default"]


def test_its_model_lives_in_prod_from_the_first_scores_to_a_rollback(cloud: Machine, second: dict[str, Any]) -> None:
    lived = cloud.in_shell("python", "-m", "pipelines.rehearsal", "--life-only", "--yes", timeout=1200)

    assert lived.code == 0, lived.text
    table = lived.text[lived.text.index("Rehearsal: from a commit to a rollback in prod") :]
    assert all(re.search(rf"│ {stage} +│", table) for stage in STAGES), table
    serves = [match[1] for match in re.finditer(r"│ +(\d+) │ +\d+\.\d │$", table, re.MULTILINE)]
    assert len(serves) == len(STAGES) and len(set(serves)) == 2 and serves[-1] == serves[0], table
    assert serving(cloud, "prod")["default"] == second["default"], "the retrained version has the same code"


@pytest.mark.usefixtures("second")
def test_another_commit_can_be_rolled_back(cloud: Machine, first: dict[str, Any]) -> None:
    backend = {"PULUMI_BACKEND_URL": STATE.format("prod")}
    rolled = cloud.in_shell("make", "rollback", "STACK=prod", env=backend)

    assert rolled.code == 0, rolled.text
    assert serving(cloud, "prod")["default"] == first["default"]
    listed = cloud.in_shell("python", "-m", "mlops", "models", "--stack", "prod", "--output", "json", env=backend)
    versions = json.loads(listed.text[listed.text.index("[") :])
    (champion,) = (version for version in versions if version["serves"])
    assert champion["promoted_from"] == "staging:diabetes:1"
    promoted = [version for version in versions if version["promoted_from"] and version != champion]
    assert promoted and all(version["rolled_back_at"] for version in promoted)


@pytest.mark.usefixtures("first")
def test_a_cancelled_build_cancels_its_run(cloud: Machine) -> None:
    build = cloud.start(*command(cloud, "--yes", "--stage", "staging"), env=cloud.shell_environment())
    seen = ""
    for line in build.stdout or ():
        seen += line
        if "step feature_engineering" in line:
            os.kill(build.pid, signal.SIGINT)
            break
    seen += build.communicate(timeout=300)[0]

    assert build.returncode == 130, seen
    assert "Canceled" in seen
    assert serving(cloud, "staging")["run"] == "Canceled", seen


@pytest.mark.usefixtures("first")
def test_only_dev_is_destroyed_and_only_by_its_name(cloud: Machine) -> None:
    unconfirmed = play(cloud, "pipelines/destroy.yml", "--yes")
    assert unconfirmed.code == 0, unconfirmed.text
    assert "rg-dataops-dev" in resource_groups(cloud)

    played = play(cloud, "pipelines/destroy.yml", "--yes", "--parameter", "confirm=dev")

    assert played.code == 0, played.text
    left = resource_groups(cloud)
    assert "rg-dataops-dev" not in left
    assert {"rg-dataops-staging", "rg-dataops-prod"} <= set(left)
