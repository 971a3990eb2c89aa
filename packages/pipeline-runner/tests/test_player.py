"""Stages, jobs, conditions, outputs, artifacts, checks: small pipelines played with bash, without a cloud."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml
from pipeline_runner import model
from pipeline_runner.checks import Approvals, Check, exclusive
from pipeline_runner.errors import PipelineError, RunnerError
from pipeline_runner.player import Player, Setting
from pipeline_runner.records import Record
from pipeline_runner.results import Result
from pipeline_runner.workspace import Workspace, git


@dataclass
class Outcome:
    """Records and log of a played pipeline."""

    records: list[Record]
    log: str

    @property
    def results(self) -> dict[str, str]:
        """Results by stage, and by "stage/job"."""
        stages = {stage.title: str(stage.result) for stage in self.records}
        return stages | {f"{stage.title}/{job.title}": str(job.result) for stage in self.records for job in stage.parts}

    def note(self, stage: str) -> str:
        return next(record.note for record in self.records if record.title == stage)


Play = Callable[..., Outcome]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    repository = tmp_path / "repository"
    repository.mkdir()
    git("init", "--quiet", cwd=repository)
    (repository / "file.txt").write_text("committed\n")
    git("add", ".", cwd=repository)
    git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "one", cwd=repository)

    def run(text: str, **changes: Any) -> Outcome:
        workspace = Workspace(
            tmp_path / "home", changes.pop("build", 1), repository, git("rev-parse", "HEAD", cwd=repository)
        )
        workspace.artifacts.mkdir(parents=True)
        setting: dict[str, Any] = {
            "groups": {"g": {"NAME": "of the group"}}, "environments": {"e": Check(), "gated": Check(approval=True)},
            "connect": lambda name: {"servicePrincipalId": f"id of {name}", "OTHER": "o"},
            "shell": {"PATH": "/usr/bin:/bin"}, "caches": tmp_path / "caches", "approvals": Approvals(yes=True),
        }  # fmt: skip
        pipeline = model.read(yaml.safe_load(dedent(text)))
        player = Player(pipeline, Setting(**(setting | changes)), workspace, {"Build.BuildId": "7"})
        records = player.play()
        logs = sorted((workspace.root / "logs").glob("*.log"))
        return Outcome(records, "".join(log.read_text() for log in logs))

    return run


def test_a_failed_stage_stops_its_dependents_and_starts_stages_for_failures(play: Play) -> None:
    outcome = play(
        """
        stages:
          - stage: A
            jobs: [{job: J, steps: [{bash: exit 3}, {bash: echo never}, {bash: echo always ran, condition: always()}]}]
          - stage: B
            jobs: [{job: J, steps: [{bash: echo b}]}]
          - stage: Alarm
            dependsOn: A
            condition: failed()
            jobs: [{job: J, steps: [{bash: echo alarm}]}]
          - stage: Alone
            dependsOn: []
            jobs: [{job: J, steps: [{bash: echo alone}]}]
        """
    )
    assert outcome.results == {
        "A": "Failed", "A/J": "Failed", "B": "Skipped", "Alarm": "Succeeded", "Alarm/J": "Succeeded",
        "Alone": "Succeeded", "Alone/J": "Succeeded",
    }  # fmt: skip
    assert "never" not in outcome.log
    assert "always ran" in outcome.log


def test_a_skipped_stage_skips_its_indirect_dependents(play: Play) -> None:
    outcome = play(
        """
        stages:
          - {stage: A, condition: "false", jobs: [{job: J, steps: [{bash: 'true'}]}]}
          - {stage: B, condition: always(), jobs: [{job: J, steps: [{bash: 'true'}]}]}
          - {stage: C, jobs: [{job: J, steps: [{bash: 'true'}]}]}
        """
    )
    assert [outcome.results[name] for name in "ABC"] == ["Skipped", "Succeeded", "Skipped"]


def test_a_summary_is_kept_with_the_build(play: Play, tmp_path: Path) -> None:
    outcome = play(
        """
        stages:
          - stage: A
            jobs: [{job: J, steps: [{bash: "echo Ümlaut > page.md; echo '##vso[task.uploadsummary]'$PWD/page.md"}]}]
        """
    )
    assert outcome.results["A"] == "Succeeded"
    assert (tmp_path / "home/1/summaries/A.J.page.md").read_text(encoding="utf-8") == "Ümlaut\n"


@pytest.mark.parametrize("file", ["", "/no/such/page.md"])
def test_a_summary_without_a_file_fails_the_step_as_on_an_agent(play: Play, file: str) -> None:
    outcome = play(
        f"""
        stages:
          - stage: A
            jobs: [{{job: J, steps: [{{bash: 'echo "##vso[task.uploadsummary]{file}"'}}]}}]
        """
    )
    assert outcome.results["A"] == "Failed"
    (step,) = outcome.records[0].parts[0].parts
    assert step.note.startswith(f"##vso[task.uploadsummary]{file}:"), step.note


def test_output_variables_reach_jobs_stages_and_conditions(play: Play) -> None:
    outcome = play(
        """
        stages:
          - stage: A
            jobs:
              - deployment: D
                environment: e
                strategy:
                  runOnce:
                    deploy:
                      steps:
                        - {bash: 'echo "##vso[task.setvariable variable=ID;isOutput=true]m-1"', name: pub}
                        - bash: echo same job $(pub.ID)
              - job: Next
                dependsOn: D
                variables: {ID: "$[ dependencies.D.outputs['D.pub.ID'] ]"}
                steps: [{bash: echo next job $(ID) $ID}]
          - stage: B
            condition: and(succeeded(), eq(dependencies.A.outputs['D.D.pub.ID'], 'M-1'))
            variables: {ID: "$[ stageDependencies.A.D.outputs['D.pub.ID'] ]"}
            jobs:
              - job: J
                variables: {ID2: "$[ stageDependencies.A.D.outputs['D.pub.ID'] ]"}
                steps: [{bash: echo next stage $(ID2)}]
        """
    )
    assert outcome.results["B"] == "Succeeded", outcome.log
    for line in ("same job m-1", "next job m-1 m-1", "next stage m-1"):
        assert line in outcome.log


def test_variables_come_from_groups_and_macros_of_unknown_ones_remain(play: Play) -> None:
    outcome = play(
        """
        variables: [{group: g}, {name: whole, value: "$(NAME)!"}]
        steps:
          - bash: echo "$(whole) $NAME ${{ 1 }}$(Build.BuildId)" | sed 's/[$][{].*[}]//'
          - bash: 'echo "##vso[task.setvariable variable=later]set" && echo "[$(later)]" || true'
          - bash: echo "$(later) $LATER"
        """.replace("${{ 1 }}", "")
    )
    assert "of the group! of the group 7" in outcome.log
    assert "set set" in outcome.log


def test_a_missing_group_and_a_missing_environment_are_named(play: Play) -> None:
    with pytest.raises(PipelineError, match="Variable group nowhere could not be found"):
        play("{variables: [{group: nowhere}], steps: [{bash: 'true'}]}")
    with pytest.raises(RunnerError, match="Environment nowhere of stage __default does not exist"):
        play(
            "jobs: [{deployment: D, environment: nowhere, strategy: {runOnce: {deploy: {steps: [{bash: x}]}}}}]",
            build=2,
        )


def test_jobs_share_only_artifacts(play: Play) -> None:
    outcome = play(
        """
        stages:
          - stage: A
            jobs:
              - job: One
                steps:
                  - checkout: self
                  - bash: cat file.txt && mkdir out && echo made > out/it && echo lost > lost
                  - {publish: out, artifact: thing}
              - job: Two
                dependsOn: One
                steps:
                  - {download: current, artifact: thing}
                  - bash: cat "$(Pipeline.Workspace)/thing/it" && test ! -e lost && test ! -e file.txt
              - job: Three
                steps: [{download: current, artifact: other}]
        """
    )
    assert outcome.results == {"A": "Failed", "A/One": "Succeeded", "A/Two": "Succeeded", "A/Three": "Failed"}
    assert "Artifact other was not found" in outcome.records[0].parts[2].note


def test_azure_cli_steps_get_the_federated_identity_only_on_request(play: Play) -> None:
    outcome = play(
        """
        steps:
          - task: AzureCLI@2
            inputs:
              azureSubscription: C
              scriptType: bash
              addSpnToEnvironment: true
              inlineScript: echo "<$servicePrincipalId>"
          - task: AzureCLI@2
            inputs:
              azureSubscription: C
              scriptType: bash
              inlineScript: echo "<${servicePrincipalId:-none}|$OTHER>"
        """
    )
    assert "<id of C>" in outcome.log
    assert "<none|o>" in outcome.log


def test_a_step_that_cannot_be_played_is_skipped_with_the_reason(play: Play) -> None:
    outcome = play(
        """
        jobs:
          - job: J
            steps: [{task: Docker@2, inputs: {command: login}}, {task: Some@1}, {pwsh: x}, {bash: echo on}]
          - job: S
            pool: server
            steps: [{task: InvokeRESTAPI@1}]
        """
    )
    steps = outcome.records[0].parts[0].parts
    assert [str(step.result) for step in steps] == ["Skipped", "Skipped", "Skipped", "Succeeded"]
    assert all(step.note for step in steps[:3])
    assert "agentless" in outcome.records[0].parts[1].note


def test_missing_test_results_fail_the_step_that_publishes_them(play: Play) -> None:
    outcome = play("steps: [{task: PublishTestResults@2, inputs: {testResultsFiles: build/*.xml}}]")
    assert outcome.records[0].result is Result.FAILED


def test_an_expired_approval_skips_the_stage_and_a_rejected_one_fails_it(play: Play) -> None:
    text = """
        stages:
          - stage: P
            jobs: [{deployment: D, environment: gated, strategy: {runOnce: {deploy: {steps: [{bash: echo deployed}]}}}}]
          - stage: After
            jobs: [{job: J, steps: [{bash: echo after}]}]
        """
    expired = play(text, approvals=Approvals(expired=frozenset({"gated"})))
    assert (expired.results["P"], expired.results["After"]) == ("Skipped", "Skipped")
    assert "expired after 43200 minutes" in expired.note("P")
    rejected = play(text, approvals=Approvals(rejected=frozenset({"gated"})), build=2)
    assert (rejected.results["P"], rejected.results["After"]) == ("Failed", "Skipped")
    assert "deployed" not in expired.log + rejected.log


def test_an_exclusive_lock_names_its_holder(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path, "prod", 4, "sequential", 1),
        pytest.raises(RunnerError, match=r"exclusive lock of prod is held by build 4 \(process \d+\)"),
        exclusive(tmp_path, "prod", 5, "sequential", 0.1),
    ):
        raise AssertionError("both hold the lock")
    with exclusive(tmp_path, "prod", 6, "runLatest", 0):
        assert (tmp_path / "prod.holder").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: [{stage: A, dependsOn: Z, jobs: [{job: J, steps: []}]}]", "Stage A depends on unknown stage Z"),
        ("jobs: [{job: A, dependsOn: B, steps: []}, {job: B, dependsOn: A, steps: []}]", "in a circle"),
        ("jobs: [{job: A, steps: []}, {job: A, steps: []}]", "appears more than once"),
        ("jobs: [{deployment: A, strategy: {runOnce: {deploy: {steps: []}}}}]", "names no environment"),
        ("jobs: [{deployment: A, environment: e, strategy: {canary: {}}}]", "only runOnce can be played"),
        ("steps: [{bsh: x}]", "a step that is none of"),
        ("stages: []", "has no stages"),
    ],
)
def test_a_pipeline_that_azure_pipelines_would_refuse_is_refused_before_it_starts(text: str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        model.read(yaml.safe_load(text))
    assert message in str(caught.value)
