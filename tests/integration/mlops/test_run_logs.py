"""`mlops logs`, `runs` and `status` of failed training and scoring runs, against a stack whose only step fails."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud.testing.azure_session import AzureSession
from rich.console import Console
from typer.testing import CliRunner

from mlops import completion, jobs, run, run_logs, runs
from mlops.cli import app
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError, RemoteError
from mlops.jobs import Job
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack, run_inputs

CAUSE = "ValueError: column bmi has no values"
FAILS = f'python -c \'print("reads data", flush=True); raise ValueError("{CAUSE.partition(": ")[2]}")\''
OPTIONS = "--stack staging --pipeline diabetes"


@pytest.fixture(scope="module")
def stack(azure: AzureSession) -> Iterator[Stack]:
    stack = make_stack(azure, "staging", None, FAILS)
    stack.publish("1", "commit-1")
    yield stack
    remove_stack(stack)


@pytest.fixture(scope="module")
def training(stack: Stack) -> Job:
    return jobs.start(stack.clients, "v-1", run_inputs("1", "data"))


@pytest.fixture(scope="module")
def scoring(stack: Stack) -> Job:
    experiment = stack.clients.pipeline.scoring_experiment
    return jobs.start(stack.clients, "s-1", {"attempt": "first"}, experiment)


def logs(stack: Stack, name: str | None, step: str | None = None, *, follow: bool = False, score: bool = False) -> str:
    written: list[str] = []
    run_logs.show(stack.clients, name, step, written.append, follow=follow, scoring=score)
    return "".join(written)


@pytest.fixture
def outputs(stack: Stack, tmp_path: Path) -> str:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(stack.clients.outputs.model_dump()))
    return str(file)


def command(outputs: str, *words: str) -> str:
    where = ["--stack", "staging", "--pipeline", "diabetes", "--outputs", outputs]
    result = CliRunner().invoke(app, [*words, *where], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_output_of_both_kinds_of_runs_is_followed_to_its_end(stack: Stack, training: Job, scoring: Job) -> None:
    trained = logs(stack, training.name, follow=True)
    assert trained.startswith("--- train\n") and trained.endswith(f"{CAUSE}\n")
    scored = logs(stack, scoring.name, "score", follow=True)
    assert scored.startswith("reads data\n") and scored.endswith(f"{CAUSE}\n"), "one step has no heading"

    assert (logs(stack, None), logs(stack, None, "score", score=True)) == (trained, scored)
    assert runs.newest(stack.clients, 5) == [jobs.get(stack.clients, training.name)]
    assert [scored_run.name for scored_run in runs.newest_scorings(stack.clients, 5)] == [scoring.name]


def test_a_wrong_step_or_run_offers_the_closest_names(stack: Stack, training: Job, scoring: Job) -> None:
    logs(stack, scoring.name, follow=True)
    with pytest.raises(MissingError) as step:
        logs(stack, scoring.name, "scor")
    assert str(step.value) == f"Run {scoring.name} has no step 'scor'. Did you mean score?"
    with pytest.raises(MissingError, match=rf"`python -m mlops logs watch --score {OPTIONS}` shows the newest's\.$"):
        logs(stack, training.name, "watch", follow=True)
    for job in (training, scoring):
        with pytest.raises(MissingError, match=rf"no run '{job.name[:-1]}' of diabetes on stack staging") as unknown:
            logs(stack, job.name[:-1])
        assert job.name in str(unknown.value)


def test_a_verb_for_training_runs_names_the_kind_of_a_scoring_run(stack: Stack, scoring: Job) -> None:
    with pytest.raises(
        InvalidError, match=f"^Run {scoring.name} scores files, and this verb is for runs that"
    ) as error:
        runs.job(stack.clients, scoring.name)
    assert f"`python -m mlops logs --run {scoring.name} {OPTIONS}`" in str(error.value)


def test_status_names_the_failed_step_the_cause_and_the_command_for_more(
    stack: Stack, training: Job, scoring: Job, outputs: str
) -> None:
    for job in (training, scoring):
        logs(stack, job.name, follow=True)

    lines = command(outputs, "status").splitlines()

    assert f"Newest run: {training.name}, Failed." in lines and f"train: Failed. {CAUSE}" in lines
    assert f"`python -m mlops logs train --run {training.name} {OPTIONS}` shows its whole output." in lines
    assert f"`python -m mlops resume {training.name} {OPTIONS}` continues it." in lines
    assert f"Newest scoring run: {scoring.name}, Failed." in lines and f"score: Failed. {CAUSE}" in lines
    assert f"`python -m mlops logs score --run {scoring.name} {OPTIONS}` shows its whole output." in lines
    assert scoring.name in command(outputs, "runs", "--score", "--output", "json")


def test_a_lost_connection_names_the_run_and_how_to_go_on(
    stack: Stack, training: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, nobody)
    clients = Clients(stack.clients.outputs, stack.clients.pipeline)

    with pytest.raises(RemoteError, match=f"^Run {training.name} could not be followed to its end, and may go") as lost:
        run.follow(clients, training, Console(file=io.StringIO()))
    assert f"`python -m mlops logs --run {training.name} --follow {OPTIONS}` follows it" in str(lost.value)


def test_names_of_runs_are_completed_and_a_stack_without_an_answer_has_none(
    training: Job, scoring: Job, outputs: str, tmp_path: Path
) -> None:
    def completed(outputs: Path, name: str, *, training: bool = False) -> list[str]:
        options = {"stack": "staging", "outputs": outputs, "pipeline": "diabetes"}
        return completion.runs(options, name, training=training)

    assert {training.name, scoring.name} <= set(completed(Path(outputs), "batchjob-"))
    assert completed(Path(outputs), scoring.name[:-1]) == [scoring.name]
    assert completed(Path(outputs), "batchjob-", training=True) == [training.name]
    assert completed(tmp_path / "none.json", "batchjob-") == []
