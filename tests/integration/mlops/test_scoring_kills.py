"""The program of the score step against storage: killed at every request, and run over one file more than once."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import mlflow.sklearn
import pandas as pd
import pytest
from azure.storage.blob import ContainerClient
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from localcloud.testing.lake import Lake, make_lake
from sklearn.linear_model import LinearRegression

from mlops import specifications
from mlops.components.score.src.ledger import FIRST, Entry, Ledger
from steps.data_contract import DataContract
from steps.specification import Score
from steps.taken_files import TakenFile, TakenFiles
from tests.unit.mlops import forked_steps

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "mlops/components/score/src/score.py"
SPECIFICATION = specifications.load("diabetes").specification.model_copy(
    update={
        "model": "doubled",
        "target": "y",
        "data_contract": DataContract(),
        "score": Score(notebook="n", input="scoring/in/n", most_refused=0.5),
        "watch": None,
    }
)
REFUSED = "scoring/quarantine/doubled"
OUTPUT = "scoring/out/doubled"


@dataclass
class Step:
    """The score step on a prepared file of three rows, one of which the notebook refused."""

    lake: Lake
    prepared: Path
    requests: Path
    """File with the number of requests of the last run that was not killed."""
    processes: forked_steps.Steps
    tracking: str

    @property
    def blobs(self) -> ContainerClient:
        return self.lake.blobs

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.lake.data, self.blobs, "doubled")

    def run(
        self, file: str, run: str, kill_at: str = "0", attempt: str = FIRST, **literals: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run_all([file], run, kill_at, attempt, **literals)

    @property
    def files(self) -> Path:
        """The folder with the prepared rows of each file."""
        return self.prepared.parent / "files"

    def run_all(
        self, files: Sequence[str], run: str, kill_at: str = "0", attempt: str = FIRST, **literals: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the step on several files, whose prepared rows are the same unless a test has made others."""
        self.files.mkdir(exist_ok=True)
        for file in files:
            if not (self.files / file).exists():
                (self.files / file).symlink_to(self.prepared)
        taken = self.prepared.parent / "taken"
        taken.mkdir(exist_ok=True)
        TakenFiles(tuple(TakenFile(file, f"{file}.csv", "abfss://none") for file in files)).write(taken, "none")
        inputs = {
            "specification": SPECIFICATION.model_dump_json(exclude_defaults=True),
            "container_uri": f"abfss://data@{self.lake.name}.dfs.core.windows.net", "output_folder": "scoring/out",
            "model_version": "champion", "attempt": attempt, "code_version": "v1", "deployment": "v-v1",
        } | literals  # fmt: skip
        variables = {f"AZUREML_PARAMETER_{name}": value for name, value in inputs.items()}
        words = [
            str(PROGRAM), "--files", str(taken), "--prepared", str(self.files),
            "--scored", str(self.requests.with_name("scored")),
        ]  # fmt: skip
        wrapper = Path(__file__).with_name("killed_step.py")
        own = {"AZUREML_ROOT_RUN_ID": run, "KILL_AT": kill_at, "REQUESTS_FILE": str(self.requests)}
        return self.processes.run(wrapper, words, variables | own)

    def outputs(self, file: str) -> dict[str, pd.DataFrame]:
        """Return the predictions that readers see for a file, by path: names with an underscore are none."""
        names = [
            name
            for name in (str(path.name) for path in self.lake.data.get_paths(OUTPUT) if not path.is_directory)
            if not any(part.startswith("_") for part in name.split("/"))
        ]
        frames = {name: pd.read_parquet(io.BytesIO(self.blobs.download_blob(name).readall())) for name in names}
        return {name: rows for name, rows in frames.items() if (rows["input_file"] == f"{file}.csv").all()}

    def check_scored_once(self, file: str) -> Entry:
        """Whole predictions, in one place, which the ledger names."""
        entry = self.ledger.read(file, FIRST)
        assert entry is not None
        outputs = self.outputs(file)
        assert list(outputs) == [f"{entry.output}/predictions.parquet"]
        (rows,) = outputs.values()
        assert rows["prediction"].tolist() == pytest.approx([2.0, 4.0])
        assert (entry.rows_read, entry.rows_scored, entry.rows_refused) == (3, 2, 1)
        assert entry.quarantine is not None and self.blobs.get_blob_client(entry.quarantine).exists()
        return entry


@pytest.fixture(scope="module")
def step(azure: AzureSession, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Step]:
    folder = tmp_path_factory.mktemp("scoring")
    group = f"{azure.subscription}/resourceGroups/rg-scoring-kills"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    _register(tracking, folder)
    prepared = folder / "prepared"
    for name in ("rows", "refused", "counts"):
        (prepared / name).mkdir(parents=True)
    pd.DataFrame({"a": [1.0, 2.0], "_row": [0, 1]}).to_parquet(prepared / "rows/part-0.parquet", index=False)
    refused = pd.DataFrame({"_row": [2], "reason": ["missing: a"], "record": ['{"a": null}']})
    refused.to_parquet(prepared / "refused/part-0.parquet", index=False)
    (prepared / "counts/part-0.json").write_text(json.dumps({"read": 3, "kept": 2, "refused": 1}))
    environment = {**os.environ, **cloud.environment, "MLFLOW_TRACKING_URI": tracking, "MLFLOW_EXPERIMENT_NAME": "s"}
    processes = forked_steps.Steps(
        environment | {"PYTHONPATH": str(ROOT)},
        folder,
        ("azure.identity", "azure.storage.filedatalake", "pyarrow.dataset"),
    )
    yield Step(make_lake(azure, group), prepared, folder / "requests", processes, tracking)
    processes.close()
    azure.finish(azure.arm("DELETE", group, "2024-03-01"))


def _register(tracking: str, folder: Path) -> None:
    client = mlflow.MlflowClient(tracking)
    client.create_experiment("s", (folder / "artifacts").as_uri())
    rows = pd.DataFrame({"a": [1.0, 2.0]})
    model = LinearRegression(fit_intercept=False).fit(rows, [2.0, 4.0])
    signature = mlflow.models.infer_signature(rows, model.predict(rows))
    mlflow.sklearn.save_model(
        model, folder / "model", signature=signature, pip_requirements=[], serialization_format="cloudpickle"
    )
    client.create_registered_model("doubled")
    for _ in range(2):
        client.create_model_version("doubled", (folder / "model").as_uri())


@pytest.mark.fault_kind("kill of a scoring step")
@pytest.mark.parametrize(
    "interval", [pytest.param(9, id="every ninth moment"), pytest.param(1, id="any moment", marks=pytest.mark.nightly)]
)
def test_the_next_run_completes_the_work_of_a_step_killed_at_a_request(step: Step, interval: int) -> None:
    whole = step.run("whole", "run-whole")
    assert whole.returncode == 0, whole.stderr
    assert "3 rows read, 2 scored, 1 refused" in whole.stdout
    requests = int(step.requests.read_text())
    assert requests >= 7, "read, quarantine, predictions, entry, folder, rename, record"

    moments = [f"{number}:{when}" for number in range(1, requests + 1) for when in ("before", "after")]
    for moment in moments[::interval]:
        file = f"file-{moment.replace(':', '-')}"
        killed = step.run(file, f"{file}-first", kill_at=moment)
        assert killed.returncode == -9, (moment, killed.stderr)
        before = step.ledger.read(file, FIRST)
        again = step.run(file, f"{file}-second")
        assert again.returncode == 0, (moment, again.stderr)
        entry = step.check_scored_once(file)
        assert entry == before or (before is None and entry.run == f"{file}-second"), moment


def test_one_of_several_simultaneous_runs_scores_the_file(step: Step) -> None:
    assert step.run("model", "before").returncode == 0
    template = step.check_scored_once("model")
    content = step.blobs.download_blob(f"{template.output}/predictions.parquet").readall()

    def commit(run: str) -> Entry:
        entry = replace(
            template, file_version="raced", run=run, staged=f"{OUTPUT}/_staged/{run}",
            output=f"{OUTPUT}/date=2026-11-29/run={run}",
        )  # fmt: skip
        step.blobs.upload_blob(f"{entry.staged}/predictions.parquet", content)
        return step.ledger.commit(entry)

    names = [f"racer-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        entries = list(pool.map(commit, names))

    (run,) = {entry.run for entry in entries}
    outputs = [str(path.name) for path in step.lake.data.get_paths(f"{OUTPUT}/date=2026-11-29")]
    assert [name for name in outputs if "racer" in name and name.endswith(".parquet")] == [
        f"{OUTPUT}/date=2026-11-29/run={run}/predictions.parquet"
    ]


def test_a_file_is_scored_again_only_on_request_and_under_a_new_run(step: Step) -> None:
    for run in ("monday", "tuesday"):
        assert step.run("again", run).returncode == 0
    entry = step.check_scored_once("again")
    assert entry.run == "monday" and entry.model_version == "2"

    rescored = step.run("again", "wednesday", attempt="of-wednesday", model_version="1")

    assert rescored.returncode == 0, rescored.stderr
    assert sorted(name.split("run=")[1] for name in step.outputs("again")) == [
        "monday/predictions.parquet", "wednesday/predictions.parquet",
    ]  # fmt: skip
    second = step.ledger.read("again", "of-wednesday")
    assert second is not None and second.model_version == "1", "the version is the one that the run was given"


def test_more_refused_rows_than_allowed_refuse_the_file_once_and_leave_a_quarantine(step: Step) -> None:
    strict = SPECIFICATION.model_copy(update={"score": Score(notebook="n", input="scoring/in/n", most_refused=0.3)})
    specification = strict.model_dump_json(exclude_defaults=True)

    completed = step.run("strict", "run-strict", specification=specification)
    again = step.run("strict", "run-later", specification=specification)
    rescored = step.run("strict", "run-asked", attempt="again-1", specification=specification)

    assert (completed.returncode, again.returncode, rescored.returncode) == (0, 0, 0), completed.stderr
    refusal = step.ledger.refusal("strict", FIRST, "v1")
    assert refusal is not None and refusal.run == "run-strict"
    assert refusal.reason == "1 of 3 rows are refused, and 30% may be: missing: a (1)"
    assert (refusal.rows_read, refusal.rows_refused) == (3, 1)
    assert refusal.quarantine.startswith(f"{REFUSED}/date=") and "/run=run-strict/" in refusal.quarantine
    assert f"Refused strict.csv: {refusal.reason}. Quarantine: {refusal.quarantine}" in completed.stdout
    assert f"Refused strict.csv, by run run-strict: {refusal.reason}" in again.stdout
    assert step.ledger.refusal("strict", "again-1", "v1") is not None, "--again tries it again"
    assert step.ledger.read("strict", FIRST) is None and step.outputs("strict") == {}
    kept = [str(path.name) for path in step.lake.data.get_paths(REFUSED) if path.name.endswith("refused.parquet")]
    assert [name for name in kept if "run-strict/" in name or "run-later/" in name] == [refusal.quarantine]
    rows: Any = pd.read_parquet(io.BytesIO(step.blobs.download_blob(refusal.quarantine).readall()))
    assert rows.to_dict("records") == [{"row": 2, "reason": "missing: a", "record": '{"a": null}'}]


def test_a_version_that_is_not_registered_is_named(step: Step) -> None:
    other = SPECIFICATION.model_copy(update={"model": "unknown"}).model_dump_json(exclude_defaults=True)

    none = step.run("none", "run-none", specification=other)
    gone = step.run("gone", "run-gone", model_version="9")

    assert none.stderr.strip().splitlines()[-1] == (
        "The file none.csv is not scored: no version of unknown is registered: train and promote a model first."
    )
    assert "The file gone.csv is not scored: version 9 of doubled cannot be read" in gone.stderr


def _leave_failed(step: Step, file: str, *, refused: bool) -> None:
    """Write the notebook's result for a file that it cannot use."""
    failed = step.files / file / "failed"
    failed.mkdir(parents=True)
    (failed / "part-0.json").write_text(json.dumps({"reason": "abfss://x: the header lacks a.", "refused": refused}))


def test_a_bad_file_is_refused_keeps_no_other_from_being_scored_and_fails_no_run(step: Step) -> None:
    names = [f"many-{number}" for number in range(3)]
    _leave_failed(step, names[1], refused=True)

    completed = step.run_all(names, "run-many")

    assert completed.returncode == 0, completed.stderr
    first, third = (step.check_scored_once(name) for name in (names[0], names[2]))
    assert (first.run, third.run) == ("run-many", "run-many") and first.output != third.output
    record = step.ledger.recorded("run-many")
    assert record is not None and record.files == (names[0], names[2])
    assert (record.refused, record.failures) == ((names[1],), ())
    refusal = step.ledger.refusal(names[1], FIRST, "v1")
    assert refusal is not None and refusal.reason == "abfss://x: the header lacks a"
    assert (refusal.rows_read, refusal.model_version) == (0, "2")
    kept = json.loads(step.blobs.download_blob(refusal.quarantine).readall())
    assert (kept["file_name"], kept["reason"]) == ("many-1.csv", refusal.reason)
    written = json.loads(step.requests.with_name("scored").joinpath("refusals.json").read_text())
    assert [item["file_version"] for item in written] == [names[1]]


@pytest.mark.nightly
def test_a_file_that_this_run_alone_cannot_use_fails_the_step_after_the_others(step: Step) -> None:
    _leave_failed(step, "odd-1", refused=False)

    completed = step.run_all(["odd-1", "odd-2"], "run-odd")

    assert completed.returncode == 1
    assert completed.stderr.strip().splitlines()[-1] == (
        "The file odd-1.csv is not scored: abfss://x: the header lacks a."
    )  # fmt: skip
    step.check_scored_once("odd-2")
    record = step.ledger.recorded("run-odd")
    assert record is not None and record.refused == ()
    assert [(failed.file_name, failed.reason) for failed in record.failures] == [
        ("odd-1.csv", "abfss://x: the header lacks a")
    ]
    assert step.ledger.refusal("odd-1", FIRST, "v1") is None, "the next run tries it"


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of a step that refuses a file")
def test_a_step_killed_at_any_request_leaves_a_file_refused_once_and_the_other_scored_once(step: Step) -> None:
    _leave_failed(step, "none-bad", refused=True)
    assert step.run_all(["none-bad", "none-good"], "run-none").returncode == 0
    requests = int(step.requests.read_text())
    assert requests >= 11, "of the bad file: entry, refusal, quarantine, refuse"
    for number in range(1, requests + 1):
        bad, good = f"refused-{number}-bad", f"refused-{number}-good"
        _leave_failed(step, bad, refused=True)
        killed = step.run_all([bad, good], f"refused-{number}-first", kill_at=f"{number}:after")
        assert killed.returncode == -9, (number, killed.stderr)
        before = step.ledger.refusal(bad, FIRST, "v1")
        again = step.run_all([bad, good], f"refused-{number}-second")
        assert again.returncode == 0, (number, again.stderr)
        step.check_scored_once(good)
        refusal = step.ledger.refusal(bad, FIRST, "v1")
        assert refusal is not None and before in (None, refusal), number
        assert step.blobs.get_blob_client(refusal.quarantine).exists()
        record = step.ledger.recorded(f"refused-{number}-second")
        assert record is not None and (record.files, record.refused) == ((good,), (bad,))


@pytest.mark.nightly
def test_a_run_of_several_files_killed_at_any_request_is_made_good_by_the_next_one(step: Step) -> None:
    assert step.run_all(["pair-a", "pair-b"], "run-pair").returncode == 0
    requests = int(step.requests.read_text())
    for number in range(2, requests + 1, 4):
        names = [f"pair-{number}-a", f"pair-{number}-b"]
        killed = step.run_all(names, f"pair-{number}-first", kill_at=f"{number}:after")
        assert killed.returncode == -9, killed.stderr
        before = [step.ledger.read(name, FIRST) for name in names]
        assert step.run_all(names, f"pair-{number}-second").returncode == 0
        for name, known in zip(names, before, strict=True):
            assert step.check_scored_once(name) == known or known is None


def test_a_version_that_was_promoted_with_other_code_is_not_used(step: Step) -> None:
    client = mlflow.MlflowClient(step.tracking)
    client.set_model_version_tag("doubled", "2", "deployment", "v-other")
    try:
        completed = step.run("moved", "run-moved")
    finally:
        client.delete_model_version_tag("doubled", "2", "deployment")

    assert completed.returncode == 1
    assert completed.stderr.strip().splitlines()[-1] == (
        "The file moved.csv is not scored: version 2 of doubled serves with v-other, and this run is of v-v1: a "
        "promotion is under way, and the next run takes the files."
    )
    assert step.ledger.read("moved", FIRST) is None
