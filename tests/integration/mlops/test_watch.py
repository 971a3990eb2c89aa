"""The programs of the steps score and watch against storage and MLflow: clean and shifted files, kills, labels."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from azure.storage.blob import ContainerClient
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from localcloud.testing.lake import Lake, make_lake
from sklearn.linear_model import LinearRegression

from mlops import specifications
from mlops.components.score.src.ledger import FIRST, Entry, Ledger
from mlops.components.watch.src.retraining_requests import Requests
from mlops.components.watch.src.watch_history import WatchHistory
from steps import profiles, scored_measures
from steps.data_contract import DataContract
from steps.metrics import Predictions
from steps.specification import Gate, Metric, Score, Specification
from steps.taken_files import TakenFile, TakenFiles
from steps.watch import Watch
from steps.watch_results import Window
from tests.unit.mlops import data_counts, forked_steps

ROOT = Path(__file__).resolve().parents[3]
COMPONENTS = ROOT / "mlops/components"
MODEL = "doubled"
LABELS = "scoring/labels/doubled.csv"
SPECIFICATION = specifications.load("diabetes").specification.model_copy(
    update={
        "model": MODEL,
        "target": "y",
        "data_contract": DataContract(),
        "gate": Gate(metrics=(Metric(name="rmse"),), confidence=0.9),
        "score": Score(notebook="n", input="scoring/in/n", keys=("id",), most_refused=0.5),
        "watch": Watch.model_validate({"labels": {"file": LABELS, "keys": ["id"], "worse_by": {"rmse": 5}}}),
    }
)
_RANDOM = np.random.default_rng(3)


@dataclass
class Scoring:
    """The steps score and watch, each a process of its own, on files that a notebook has prepared."""

    lake: Lake
    folder: Path
    tracking: str
    experiment: str
    processes: forked_steps.Steps
    specification: Specification = SPECIFICATION

    @property
    def blobs(self) -> ContainerClient:
        return self.lake.blobs

    @property
    def history(self) -> WatchHistory:
        return WatchHistory(self.blobs, MODEL)

    def windows(self, name: str) -> list[Window]:
        """Return the windows of a file."""
        return [window for window in self.history.read(100).windows if window.file_name == f"{name}.csv"]

    def start(self) -> str:
        """Return a new run of the pipeline, in which both steps are."""
        return str(mlflow.MlflowClient(self.tracking).create_run(self.experiment).info.run_id)

    def score(self, name: str, rows: pd.DataFrame, run: str, version: str = "2", kill_at: str = "0") -> Any:
        """Prepare a file as the notebook does, and score it."""
        prepared = self.folder / "prepared" / name
        for folder in ("rows", "counts"):
            (prepared / folder).mkdir(parents=True, exist_ok=True)
        carried = pd.DataFrame({"a": rows["a"], "_row": range(len(rows)), "_key_0": rows["id"]})
        carried.to_parquet(prepared / "rows/part-0.parquet", index=False)
        measures = data_counts.counts(rows[["a"]])["measures"]
        noted = {"read": len(rows), "kept": len(rows), "refused": 0, "measures": json.dumps(measures)}
        (prepared / "counts/part-0.json").write_text(json.dumps(noted))
        return self.score_prepared([name], run, version, kill_at)

    def score_prepared(self, names: Sequence[str], run: str, version: str = "2", kill_at: str = "0") -> Any:
        """Score files in one run."""
        prepared = self.folder / "prepared"
        taken = self.folder / "taken"
        taken.mkdir(exist_ok=True)
        TakenFiles(tuple(TakenFile(name, f"{name}.csv", "abfss://none") for name in names)).write(taken, "none")
        literals = {
            "output_folder": "scoring/out", "model_version": version, "attempt": "first", "code_version": "v1",
            "deployment": "v-v1",
        }  # fmt: skip
        words = ["--files", str(taken), "--prepared", str(prepared), "--scored", str(self.folder / "scored")]
        return self._run("score", words, run, kill_at, literals)

    def leave_failed(self, name: str, reason: str, *, refused: bool) -> None:
        """Leave what the notebook leaves for a file that it cannot use."""
        failed = self.folder / "prepared" / name / "failed"
        failed.mkdir(parents=True)
        (failed / "part-0.json").write_text(json.dumps({"reason": f"{reason}.", "refused": refused}))

    def watch(self, run: str, kill_at: str = "0", telemetry: str = "none") -> Any:
        """Watch the scored files."""
        literals = {
            "telemetry": telemetry, "training_endpoint": "none", "training_component": "none",
            "training_experiment": "none", "retraining_client_id": "none", "incoming": "incoming/", "others": "[]",
        }  # fmt: skip
        return self._run("watch", ["--scored", str(self.folder / "scored")], run, kill_at, literals)

    def score_and_watch(self, name: str, rows: pd.DataFrame, version: str = "2") -> str:
        run = self.start()
        scored = self.score(name, rows, run, version)
        assert scored.returncode == 0, scored.stderr
        watched = self.watch(run)
        assert watched.returncode == 0, watched.stderr
        return str(watched.stdout)

    def entry(self, name: str) -> Entry:
        """Return the ledger's entry of a file."""
        known = Ledger(self.lake.data, self.blobs, MODEL).read(name, FIRST)
        assert known is not None
        return known

    def copy(self, template: Entry, name: str) -> None:
        """Leave a file's output and entry as a score step leaves them that scored another one."""
        copied = replace(
            template, file_version=name, file_name=f"{name}.csv", output=f"{template.output}-{name}",
            staged=f"scoring/out/{MODEL}/_staged/{name}",
        )  # fmt: skip
        for file in ("predictions.parquet", scored_measures.FILE):
            content = self.blobs.download_blob(f"{template.output}/{file}").readall()
            self.blobs.upload_blob(f"{copied.staged}/{file}", content)
        Ledger(self.lake.data, self.blobs, MODEL).commit(copied)

    @property
    def requests(self) -> int:
        """Number of requests of the last step that was not killed."""
        return int((self.folder / "requests").read_text())

    def _run(
        self, step: str, words: list[str], run: str, kill_at: str, literals: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        inputs = literals | {
            "specification": self.specification.model_dump_json(exclude_defaults=True),
            "container_uri": f"abfss://data@{self.lake.name}.dfs.core.windows.net",
        }
        variables = {f"AZUREML_PARAMETER_{name}": value for name, value in inputs.items()}
        own = {"AZUREML_ROOT_RUN_ID": run, "KILL_AT": kill_at, "REQUESTS_FILE": str(self.folder / "requests")}
        wrapper = Path(__file__).with_name("killed_step.py")
        program = COMPONENTS / step / f"src/{step}.py"
        return self.processes.run(wrapper, [str(program), *words], variables | own)


def _rows(number: int, shift: float = 0.0, first: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"id": range(first, first + number), "a": _RANDOM.normal(100 + shift, 10, number)})


@pytest.fixture(scope="module")
def scoring(azure: AzureSession, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scoring]:
    folder = tmp_path_factory.mktemp("watch")
    group = f"{azure.subscription}/resourceGroups/rg-watch"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    experiment = _register(tracking, folder)
    environment = {**os.environ, **cloud.environment, "MLFLOW_TRACKING_URI": tracking, "MLFLOW_EXPERIMENT_NAME": "s"}
    # In a job the ledger's module is beside the program (additional_includes).
    paths = os.pathsep.join(map(str, (ROOT, COMPONENTS / "score/src")))
    processes = forked_steps.Steps(
        environment | {"PYTHONPATH": paths},
        folder,
        (
            "azure.identity",
            "azure.storage.filedatalake",
            "scipy.stats",
            "scipy.spatial.distance",
            "jinja2",
            "pyarrow.dataset",
            "steps.telemetry",
            "sklearn.linear_model",
        ),
    )
    yield Scoring(make_lake(azure, group), folder, tracking, experiment, processes)
    processes.close()
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


def _register(tracking: str, folder: Path) -> str:
    """Register a version without profiles, as they were once, and one with them."""
    client = mlflow.MlflowClient(tracking)
    experiment = str(client.create_experiment("s", (folder / "artifacts").as_uri()))
    rows = _rows(2000)[["a"]]
    model = LinearRegression(fit_intercept=False).fit(rows, 2 * rows["a"])
    signature = mlflow.models.infer_signature(rows, model.predict(rows))
    client.create_registered_model(MODEL)
    for number in (1, 2):
        place = folder / f"model-{number}"
        mlflow.sklearn.save_model(
            model, place, signature=signature, pip_requirements=[], serialization_format="cloudpickle"
        )
        if number == 2:
            measures = data_counts.counts(rows)["measures"]
            profile = profiles.profile(measures, len(rows), "y", show_values=False)
            (place / "profile.json").write_text(profile.model_dump_json())
            predictions = Predictions(np.zeros(len(rows)), model.predict(rows))
            predicted = scored_measures.prediction_profile(predictions, SPECIFICATION)
            (place / "prediction_profile.json").write_text(predicted.model_dump_json())
        client.create_model_version(MODEL, place.as_uri(), tags={"metric.rmse": "1.500000"})
    return experiment


def test_a_clean_file_is_no_breach_and_a_shifted_one_names_its_column(scoring: Scoring) -> None:
    output = scoring.score_and_watch("clean", _rows(500))
    assert "clean.csv: no breach, a is the nearest to its limit: index 0.0" in output

    run = scoring.start()
    assert scoring.score("shifted", _rows(500, shift=15), run).returncode == 0
    watched = scoring.watch(run)

    assert watched.returncode == 0, "a breach does not undo the scoring"
    assert "shifted.csv: breach: a has drifted: index " in watched.stdout
    (clean,), (shifted,) = scoring.windows("clean"), scoring.windows("shifted")
    assert (clean.verdict, shifted.verdict) == ("passed", "breach")
    assert [(breach.kind, breach.column) for breach in shifted.breaches] == [
        ("drift", "a"), ("prediction_drift", "prediction"),
    ]  # fmt: skip
    assert shifted.run == run and scoring.blobs.get_blob_client(f"{shifted.output}/predictions.parquet").exists()
    client = mlflow.MlflowClient(scoring.tracking)
    kept = client.get_run(run)
    assert kept.data.metrics["drift_index.a"] == shifted.columns["a"].index
    assert kept.data.metrics["watch_breaches"] == 2
    assert kept.data.tags["watch"].startswith("breach: a has drifted: index ")
    assert {file.path for file in client.list_artifacts(run)} == {"watch.json", "watch.html"}
    page = Path(client.download_artifacts(run, "watch.html", str(scoring.folder))).read_text(encoding="utf-8")
    assert "The newest file is beyond a limit" in page and "<svg" in page
    content = json.loads(Path(client.download_artifacts(run, "watch.json", str(scoring.folder))).read_text())
    assert [window["file_name"] for window in content["windows"]] == ["shifted.csv"]


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a watching step")
def test_a_watch_killed_at_any_request_leaves_one_window_and_loses_none(scoring: Scoring) -> None:
    scoring.score_and_watch("whole", _rows(200))
    requests = scoring.requests
    assert requests >= 5, "windows, ledger, measures, window, history"

    template = scoring.entry("whole")
    # Before a request is after the one before it.
    for moment in (f"{number}:after" for number in range(1, requests + 1)):
        name = f"file-{moment.replace(':', '-')}"
        scoring.copy(template, name)
        killed = scoring.watch(scoring.start(), kill_at=moment)
        assert killed.returncode == -9, (moment, killed.stderr)
        before = scoring.windows(name)
        again = scoring.watch(scoring.start())
        assert again.returncode == 0, (moment, again.stderr)
        (window,) = scoring.windows(name)
        assert before in ([], [window]), "what was written stays as it is"
        assert (window.file_version, window.verdict) == (name, "passed"), moment


@pytest.mark.nightly
def test_files_of_runs_that_were_killed_before_they_watched_are_watched_by_the_next_run(scoring: Scoring) -> None:
    ended, killed = scoring.start(), scoring.start()
    assert scoring.score("unwatched", _rows(200, shift=20), ended).returncode == 0
    # Requests of a step without refused rows: entry, refusal, predictions, measures, entry, folder, rename.
    assert scoring.score("unsettled", _rows(200, shift=20), killed, kill_at="6:before").returncode == -9
    assert [scoring.windows(name) for name in ("unwatched", "unsettled")] == [[], []]

    output = scoring.score_and_watch("next", _rows(200))

    for name, run in (("unwatched", ended), ("unsettled", killed)):
        assert f"{name}.csv: breach: a has drifted" in output
        (window,) = scoring.windows(name)
        assert window.run == run
        assert scoring.blobs.get_blob_client(f"{window.output}/predictions.parquet").exists()
    assert "next.csv: no breach" in output


@pytest.mark.nightly
def test_a_version_that_was_registered_without_profiles_is_not_comparable(scoring: Scoring) -> None:
    output = scoring.score_and_watch("older", _rows(200), version="1")

    assert (
        "older.csv: not comparable (version 1 has no profile of its data; version 1 has no profile of its predictions)."
    ) in output
    (window,) = scoring.windows("older")
    assert window.verdict == "not_comparable"


def test_labels_are_held_against_the_gate_once_and_unknown_keys_are_counted(scoring: Scoring) -> None:
    rows = _rows(100, first=10_000)
    scoring.score_and_watch("labelled", rows)
    truth = pd.DataFrame({"id": [*rows["id"], -1, -2], "y": [*(2 * rows["a"] + 20), 1, 2]})
    scoring.blobs.upload_blob(LABELS, truth.head(50).to_csv(index=False))
    early = scoring.score_and_watch("early", _rows(100, first=20_000))
    assert "Labels: 50 rows, 0 of keys that no scored file has, 0 without a label" in early
    assert "labelled.csv: 100 rows have labels" not in early, "half of them is too few"

    scoring.blobs.upload_blob(LABELS, truth.to_csv(index=False), overwrite=True)
    output = scoring.score_and_watch("late", _rows(100, first=30_000))
    again = scoring.score_and_watch("later", _rows(100, first=40_000))

    assert (
        "Labels: 102 rows, 2 of keys that no scored file has, 0 without a label, 0 that contradict another." in output
    )
    assert "labelled.csv: 100 rows have labels: rmse 20." in output
    assert "  Breach: rmse is 20 by the labels, and at most 6.5 is required." in output
    assert "labels" not in again.lower(), "neither judged nor counted twice"
    history = scoring.history.read(100)
    (window,) = scoring.windows("labelled")
    judgement = history.judgements[window.id]
    assert judgement.metrics == {"rmse": pytest.approx(20)} and judgement.gate == {"rmse": 1.5}
    assert [breach.kind for breach in history.breaches(window)] == ["realised"]


def test_labels_that_cannot_be_used_fail_the_step_after_all_else(scoring: Scoring) -> None:
    scoring.blobs.upload_blob(LABELS, "key,y\n1,2\n", overwrite=True)
    run = scoring.start()
    assert scoring.score("bad-labels", _rows(100), run).returncode == 0

    watched = scoring.watch(run)

    assert watched.returncode == 1
    assert watched.stderr.strip().splitlines()[-1] == (
        f"The predictions are committed; {LABELS} has no labels that can be used: its header lacks id: it has key, y."
    )
    assert len(scoring.windows("bad-labels")) == 1


def test_metrics_that_are_not_accepted_fail_the_step_after_all_else_and_wait_for_the_next_run(scoring: Scoring) -> None:
    scoring.blobs.delete_blob(LABELS)
    run = scoring.start()
    assert scoring.score("unsent", _rows(200, shift=20), run).returncode == 0

    watched = scoring.watch(run, telemetry="InstrumentationKey=none")

    assert watched.returncode == 1
    assert (
        watched.stderr.strip()
        .splitlines()[-1]
        .startswith(
            "The predictions are committed; their metrics are sent by the next run: The connection string of "
            "Application Insights is not valid"
        )
    )
    (window,) = scoring.windows("unsent")
    assert scoring.blobs.get_blob_client(f"{window.output}/predictions.parquet").exists()
    assert "watch" in mlflow.MlflowClient(scoring.tracking).get_run(run).data.tags
    assert scoring.history.unsent([window]) == [window]
    scoring.history.mark_sent(window)
    assert scoring.history.unsent([window]) == []


def test_a_refused_file_is_a_breach_and_watched_once(scoring: Scoring) -> None:
    run = scoring.start()
    scoring.leave_failed("unreadable", "the header lacks a", refused=True)
    assert scoring.score_prepared(["unreadable"], run).returncode == 0
    watched = scoring.watch(run)
    again = scoring.watch(scoring.start())

    assert watched.returncode == 0, watched.stderr
    breach = "nothing is scored, the file is refused: the header lacks a"
    assert f"unreadable.csv: breach: {breach}." in watched.stdout
    assert "unreadable.csv" not in again.stdout
    (window,) = scoring.windows("unreadable")
    assert (window.verdict, window.run, window.refused_share) == ("breach", run, 1.0)
    assert [(item.kind, item.message) for item in window.breaches] == [("refused", breach)]
    assert not scoring.history.read(1).is_judged(window), "no training mends a file that nothing can read"


def test_a_file_that_cannot_be_scored_fails_the_watch_after_the_others_are_watched(scoring: Scoring) -> None:
    run = scoring.start()
    scoring.leave_failed("lost", "rows are lost", refused=False)
    scoring.leave_failed("beside", "the header lacks a", refused=True)

    alone = scoring.score_prepared(["lost"], run)
    together = scoring.score_prepared(["lost", "beside"], run)
    watched = scoring.watch(run)

    assert (alone.returncode, together.returncode, watched.returncode) == (1, 0, 1), together.stderr
    message = "The file lost.csv is not scored: rows are lost."
    assert all(completed.stderr.strip().splitlines()[-1] == message for completed in (alone, together, watched))
    assert [window.verdict for window in scoring.windows("beside")] == ["breach"]


def test_breaches_in_a_row_ask_for_a_work_item_once(scoring: Scoring) -> None:
    watch = Watch.model_validate({"retrain": "work_item", "windows": 2})
    asking = replace(scoring, specification=SPECIFICATION.model_copy(update={"watch": watch}))
    assert "asks for a work item" not in asking.score_and_watch("asks-1", _rows(500, first=60_000))
    assert "asks for a work item" not in asking.score_and_watch("asks-2", _rows(500, shift=30, first=61_000))
    assert "retraining-doubled-000001 asks for a work item." in asking.score_and_watch(
        "asks-3", _rows(500, shift=30, first=62_000)
    )
    later = asking.score_and_watch("asks-4", _rows(500, shift=30, first=63_000))
    assert "asks for a work item" not in later, "a file leads to one request, and two are needed"
    assert asking.history.followed(asking.entry("asks-3").run) == "retraining-doubled-000001 asks for a work item"
    assert asking.history.followed(asking.entry("asks-4").run) == ""
    (request,) = Requests(scoring.blobs, MODEL).all()
    assert (request.mode, len(request.windows), request.run) == ("work_item", 2, None)
    assert request.reasons and request.reasons[0].startswith("a has drifted")


def test_a_pipeline_that_retrains_without_an_identity_for_it_fails_after_all_else(scoring: Scoring) -> None:
    watch = Watch.model_validate({"retrain": "on_drift", "windows": 1})
    lacking = replace(scoring, specification=SPECIFICATION.model_copy(update={"watch": watch}))
    run = lacking.start()
    assert lacking.score("lacking", _rows(500, first=70_000), run).returncode == 0
    watched = lacking.watch(run)
    assert watched.returncode == 1
    assert "the stack had no identity that starts retrainings when the pipeline was published" in watched.stderr
    assert len(lacking.windows("lacking")) == 1
