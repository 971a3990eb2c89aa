"""The programs of the steps score and watch, run on files of a data lake with versions of a model in MLflow."""

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
from deltalake import DeltaTable
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud
from localcloud.testing.lake import Lake, make_lake
from sklearn.linear_model import LinearRegression

from mlops import specifications
from mlops.components.score.src.ledger import FIRST, Entry, Ledger
from mlops.components.watch.src.watch_history import WatchHistory
from steps import profiles, scored_measures
from steps.data_contract import DataContract
from steps.metrics import Predictions
from steps.specification import Gate, Metric, Score, Specification
from steps.taken_files import TakenFile, TakenFiles
from steps.watch import Watch
from steps.watch_results import Window
from tests import samples
from tests.unit.mlops import data_counts, forked_steps

ROOT = Path(__file__).resolve().parents[3]
COMPONENTS = ROOT / "mlops/components"
MODEL = "doubled"
LABELS = "scoring/labels/doubled.csv"
SPECIFICATION = specifications.load("diabetes", samples.PIPELINES).specification.model_copy(
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
            "deployment": "v-v1", "keep_days": "never",
        }  # fmt: skip
        words = ["--files", str(taken), "--prepared", str(prepared), "--scored", str(self.folder / "scored")]
        return self._run("score", words, run, kill_at, literals)

    def leave_failed(self, name: str, reason: str, *, refused: bool) -> None:
        """Write the notebook's result for a file that it cannot use."""
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

    def table(self) -> DeltaTable:
        """Return the model's table, as any client reads it."""
        token = self.lake.azure.credential.get_token("https://storage.azure.com/.default").token
        options = {"azure_storage_account_name": self.lake.name, "azure_storage_token": token}
        return DeltaTable(f"abfss://data@{self.lake.name}.dfs.core.windows.net/scoring/tables/{MODEL}", None, options)

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


def rows_of(number: int, shift: float = 0.0, first: int = 0) -> pd.DataFrame:
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
    """Register a version without profiles, an older form, and one with them."""
    client = mlflow.MlflowClient(tracking)
    experiment = str(client.create_experiment("s", (folder / "artifacts").as_uri()))
    rows = rows_of(2000)[["a"]]
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
