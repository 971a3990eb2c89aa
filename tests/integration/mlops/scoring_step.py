"""The program of the score step on a prepared file, killed at requests where a test says so."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import mlflow
import mlflow.sklearn
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
from steps.data_contract import DataContract
from steps.specification import Score
from steps.taken_files import TakenFile, TakenFiles
from tests import samples
from tests.unit.mlops import forked_steps

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = ROOT / "mlops/components/score/src/score.py"
SPECIFICATION = specifications.load("diabetes", samples.PIPELINES).specification.model_copy(
    update={
        "model": "doubled",
        "target": "y",
        "data_contract": DataContract(),
        "score": Score(notebook="n", input="scoring/in/n", most_refused=0.5),
        "watch": None,
    }
)
TABLES = SPECIFICATION.model_copy(
    update={"score": Score(notebook="n", input="scoring/in/n", most_refused=0.5, format="delta")}
)
"""The same pipeline, which writes a Delta table."""
REFUSED = "scoring/quarantine/doubled"
OUTPUT, TABLE = "scoring/out/doubled", "scoring/tables/doubled"


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
            "keep_days": "never",
        } | literals  # fmt: skip
        variables = {f"AZUREML_PARAMETER_{name}": value for name, value in inputs.items()}
        words = [
            str(PROGRAM), "--files", str(taken), "--prepared", str(self.files),
            "--scored", str(self.requests.with_name("scored")),
        ]  # fmt: skip
        wrapper = Path(__file__).with_name("killed_step.py")
        own = {"AZUREML_ROOT_RUN_ID": run, "KILL_AT": kill_at, "REQUESTS_FILE": str(self.requests)}
        return self.processes.run(wrapper, words, variables | own)

    def to_table(
        self, file: str, run: str, kill_at: str = "0", attempt: str = FIRST, **literals: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the step of the pipeline that writes a table."""
        specification = TABLES.model_dump_json(exclude_defaults=True)
        return self.run(file, run, kill_at, attempt, **({"specification": specification} | literals))

    def table(self, folder: str = TABLE) -> DeltaTable:
        """Return a table, as any client reads it."""
        token = self.lake.azure.credential.get_token("https://storage.azure.com/.default").token
        options = {"azure_storage_account_name": self.lake.name, "azure_storage_token": token}
        return DeltaTable(f"abfss://data@{self.lake.name}.dfs.core.windows.net/{folder}", storage_options=options)

    def check_in_table_once(self, file: str) -> Entry:
        """Whole predictions in the table, once, which the ledger names; nothing is left to do."""
        entry = self.ledger.read(file, FIRST)
        assert entry is not None and entry.table == TABLE
        rows = self.table().to_pandas(filters=[("input_file", "=", f"{file}.csv")]).sort_values("row")
        assert rows["prediction"].tolist() == pytest.approx([2.0, 4.0]), "each row is there once"
        assert rows["run"].tolist() == [entry.run] * 2
        assert self.blobs.get_blob_client(f"{entry.output}/predictions.parquet").exists()
        assert not self.blobs.get_blob_client(entry.staged).exists()
        assert self.ledger.settle(entry), "the output is in its place"
        return entry

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
