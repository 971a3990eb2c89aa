"""`mlops report`: pages of completed and failed runs, and refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError

from mlops import jobs, pipeline, report, run_report, specifications
from mlops.errors import InvalidError, MissingError
from mlops.history import Step
from mlops.jobs import Job
from tests import samples
from tests.unit.steps.reports import COMMAND, HOSTILE, Page, regression

START = datetime(2026, 11, 25, tzinfo=UTC)


def job(name: str, status: str, **more: Any) -> Job:
    component = f"/components/{specifications.load(None, samples.PIPELINES).component}/versions/417"
    return Job(name, status, "417", "d1", f"https://ml.azure.com/runs/{name}", component, **more)


COMPLETED = job("batchjob-1", "Completed")


def step(name: str, status: str = "Completed", seconds: float = 5.0) -> Step:
    return Step(name, f"run-of-{name}", status, START, START + timedelta(seconds=seconds))


class Platform:
    """A stack with runs, steps, logs and files, as `mlops` reads them."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = list(jobs)
        self.steps = [step("train", seconds=75), step("evaluate"), step("register")]
        self.logs: dict[str, str] = {}
        self.blobs: dict[str, str] = {}
        self.artifacts: dict[str, str] = {}
        self.error = ""
        training = SimpleNamespace(download_blob=self._blob)
        self.clients: Any = SimpleNamespace(
            pipeline=specifications.load(None, samples.PIPELINES),
            training=training,
            options="--stack dev --pipeline diabetes",
            outputs=SimpleNamespace(environment="dev"),
        )

    def _blob(self, name: str) -> Any:
        if name not in self.blobs:
            raise ResourceNotFoundError("no such blob")
        return SimpleNamespace(readall=lambda: self.blobs[name].encode())

    def history(self, clients: Any) -> Any:
        return SimpleNamespace(
            steps=lambda name: self.steps, log=lambda step: self.logs.get(step.run, ""),
            run=lambda name: Step(name, name, "Failed", error=self.error),
            artifact=lambda run, path: self.artifacts.get(path),
        )  # fmt: skip


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Platform:
    platform = Platform(COMPLETED)
    monkeypatch.setattr(run_report, "History", platform.history)
    monkeypatch.setattr(jobs, "newest", lambda clients: next(iter(platform.jobs), None))
    monkeypatch.setattr(jobs, "recent", lambda clients: iter(platform.jobs))
    monkeypatch.setattr(
        jobs, "get_job", lambda clients, name: next((known for known in platform.jobs if known.name == name), None)
    )
    monkeypatch.chdir(tmp_path)
    return platform


def written(platform: Platform, name: str | None = None, output: Path | None = None) -> str:
    return run_report.write(platform.clients, name, output).page.read_text(encoding="utf-8")


def test_a_completed_run_s_page_has_the_content_and_the_final_results(platform: Platform) -> None:
    platform.blobs["reports/run-of-register/report.json"] = json.dumps(regression())

    result = run_report.write(platform.clients, None, None, with_summary=True)

    assert result.page == Path("build/reports/batchjob-1.html")
    words = Page(result.page.read_text(encoding="utf-8")).words
    assert "houses version 4 is registered" in words and "1 min 15 s" in words
    assert result.summary is not None and "| train | Completed | 1 min 15 s |" in result.summary.read_text("utf-8")


def test_a_run_with_a_failed_registration_shows_its_evaluation_and_the_reason(platform: Platform) -> None:
    platform.jobs = [job("batchjob-2", "Failed", parameters={"alpha": "0.5"})]
    platform.steps[-1] = step("register", "Failed")
    platform.logs["run-of-register"] = f"Traceback (most recent call last):\n  File\nValueError: {HOSTILE}\n"
    evaluation = {key: value for key, value in regression().items() if key not in ("lineage", "parameters")}
    platform.blobs["reports/run-of-evaluate/evaluation.json"] = json.dumps(evaluation)

    words = Page(written(platform)).words

    assert f"Step register ValueError: {HOSTILE}" in words
    assert "Metrics against version 3" in words and "parameter alpha 0.5" in words


def test_a_run_that_failed_early_shows_step_reason_and_data(platform: Platform) -> None:
    platform.jobs = [job("batchjob-3", "Failed")]
    platform.steps = [step("check_data", "Failed"), Step("train", "r2", "NotStarted")]
    platform.logs["run-of-check_data"] = "reading\nbmi has 3 values below 10\n"
    contract = {"accepted": False, "rows_read": 442, "rules": []}
    platform.artifacts["data_contract.json"] = json.dumps(contract)

    words = Page(written(platform)).words

    assert "Step check_data bmi has 3 values below 10" in words
    assert "The data are refused: 442 rows were read" in words
    assert "data version d1" in words


def test_a_run_that_failed_without_a_step_shows_its_own_error(platform: Platform) -> None:
    platform.jobs = [job("batchjob-4", "Failed")]
    platform.steps = []
    platform.error = "the compute cpu does not exist"
    assert "the compute cpu does not exist" in Page(written(platform)).words


def test_a_run_under_way_an_unknown_run_and_none_are_refused(platform: Platform) -> None:
    platform.jobs = [job("batchjob-5", "Running"), COMPLETED]

    follow = r"logs --run batchjob-5 --follow --stack \w+ --pipeline diabetes`"
    with pytest.raises(InvalidError, match=rf"The run batchjob-5 is under way \(Running\).*{follow}"):
        written(platform)
    with pytest.raises(
        MissingError, match=r"'batchjob-I' of diabetes on stack dev. Did you mean batchjob-\d or batchjob-\d"
    ):
        written(platform, "batchjob-I")
    with pytest.raises(
        MissingError, match=r"no run '../jobs' of diabetes on stack dev. There are: batchjob-5, batchjob-1"
    ):
        written(platform, "../jobs")
    platform.jobs = []
    with pytest.raises(MissingError, match="There is no run of diabetes yet"):
        written(platform)
    assert not list(Path.cwd().rglob("*.html"))


def test_a_file_that_cannot_be_written_is_named(platform: Platform, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=rf"cannot be written to {tmp_path}: Is a directory"):
        written(platform, output=tmp_path)


def test_a_summary_commands_no_build(platform: Platform) -> None:
    platform.jobs = [job("batchjob-6", "Failed")]
    platform.steps = [step("train", "Failed")]
    platform.logs["run-of-train"] = f"reading a blob\n{COMMAND}\n"

    result = run_report.write(platform.clients, "batchjob-6", Path("out/page.html"), with_summary=True)

    assert result.summary is not None
    text = result.summary.read_text(encoding="utf-8")
    assert "task.setvariable" in text and "##vso[" not in text


def test_reports_are_read_where_the_pipeline_writes_them() -> None:
    assert report.REPORTS == pipeline.REPORTS
