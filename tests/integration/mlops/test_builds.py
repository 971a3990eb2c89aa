"""Runs of a build: it names the run that it started, cancels that run and no other, or lets a server job start it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from localcloud.testing.azure_session import AzureSession
from pipeline_runner import model
from pipeline_runner.model import Job
from pipeline_runner.templates import compile_pipeline

from infra.stack_file import ROOT
from mlops import fingerprints, jobs, publish, specifications
from mlops.clients import Clients
from mlops.errors import MissingError
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack, run_inputs

_VARIABLE = re.compile(r"^##vso\[task\.setvariable variable=(\w+)(?:;isOutput=true)?\](.*)$", re.MULTILINE)
_BUILD = "417"


@pytest.fixture(scope="module")
def stack(azure: AzureSession) -> Iterator[Stack]:
    stack = _with_default_pipeline(make_stack(azure, "dev", None))
    stack.publish(_BUILD, "commit-1")
    yield stack
    remove_stack(stack)


@pytest.fixture(scope="module")
def slow(azure: AzureSession) -> Iterator[Stack]:
    """Its runs last until they are cancelled."""
    stack = _with_default_pipeline(make_stack(azure, "dev", None, command="sleep 600"))
    stack.publish(_BUILD, "commit-1")
    yield stack
    remove_stack(stack)


def _with_default_pipeline(stack: Stack) -> Stack:
    """Return the stack with the repository's default pipeline: the verbs of a build read no sample."""
    return replace(stack, clients=Clients(stack.clients.outputs, specifications.load(specifications.DEFAULT)))


def _mlops(stack: Stack, folder: Path, *words: str, code: int = 0) -> str:
    """Return the output of a verb that ends with the code: the errors of one that fails."""
    outputs = folder / "outputs.json"
    outputs.write_text(stack.clients.outputs.model_dump_json(), encoding="utf-8")
    completed = subprocess.run(
        [sys.executable, "-m", "mlops", *words, "--stack", "dev", "--outputs", str(outputs)],
        cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert completed.returncode == code, completed.stdout + completed.stderr
    return completed.stderr if code else completed.stdout


def _server_job() -> Job:
    """Return the server job of the stage dev, as azure-pipelines.yml has it."""
    predefined = {"Build.Reason": "IndividualCI", "Build.SourceBranch": "refs/heads/main"}
    compiled = compile_pipeline(ROOT / "azure-pipelines.yml", ROOT, {"amlServerJob": True}, predefined)
    (stage,) = [stage for stage in model.read(compiled).stages if stage.name == "dev"]
    (job,) = [job for job in stage.jobs if job.server]
    return job


def _expanded(text: str, values: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return _expanded(values[match[1]], values)

    return re.sub(r"\$\(([\w.]+)\)", value, text)


def test_the_agentless_job_runs_the_pipeline_that_the_step_before_it_published(stack: Stack, tmp_path: Path) -> None:
    data = tmp_path / "some.csv"
    data.write_bytes((ROOT / "data/diabetes.csv").read_bytes() + b"59,2,32.1,101,157,93.2,38,4,4.8598,87,151\n")
    output = _mlops(
        stack, tmp_path, "publish", "--version", _BUILD, "--with-data", "--data", str(data), "--azure-devops"
    )
    published: dict[str, str] = dict(_VARIABLE.findall(output))
    job, known = _server_job(), {"Build.BuildId": _BUILD, "System.StageAttempt": "1"}
    variables: dict[str, str] = {}
    for variable in job.variables:
        reference = re.search(r"outputs\['Deploy\.publish_default\.(\w+)'\]", str(variable["value"]))
        variables[str(variable["name"])] = published[reference[1]] if reference else str(variable["value"])
    variables |= known | {"WORKSPACE_ID": stack.workspace.id}
    submit, wait = job.steps
    path, _, version = _expanded(str(submit.inputs["urlSuffix"]), variables).partition("?api-version=")

    answer = stack.workspace.azure.arm(
        str(submit.inputs["method"]), path, version, json.loads(_expanded(str(submit.inputs["body"]), variables))
    )

    assert answer.status_code in (200, 201), answer.text
    name = _expanded(str(wait.inputs["azureMLJobName"]), variables)
    assert stack.workspace.finished(name).status == "Completed"
    newest = jobs.newest(stack.clients)
    assert newest is not None and (newest.name, newest.code) == (name, _BUILD), "mlops finds it as its own"
    (uploaded,) = [blob.name for blob in stack.clients.training.list_blobs() if blob.name.endswith("/data.csv")]
    assert published["AMLPIPELINE_DATA_URI"].endswith(f"/{uploaded}")


@pytest.mark.nightly
def test_a_build_names_the_run_that_it_started(stack: Stack, tmp_path: Path) -> None:
    output = _mlops(stack, tmp_path, "run", "--azure-devops")

    started = dict(_VARIABLE.findall(output))["AMLRUN_ID"]
    newest = jobs.newest(stack.clients)
    assert newest is not None and newest.name == started
    assert "setvariable" not in _mlops(stack, tmp_path, "run"), "a person's terminal is no build"


@pytest.mark.nightly
def test_a_version_that_waits_for_its_promotion_is_run_by_its_name(azure: AzureSession, tmp_path: Path) -> None:
    waiting = make_stack(azure, "prod", None)
    waiting.publish("416", "commit-0")
    waiting.publish("417", "commit-1", keep_default=True)

    _mlops(waiting, tmp_path, "run", "--version", "417")
    newest = jobs.newest(waiting.clients)
    assert newest is not None and newest.code == "417"
    _mlops(waiting, tmp_path, "run")
    newest = jobs.newest(waiting.clients)
    assert newest is not None and newest.code == "416"
    assert waiting.default == "v-416"
    with pytest.raises(MissingError, match="Version 418 is not published on prod"):
        publish.of_version(waiting.clients, "418")
    remove_stack(waiting)


@pytest.mark.nightly
def test_retraining_uses_the_newest_upload_or_else_the_repository_s_data(stack: Stack, tmp_path: Path) -> None:
    def trained_on() -> str:
        _mlops(stack, tmp_path, "run", "--incoming")
        newest = jobs.newest(stack.clients)
        assert newest is not None
        return newest.data

    assert trained_on() == fingerprints.of_file(ROOT / "data" / "diabetes.csv")
    for name, text in (("incoming/b.csv", "older"), ("incoming/a.csv", "newer"), ("incoming/note.txt", "no data")):
        stack.clients.training.upload_blob(name, text)
        time.sleep(1.1)  # a blob's time has whole seconds
    (tmp_path / "a.csv").write_text("newer", encoding="utf-8")

    assert trained_on() == fingerprints.of_file(tmp_path / "a.csv")


def test_a_cancelled_build_cancels_its_own_run_and_no_other(slow: Stack, tmp_path: Path) -> None:
    own, other = (jobs.start(slow.clients, f"v-{_BUILD}", run_inputs(_BUILD, data)).name for data in ("a", "b"))

    assert _mlops(slow, tmp_path, "cancel", "--run", "") == "No run was started.\n"
    refused = _mlops(slow, tmp_path, "cancel", "--run", "nothing", code=1)
    assert refused.startswith("Error: There is no run 'nothing' of diabetes on stack dev.")
    assert _mlops(slow, tmp_path, "cancel", "--run", own) == f"Run {own} is being cancelled.\n"

    assert slow.workspace.finished(own).status == "Canceled"
    assert _mlops(slow, tmp_path, "cancel", "--run", own) == f"No run {own} is under way on stack dev.\n"
    assert not jobs.get(slow.clients, other).ended
    assert _mlops(slow, tmp_path, "cancel") == f"Run {other} is being cancelled.\n"
    assert slow.workspace.finished(other).status == "Canceled"
    assert _mlops(slow, tmp_path, "cancel") == "No run is under way on stack dev.\n"
