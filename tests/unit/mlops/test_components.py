"""The components' programs, run as Azure ML runs them, on a small engineered set, with an MLflow store of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import pandas as pd
import pytest
from azure.ai.ml import load_component

from data.make_diabetes import FILE
from mlops import component_commands, published_components, specifications
from mlops.errors import InvalidError
from tests.unit.mlops import forked_steps

ROOT = Path(__file__).resolve().parents[3]
PIPELINE = specifications.load("diabetes")
FOLDERS = published_components.folders(PIPELINE)
_FOREIGN = ("AZURE", "MLFLOW", "MSI", "DATABRICKS")


@dataclass
class Steps:
    """A pipeline run by hand: each step a process of its own."""

    folder: Path
    tracking: str
    root: str
    processes: forked_steps.Steps

    def run(self, step: str, **inputs: Any) -> subprocess.CompletedProcess[str]:
        """Paths stand on the command line, literal inputs in variables, as in the component's specification."""
        paths = {name: value for name, value in inputs.items() if isinstance(value, Path)}
        words = [word for name, value in paths.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        literals = {f"AZUREML_PARAMETER_{name}": str(value) for name, value in inputs.items() if name not in paths}
        (program,) = (FOLDERS[step] / "src").glob("*.py")
        return self.processes.run(program, words, literals)

    def pipeline(self, rows: pd.DataFrame, name: str) -> dict[str, Any]:
        """Train, evaluate, register; the report."""
        place, specification = self.folder / name, PIPELINE.specification_json
        engineered = place / "engineered"
        engineered.mkdir(parents=True)
        rows.to_parquet(engineered / "part-0.parquet", index=False)
        model, held_out, evaluation, report = (place / one for one in ("model", "held_out", "evaluation", "report"))
        for done in (
            self.run(
                "train", engineered=engineered, specification=specification, alpha=1.0, model=model, held_out=held_out
            ),
            self.run("evaluate", model=model, held_out=held_out, specification=specification, evaluation=evaluation),
            self.run(
                "register",
                model=model,
                evaluation=evaluation,
                specification=specification,
                code_version="v1",
                commit="c0ffee",
                data_version="d1",
                notebook="/notebooks/0123456789abcdef/features",
                environment="training:1",
                report=report,
            ),
        ):
            assert done.returncode == 0, done.stderr
        content: dict[str, Any] = json.loads((report / "report.json").read_text(encoding="utf-8"))
        return content


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steps]:
    folder = tmp_path_factory.mktemp("steps")
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking)
    experiment = client.create_experiment("training", (folder / "artifacts").as_uri())
    root = client.create_run(experiment).info.run_id
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    given = {"MLFLOW_TRACKING_URI": tracking, "MLFLOW_EXPERIMENT_NAME": "training", "AZUREML_ROOT_RUN_ID": root}
    processes = forked_steps.Steps(clean | given | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}, folder)
    yield Steps(folder, tracking, root, processes)
    processes.close()


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return pd.read_csv(FILE).dropna()


@pytest.fixture(scope="module")
def first(steps: Steps, rows: pd.DataFrame) -> dict[str, Any]:
    return steps.pipeline(rows, "first")


def test_the_first_model_that_is_good_enough_is_registered(first: dict[str, Any], steps: Steps) -> None:
    assert first["model_version"] == "1"
    assert first["metrics"]["r2"] > 0.25
    (version,) = mlflow.MlflowClient(steps.tracking).search_model_versions("name='diabetes'")
    assert int(version.version) == 1


def test_the_version_s_tags_are_its_lineage(first: dict[str, Any], steps: Steps) -> None:
    client = mlflow.MlflowClient(steps.tracking)
    version = client.get_model_version("diabetes", "1")

    assert version.tags["commit"] == "c0ffee"
    assert version.tags["code_version"] == "v1"
    assert version.tags["data_version"] == "d1"
    assert version.tags["pipeline_run"] == steps.root
    assert float(version.tags["metric.rmse"]) == pytest.approx(first["metrics"]["rmse"], abs=1e-5)
    run = client.get_run(version.tags["training_run"])
    assert run.data.metrics["training_rows"] + run.data.metrics["held_out_rows"] == 406


def test_the_same_model_again_is_not_better_and_not_registered(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame
) -> None:
    again = steps.pipeline(rows.sample(frac=1, random_state=1), "again")

    assert again["model_version"] is None
    assert "is not better than version 1's" in again["decision"]["reason"]
    assert again["champion"]["version"] == "1"
    assert again["metrics"] == pytest.approx(first["metrics"]), "the split depends on the order of the rows"
    assert len(mlflow.MlflowClient(steps.tracking).search_model_versions("name='diabetes'")) == 1


def test_too_few_rows_end_training_with_one_clear_line(steps: Steps, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.head(10).to_parquet(tmp_path / "few.parquet", index=False)

    done = steps.run(
        "train",
        engineered=tmp_path,
        specification=PIPELINE.specification_json,
        alpha=1.0,
        model=tmp_path / "model",
        held_out=tmp_path / "held_out",
    )

    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == ("there are 10 complete rows: at least 50 are needed to train")
    assert not (tmp_path / "model").exists()


_COMPONENTS = sorted((ROOT / "mlops").rglob("component.yml"))


@pytest.mark.parametrize("file", _COMPONENTS, ids=lambda file: str(file.parent.name))
def test_no_literal_input_stands_in_a_command_and_the_program_reads_each(file: Path) -> None:
    component: Any = load_component(source=file)

    component_commands.check(component.name, component.command, component.inputs)

    (program,) = (one for one in (file.parent / "src").glob("*.py") if one.name in component.command)
    # The key of reuse is Azure ML's to compare, no program's to read.
    ports = [name for name in component.inputs if name != "reuse_key"]
    literals = [name for name in ports if f"${{{{inputs.{name}}}}}" not in component.command]
    text = program.read_text(encoding="utf-8")
    read = re.findall(r'(?:parameter\("|parameters\[")(\w+)"', text)
    # The shared programs read the specification themselves, and training's too.
    shared = ["specification"] if re.search(r"= specification\(\)|training\.run\(", text) else []
    assert sorted([*read, *shared]) == sorted(literals)


@pytest.mark.parametrize("place", ["${{inputs.name}}", "'${{ inputs.name }}'", '$[[--name "${{inputs.name}}"]]'])
def test_a_component_with_a_literal_input_in_its_command_is_not_published(place: str) -> None:
    ports = {"name": SimpleNamespace(type="string"), "data": SimpleNamespace(type="uri_folder")}

    with pytest.raises(InvalidError, match=r"\$\{\{inputs\.name\}\}.*AZUREML_PARAMETER_name"):
        component_commands.check("step", f"python step.py --data ${{{{inputs.data}}}} {place}", ports)


@pytest.mark.parametrize("step", ["train", "evaluate", "register"])
def test_an_input_that_is_not_there_is_named(steps: Steps, step: str, tmp_path: Path) -> None:
    paths = {
        "train": ("engineered", "model", "held_out"),
        "evaluate": ("model", "held_out", "evaluation"),
        "register": ("model", "evaluation", "report"),
    }

    done = steps.run(step, **{name: tmp_path / name for name in paths[step]})

    assert done.returncode == 1
    assert re.fullmatch(
        r"The variable AZUREML_PARAMETER_\w+ is not set: it has the input \w+ of this component\.",
        done.stderr.strip().splitlines()[-1],
    )
