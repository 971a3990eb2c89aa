"""Refusals of `pipeline-runner check`: the pipelines' own files, each with one mistake in it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from pipeline_runner import organisation, validation
from pipeline_runner.errors import RunnerError
from pipeline_runner.organisation import Start
from pipeline_runner.templates import compile_pipeline

from pipelines.rehearsal import ORGANISATION
from tests.unit.environments import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[3]
_ORGANISATION = organisation.read(ORGANISATION)
_MAIN = Start(file="azure-pipelines.yml", parameters={"amlServerJob": True})
_IMAGE = Start(file="pipelines/ci-image.yml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the pipelines' YAML, to be changed."""
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines")
    shutil.copy2(ROOT / "azure-pipelines.yml", tmp_path)
    return tmp_path


def test_the_committed_pipelines_have_no_problems(copy: Path) -> None:
    assert validation.problems(copy, _ORGANISATION) == []


@pytest.mark.parametrize(
    ("file", "right", "wrong", "message"),
    [
        # An input's name.
        ("steps/azure.yml", "addSpnToEnvironment:", "addSpnToEnv:", "'addSpnToEnv' was unexpected"),
        ("steps/agent.yml", "restoreKeys:", "restoreKey:", "'restoreKey' was unexpected"),
        ("stages/verify.yml", "testResultsFiles:", "testResultFiles:", "'testResultFiles' was unexpected"),
        ("stages/verify.yml", "summaryFileLocation:", "summaryFile:", "'summaryFile' was unexpected"),
        ("ci-image.yml", "containerRegistry:", "registry:", "'registry' was unexpected"),
        ("jobs/aml-server-job.yml", "azureMLJobName:", "jobName:", "'jobName' was unexpected"),
        ("jobs/aml-server-job.yml", "urlSuffix:", "url:", "'url' was unexpected"),
        ("alternatives/pulumi-task.yml", "versionSpec:", "version:", "'version' was unexpected"),
        # An input's value.
        ("stages/verify.yml", "testResultsFormat: JUnit", "testResultsFormat: JUnit5", "'JUnit5' is not one of"),
        ("steps/azure.yml", "scriptType: bash", "scriptType: sh", "'sh' is not one of"),
        # An input that is missing.
        ("steps/agent.yml", "      path: $(LOCALCLOUD_CACHE)\n", "", "'path' is a required property"),
        (
            "jobs/aml-server-job.yml",
            "          azureMLJobName: $(job)\n",
            "",
            "'azureMLJobName' is a required property",
        ),
        (
            "steps/azure.yml",
            "      inlineScript: pipelines/session.sh make ${{ parameters.target }}\n",
            "",
            "AzureCLI@2 with scriptlocation inlineScript needs the input inlineScript",
        ),
        (
            "jobs/aml-server-job.yml",
            "          azureServiceConnection: DataOpsML Azure ML Workspace - ${{ parameters.environment }}\n",
            "",
            "InvokeRESTAPI@1 with connectiontype connectedServiceNameARM needs the input azureServiceConnection",
        ),
        # A task's name and version.
        ("steps/azure.yml", "AzureCLI@2", "AzureCLI@9", "'AzureCLI@9' is not"),
        (
            "jobs/aml-server-job.yml",
            "task: AzureMLJobWaitTask@1",
            "task: AzureMLJobWait@1",
            "'AzureMLJobWait@1' is not",
        ),
        # Place of a task.
        (
            "jobs/aml-server-job.yml",
            "    pool: server\n",
            "",
            "Azure_ML_default: InvokeRESTAPI@1 runs without an agent only",
        ),
        (
            "jobs/aml-server-job.yml",
            "    steps:\n",
            "    steps:\n      - bash: make smoke\n",
            "make smoke needs an agent, and this job has none",
        ),
        # Output variables.
        (
            "stages/environment.yml",
            "outputs['Deploy.publish_${{",
            "outputs['publish_${{",
            "outputs of the deployment job Deploy are called Deploy.step.variable, not publish_default.AMLPIPELINE_ID",
        ),
        (
            "stages/environment.yml",
            "                        name: publish_${{ pipeline }}\n",
            "",
            "the deployment job Deploy has no step named publish_default",
        ),
        (
            "stages/environment.yml",
            "            dependsOn: Deploy\n            timeoutInMinutes",
            "            timeoutInMinutes",
            "Smoke_default: dependencies.Deploy is empty, since dependsOn has no Deploy",
        ),
        # Another shape than a pipeline has.
        (
            "stages/verify.yml",
            "- bash: make lint\n            displayName: Lint\n",
            "- lint\n",
            "'lint' is not of type",
        ),
        ("stages/verify.yml", "    dependsOn: []\n", "    dependsOn: {}\n", "dependsOn: {} is not of type"),
        (
            "stages/preview.yml",
            "- name: environment\n",
            "- title: environment\n",
            "parameters must be a list of mappings",
        ),
        # Keywords.
        ("stages/environment.yml", "lockBehavior: sequential", "lockBehavior: always", "lockBehavior"),
        ("stages/verify.yml", "timeoutInMinutes: 60", "timeoutMinutes: 60", "timeoutMinutes"),
    ],
)
def test_a_single_mistake_is_named(copy: Path, file: str, right: str, wrong: str, message: str) -> None:
    changed = copy / "pipelines" / file
    text = changed.read_text(encoding="utf-8")
    assert right in text, "the test's own words are out of date"
    changed.write_text(text.replace(right, wrong), encoding="utf-8")

    problems = validation.problems(copy, _ORGANISATION, [_IMAGE if file == "ci-image.yml" else _MAIN])

    assert any(message in line for line in problems), problems


_HOSTED = {"vmImage": "ubuntu-24.04"}


@pytest.mark.parametrize(
    ("prod", "message"),
    [
        ({"nam": "agents"}, "Job Preview_prod.Preview: a pool has name, vmImage and demands, and no nam."),
        ({}, "Job Preview_prod.Preview: its pool has neither a name nor a vmImage."),
        ({"demands": ["docker"]}, "its pool has neither a name nor a vmImage."),
        (None, "jobs.0.pool: None is not of type 'string'"),
    ],
)
def test_a_pool_that_azure_pipelines_would_refuse_is_named(copy: Path, prod: object, message: str) -> None:
    pools = {name: _HOSTED for name in ENVIRONMENTS if name != "prod"} | ({} if prod is None else {"prod": prod})

    problems = validation.problems(
        copy, _ORGANISATION, [Start(file="azure-pipelines.yml", parameters={"pools": pools})]
    )

    assert any(message in line for line in problems), problems


@pytest.mark.parametrize("prod", [{"name": "agents", "demands": ["docker"]}, {"vmImage": "ubuntu-24.04"}])
def test_every_job_of_an_environment_goes_to_its_pool_and_no_other_job(prod: dict[str, object]) -> None:
    pools = {**dict.fromkeys(ENVIRONMENTS, _HOSTED), "prod": prod}
    starts = [
        Start(file="azure-pipelines.yml", parameters={"pools": pools, "amlServerJob": True}),
        Start(file="azure-pipelines.yml", reason="PullRequest", parameters={"pools": pools}),
        Start(file="pipelines/drift.yml", reason="Schedule", parameters={"pools": pools}),
        Start(file="pipelines/watch.yml", reason="Schedule", parameters={"pools": pools}),
        Start(file="pipelines/retrain.yml", reason="Manual", parameters={"pools": pools, "promote": True}),
    ]
    for start in starts:
        predefined = {"Build.Reason": start.reason, "Build.SourceBranch": "refs/heads/main"}
        stages = compile_pipeline(ROOT / start.file, ROOT, start.parameters, predefined)["stages"]
        pool_of_jobs = {
            (stage["stage"], job.get("deployment") or job["job"]): job.get("pool")
            for stage in stages
            for job in stage["jobs"]
        }
        last = {place: pool for place, pool in pool_of_jobs.items() if "prod" in place[0] or place[0] == "Promote"}
        assert last and all(pool in (prod, "server") for pool in last.values()), pool_of_jobs
        others = {place: pool for place, pool in pool_of_jobs.items() if place not in last}
        assert all(pool in (_HOSTED, None, "server") for pool in others.values()), pool_of_jobs
        assert all(pool is not None or place[0] == "Verify" for place, pool in pool_of_jobs.items()), pool_of_jobs


def test_an_unused_template_is_named_for_every_form_of_reference(copy: Path) -> None:
    """Azure Pipelines takes a path from the repository's root, also with this repository's own name."""
    preview = copy / "pipelines/stages/preview.yml"
    text = preview.read_text(encoding="utf-8")
    changed = text.replace("../steps/agent.yml", "/pipelines/steps/agent.yml@self")
    assert changed != text
    preview.write_text(changed, encoding="utf-8")
    assert validation.problems(copy, _ORGANISATION, [_MAIN]) == []

    (copy / "pipelines/steps/forgotten.yml").write_text("steps: [{bash: make lint}]", encoding="utf-8")
    assert validation.problems(copy, _ORGANISATION, [_MAIN]) == [
        "pipelines/steps/forgotten.yml: no pipeline here uses it"
    ]


def test_an_unused_parameter_is_named(copy: Path) -> None:
    agent = copy / "pipelines/steps/agent.yml"
    text = agent.read_text(encoding="utf-8")
    declared = "parameters:\n  - {name: unread, type: number, default: 1}\n"
    agent.write_text(text.replace("parameters:\n", declared, 1), encoding="utf-8")

    assert validation.problems(copy, _ORGANISATION, [_MAIN]) == [
        "pipelines/steps/agent.yml: nothing reads the parameter unread"
    ]


def test_a_broken_shellcheck_fails_the_check(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy / "shellcheck").write_text("#!/bin/sh\necho no such option >&2\nexit 3\n", encoding="utf-8")
    (copy / "shellcheck").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(copy / "python"))
    validation._shellcheck.cache_clear()

    with pytest.raises(RunnerError, match="shellcheck has checked nothing: no such option"):
        validation.problems(copy, _ORGANISATION, [_MAIN])
