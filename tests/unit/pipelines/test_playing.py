"""Commands of the repository's pipelines, their order and identity, and the ones left out after a failure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pipeline_runner import model, organisation, validation
from pipeline_runner.checks import Approvals
from pipeline_runner.organisation import Start
from pipeline_runner.results import Result
from pipeline_runner.templates import compile_pipeline

from pipelines.rehearsal import ORGANISATION
from tests.unit.environments import ENVIRONMENTS
from tests.unit.pipelines.recorded_make import PREVIEW, ROOT, Pipelines, connection

_TARGET = re.compile(r"(pipelines/session\.sh )?make [a-z-]+( [A-Z_]+=(\S+|\"[^\"]+\"))*")


@pytest.fixture
def pipelines(tmp_path: Path) -> Pipelines:
    return Pipelines(tmp_path)


def _deployed(environment: str) -> list[str]:
    publish = f"publish STACK={environment}{' (default kept)' if environment == 'prod' else ''}"
    smoke = f"smoke STACK={environment} CODE_VERSION=1"
    return [f"deploy STACK={environment}", publish, smoke, f"report STACK={environment}"]


def test_a_commit_moves_from_lint_to_prod_each_part_as_its_own_identity(pipelines: Pipelines) -> None:
    played = pipelines.play()

    assert set(played.results.values()) == {"Succeeded"}, played.log
    release = pipelines.folder / "home/1/jobs/prod.Deploy/release-staging-default"
    expected = [("nobody", "lint"), ("nobody", "test-report TIER=unit"), ("nobody", "test-report TIER=spark")]
    for environment in ENVIRONMENTS:
        expected.append((PREVIEW, f"preview STACK={environment}"))
        if environment == "prod":
            expected.append(("nobody", f"release-check RELEASE={release}"))
        last = {
            "staging": ["score-sample STACK=staging", "share STACK=staging"],
            "prod": ["promote FROM=staging TO=prod"],
        }.get(environment, [])
        expected += [
            (connection(environment), words)
            for words in (*_deployed(environment), *last, f"release STACK={environment}")
        ]
    assert played.calls == expected


def test_the_published_pipelines_id_reaches_the_release(pipelines: Pipelines) -> None:
    pipelines.play()

    artifact = pipelines.folder / "home/1/artifacts/release-staging-default/release.json"
    assert artifact.read_text(encoding="utf-8") == "pipeline-of-staging\n"


def test_a_build_publishes_runs_and_promotes_each_of_its_training_pipelines(pipelines: Pipelines) -> None:
    played = pipelines.play(parameters={"trainingPipelines": ["default", "rents"]})

    assert set(played.results.values()) == {"Succeeded"}, played.log
    assert [words for words in played.words if words.startswith("deploy")] == [
        f"deploy STACK={environment}" for environment in ENVIRONMENTS
    ], "an environment is brought up once, whatever is trained in it"
    prod = played.by(connection("prod"))
    assert prod == [
        "deploy STACK=prod",
        "publish STACK=prod (default kept)",
        "publish STACK=prod PIPELINE=rents (default kept)",
        *(
            f"{words}{pipeline}"
            for pipeline in ("", " PIPELINE=rents")
            for words in (
                "smoke STACK=prod CODE_VERSION=1", "report STACK=prod", "promote FROM=staging TO=prod",
                "release STACK=prod",
            )
        ),
    ]  # fmt: skip
    checked = [words for words in played.words if words.startswith("release-check")]
    assert [words.rpartition("/")[2] for words in checked] == ["release-staging-default", "release-staging-rents"]
    artifact = pipelines.folder / "home/1/artifacts/release-staging-rents/release.json"
    assert artifact.read_text(encoding="utf-8") == "rents-of-staging\n"


def test_a_training_pipeline_that_fails_in_staging_keeps_its_build_from_prod(pipelines: Pipelines) -> None:
    played = pipelines.play(
        parameters={"trainingPipelines": ["default", "rents"]}, fails="smoke STACK=staging * PIPELINE=rents"
    )

    assert played.results["Deploy staging"] == "Failed"
    assert "share STACK=staging" in played.words, "the other one goes on as far as staging"
    assert not played.by(connection("prod"))


def test_the_report_of_the_smoke_run_is_the_build_s_summary_and_an_artifact(pipelines: Pipelines) -> None:
    pipelines.play(fails="smoke STACK=staging *")

    build = pipelines.folder / "home/1"
    for environment in ("dev", "staging"):
        page = build / f"artifacts/report-{environment}-default-1/report.html"
        assert page.read_text(encoding="utf-8") == f"run-of-{environment}\n", "also of the run that failed"
        assert (build / f"summaries/{environment}.Smoke_default.report.html").exists()


def test_a_report_that_cannot_be_made_stops_no_release(pipelines: Pipelines) -> None:
    played = pipelines.play(fails="report STACK=staging")

    assert played.results["Deploy staging"] == "SucceededWithIssues"
    assert played.words[-1] == "release STACK=prod"


def test_a_build_that_started_no_run_reports_none(pipelines: Pipelines) -> None:
    played = pipelines.play(fails="publish STACK=dev")

    assert "report STACK=dev" not in played.words


def test_a_pull_request_is_previewed_and_commented_by_the_reading_identity_alone(pipelines: Pipelines) -> None:
    played = pipelines.play(reason="PullRequest")

    assert {identity for identity, _ in played.calls} == {"nobody", PREVIEW}
    assert played.by(PREVIEW) == [f"preview STACK={environment}" for environment in ENVIRONMENTS]
    assert [words for words in played.words if words.startswith("comment")] == [
        f"comment STACK={environment}" for environment in ENVIRONMENTS
    ]


def test_every_target_runs_in_the_subscription_that_its_environments_variable_group_names(pipelines: Pipelines) -> None:
    """Previews too, though their connection is one and bound to the bootstrap's subscription."""
    for played in (pipelines.play(), pipelines.play(reason="PullRequest")):
        targets = {(where, words) for where, words in played.subscriptions if "STACK=" in words}
        wrong = [(where, words) for where, words in targets if where and where.split("-")[-1] not in words]
        assert targets and not wrong
        previews = {(where, words) for where, words in targets if words.startswith("preview")}
        assert previews == {
            (f"subscription of dataopsml-{environment}", f"preview STACK={environment}") for environment in ENVIRONMENTS
        }


def test_a_failed_preview_is_commented_and_fails_the_pull_request(pipelines: Pipelines) -> None:
    played = pipelines.play(reason="PullRequest", fails="preview STACK=staging")

    assert played.results["Preview staging"] == "Failed"
    assert "comment STACK=staging" in played.words


@pytest.mark.parametrize("target", ["lint", "test-report TIER=unit", "test-report TIER=spark"])
def test_a_commit_with_failing_tests_is_deployed_nowhere(pipelines: Pipelines, target: str) -> None:
    played = pipelines.play(fails=target)

    assert {identity for identity, _ in played.calls} == {"nobody"}
    assert "test-report TIER=spark" in played.words, "the other results are published all the same"


def test_a_failed_smoke_run_in_staging_leaves_prod_unchanged(pipelines: Pipelines) -> None:
    played = pipelines.play(fails="smoke STACK=staging *")

    assert played.results["Deploy staging"] == "Failed"
    assert played.results["Preview prod"] == played.results["Deploy prod"] == "Skipped"
    assert not [words for words in played.words if "prod" in words]
    assert played.by(connection("staging")) == _deployed("staging"), "the model is not shared either"


def test_a_model_that_does_not_score_a_sample_is_not_shared(pipelines: Pipelines) -> None:
    played = pipelines.play(fails="score-sample STACK=staging")

    assert played.results["Deploy staging"] == "Failed"
    assert "share STACK=staging" not in played.words
    assert not played.by(connection("prod"))


def test_a_model_that_is_not_shared_is_not_promoted(pipelines: Pipelines) -> None:
    played = pipelines.play(fails="share STACK=staging")

    assert played.results["Deploy staging"] == "Failed"
    assert not played.by(connection("prod"))


def test_a_promotion_that_the_gate_refuses_fails_the_stage_and_releases_nothing(pipelines: Pipelines) -> None:
    played = pipelines.play(fails="promote *")

    assert played.results["Deploy prod"] == "Failed"
    assert played.words[-1] == "promote FROM=staging TO=prod"


def test_another_release_than_staging_s_stops_before_prod_is_deployed(pipelines: Pipelines) -> None:
    played = pipelines.play(fails="release-check *")

    assert played.results["Deploy prod"] == "Failed"
    assert not played.by(connection("prod"))


@pytest.mark.parametrize(("ends", "result"), [("expired", "Skipped"), ("rejected", "Failed")])
def test_a_missing_approval_leaves_prod_unchanged(pipelines: Pipelines, ends: str, result: str) -> None:
    approvals = Approvals(yes=True, **{ends: frozenset({"dataopsml-prod"})})

    played = pipelines.play(approvals=approvals)

    assert (played.results["Deploy staging"], played.results["Deploy prod"]) == ("Succeeded", result)
    assert not played.by(connection("prod"))


@pytest.mark.parametrize(
    "name", ["BASE_NAME", "LOCATION", "SUBSCRIPTION_ID", "BACKEND_STORAGE_ACCOUNT", "BACKEND_CONTAINER"]
)
def test_a_missing_variable_is_named_before_any_request_to_the_cloud(pipelines: Pipelines, name: str) -> None:
    played = pipelines.play(without=("dataopsml-staging", name))

    assert f"Variable {name} is not set: add it to the environment's variable group." in played.log
    assert played.results["Preview staging"] == "Failed"
    before = ENVIRONMENTS[ENVIRONMENTS.index("staging") - 1]
    assert played.words[-1] == f"release STACK={before}"


def test_a_cancelled_build_cancels_its_run(pipelines: Pipelines) -> None:
    played = pipelines.play(stops="smoke STACK=staging *")

    assert played.results["Deploy staging"] == "Canceled"
    assert played.calls[-1] == (connection("staging"), "cancel STACK=staging")


def test_drift_of_one_stack_opens_its_work_item_and_the_others_are_compared_too(pipelines: Pipelines) -> None:
    played = pipelines.play("pipelines/drift.yml", reason="Schedule", fails="drift STACK=dev")

    others = [environment for environment in ENVIRONMENTS if environment != "dev"]
    assert others
    assert played.calls == [
        (connection("dev"), "drift STACK=dev"),
        ("nobody", "work-item STACK=dev"),
        *((connection(environment), f"drift STACK={environment}") for environment in others),
    ]
    assert played.results == {
        "Drift of dev": "Failed",
        **{f"Drift of {environment}": "Succeeded" for environment in others},
    }


def test_each_tier_of_tests_runs_at_night_regardless_of_the_others(pipelines: Pipelines) -> None:
    played = pipelines.play("pipelines/nightly.yml", reason="Schedule", fails="test-nightly TIER=models")

    tiers = [f"test-nightly TIER={tier}" for tier in ("nightly", "models", "upgrade", "rehearsal")]
    assert played.calls == [("nobody", words) for words in ("test", "faults", *tiers)]
    assert played.results == {"All tests": "Failed"}


def test_each_morning_episodes_of_each_stack_become_work_items(pipelines: Pipelines) -> None:
    played = pipelines.play("pipelines/watch.yml", reason="Schedule")

    assert played.calls == [
        call
        for environment in ENVIRONMENTS
        for call in (
            (connection(environment), f"episodes STACK={environment}"), ("nobody", f"work-items STACK={environment}")
        )
    ]  # fmt: skip
    assert set(played.results.values()) == {"Succeeded"}


def test_steps_that_need_azure_devops_are_reported_as_not_played(pipelines: Pipelines) -> None:
    drift = pipelines.play("pipelines/drift.yml", reason="Schedule", fails="drift STACK=dev", token="")
    review = pipelines.play(reason="PullRequest", token="")

    for played, title in ((drift, "Open a work item"), (review, "Comment on the pull request")):
        assert not [words for words in played.words if words.startswith(("work-item", "comment"))]
        steps = [step for stage in played.records for job in stage.parts for step in job.parts if step.title == title]
        notes = {step.note for step in steps if step.note}
        assert notes == {"it calls Azure DevOps with the build's own token, which exists there only"}
        assert {step.result for step in steps} == {Result.SKIPPED}


def test_retraining_deploys_nothing_and_promotes_only_on_request(pipelines: Pipelines) -> None:
    played = pipelines.play("pipelines/retrain.yml", reason="Schedule")
    smoke = (connection("staging"), "smoke STACK=staging INCOMING=1")
    report = (connection("staging"), "report STACK=staging")
    assert played.calls == [smoke, report]

    played = pipelines.play("pipelines/retrain.yml", reason="Manual", parameters={"promote": True})
    assert played.calls == [
        smoke,
        report,
        (connection("staging"), "score-sample STACK=staging"),
        (connection("staging"), "share STACK=staging"),
        (connection("prod"), "promote FROM=staging TO=prod"),
    ]


def test_a_version_that_prod_trained_is_promoted_there_after_an_approval(pipelines: Pipelines) -> None:
    version = {"modelVersion": "5"}
    rejected = Approvals(rejected=frozenset({"dataopsml-prod"}))
    refused = pipelines.play("pipelines/promote.yml", reason="Manual", parameters=version, approvals=rejected)
    assert (refused.calls, refused.results) == ([], {"Promote in prod": "Failed"})

    played = pipelines.play("pipelines/promote.yml", reason="Manual", parameters=version)

    assert played.calls == [(connection("prod"), "promote FROM=prod TO=prod MODEL_VERSION=5")]


@pytest.mark.parametrize(("confirm", "words"), [("dev", ["undeploy STACK=dev"]), ("no", []), ("prod", [])])
def test_only_dev_is_destroyed_and_only_when_its_name_is_typed(
    pipelines: Pipelines, confirm: str, words: list[str]
) -> None:
    played = pipelines.play("pipelines/destroy.yml", reason="Manual", parameters={"confirm": confirm})

    assert played.words == words
    assert {identity for identity, _ in played.calls} <= {connection("dev")}


@pytest.mark.parametrize("start", organisation.read(ORGANISATION).pipelines)
def test_every_script_step_is_one_make_target(start: Start) -> None:
    predefined = {"Build.Reason": start.reason, "Build.SourceBranch": "refs/heads/main"}
    pipeline = model.read(compile_pipeline(ROOT / start.file, ROOT, start.parameters, predefined))

    scripts = list(validation.scripts(pipeline))

    assert scripts
    assert [script for script in scripts if not _TARGET.fullmatch(script.strip())] == []
