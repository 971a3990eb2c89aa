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
from mlops import component_commands
from mlops.components.evaluate.src.evaluate import Metrics, Thresholds, decide, newest_version, read_thresholds
from mlops.components.train.src.train import split
from mlops.errors import InvalidError
from tests.unit.mlops import forked_steps

COMPONENTS = Path(__file__).resolve().parents[3] / "mlops" / "components"
_FOREIGN = ("AZURE", "MLFLOW", "MSI", "DATABRICKS")


@dataclass
class Steps:
    """A pipeline run by hand: each step a process of its own."""

    folder: Path
    tracking: str
    processes: forked_steps.Steps

    def run(self, step: str, **inputs: Any) -> subprocess.CompletedProcess[str]:
        """Paths stand on the command line, literal inputs in variables, as in the component's specification."""
        paths = {name: value for name, value in inputs.items() if isinstance(value, Path)}
        words = [word for name, value in paths.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        literals = {f"AZUREML_PARAMETER_{name}": str(value) for name, value in inputs.items() if name not in paths}
        (program,) = (COMPONENTS / step / "src").glob("*.py")
        return self.processes.run(program, words, literals)

    def pipeline(self, rows: pd.DataFrame, name: str) -> dict[str, Any]:
        """Train, evaluate, register; the report."""
        place = self.folder / name
        engineered = place / "engineered"
        engineered.mkdir(parents=True)
        rows.to_parquet(engineered / "part-0.parquet", index=False)
        model, held_out, evaluation, report = (place / one for one in ("model", "held_out", "evaluation", "report"))
        for done in (
            self.run("train", engineered=engineered, alpha=1.0, model=model, held_out=held_out),
            self.run("evaluate", model=model, held_out=held_out, model_name="diabetes", evaluation=evaluation),
            self.run(
                "register",
                model=model,
                evaluation=evaluation,
                model_name="diabetes",
                code_version="v1",
                commit="c0ffee",
                data_version="d1",
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
    client.create_experiment("training", (folder / "artifacts").as_uri())
    clean = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    given = {"MLFLOW_TRACKING_URI": tracking, "MLFLOW_EXPERIMENT_NAME": "training", "AZUREML_ROOT_RUN_ID": "run-1"}
    processes = forked_steps.Steps(clean | given | {"PYTHONDONTWRITEBYTECODE": "1"}, folder)
    yield Steps(folder, tracking, processes)
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
    assert version.tags["pipeline_run"] == "run-1"
    assert float(version.tags["metric.rmse"]) == pytest.approx(first["metrics"]["rmse"], abs=1e-5)
    run = client.get_run(version.tags["training_run"])
    assert run.data.metrics["training_rows"] + run.data.metrics["held_out_rows"] == 406


def test_the_same_model_again_is_not_better_and_not_registered(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame
) -> None:
    again = steps.pipeline(rows.sample(frac=1, random_state=1), "again")

    assert again["model_version"] is None
    assert "is not below" in again["decision"]["reason"]
    assert again["metrics"] == pytest.approx(first["metrics"]), "the split depends on the order of the rows"
    assert len(mlflow.MlflowClient(steps.tracking).search_model_versions("name='diabetes'")) == 1


def test_a_row_is_on_the_same_side_whatever_other_rows_there_are(rows: pd.DataFrame) -> None:
    training, held_out = split(rows)
    fewer_training, fewer_held_out = split(rows.sample(frac=0.5, random_state=5))

    assert len(training) + len(held_out) == len(rows)
    assert 0.1 < len(held_out) / len(rows) < 0.3
    for part, whole in ((fewer_training, training), (fewer_held_out, held_out)):
        assert len(part.merge(whole, how="inner")) == len(part), "a row has changed sides"


_GOOD, _BETTER, _POOR = Metrics(0.5, 55.0, 44.0), Metrics(0.6, 50.0, 40.0), Metrics(0.1, 75.0, 60.0)


@pytest.mark.parametrize(
    ("new", "registered", "improvement", "register", "reason"),
    [
        (_GOOD, None, 0.0, True, "it is the first version"),
        (_POOR, None, 0.0, False, "below the threshold 0.25"),
        (_BETTER, _GOOD, 0.0, True, "is below the registered version's 55.0000"),
        (_BETTER, _GOOD, 0.2, False, "is not below 44.0000"),
        (_GOOD, _GOOD, 0.0, False, "is not below 55.0000"),
        (_POOR, _GOOD, 0.0, False, "below the threshold 0.25"),
    ],
)
def test_a_model_is_registered_when_it_is_good_enough_and_better(
    new: Metrics, registered: Metrics | None, improvement: float, register: bool, reason: str
) -> None:
    decision = decide(new, registered, Thresholds(minimum_r2=0.25, minimum_improvement=improvement))

    assert decision.register is register
    assert reason in decision.reason


def test_the_newest_version_is_the_highest_number(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [SimpleNamespace(version=version) for version in ("9", "10", "by-hand")]
    monkeypatch.setattr(mlflow, "MlflowClient", lambda: SimpleNamespace(search_model_versions=lambda _: there))

    assert newest_version("diabetes") == "10"
    there.clear()
    assert newest_version("diabetes") is None


@pytest.mark.parametrize("text", ["minimum_r2: 0.1\n", "minimum_r2: good\nminimum_improvement: 0\n", "- 1\n"])
def test_thresholds_that_are_incomplete_or_no_numbers_are_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "thresholds.yml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=r"thresholds\.yml must have minimum_r2 and minimum_improvement"):
        read_thresholds(file)


def test_too_few_rows_end_training_with_one_clear_line(steps: Steps, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.head(10).to_parquet(tmp_path / "few.parquet", index=False)

    done = steps.run("train", engineered=tmp_path, alpha=1.0, model=tmp_path / "model", held_out=tmp_path / "held_out")

    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == ("there are 10 complete rows: at least 50 are needed to train")
    assert not (tmp_path / "model").exists()


_SPECIFICATIONS = sorted(COMPONENTS.glob("*/component.yml"))


@pytest.mark.parametrize("file", _SPECIFICATIONS, ids=lambda file: str(file.parent.name))
def test_no_literal_input_stands_in_a_command_and_the_program_reads_each(file: Path) -> None:
    component: Any = load_component(source=file)

    component_commands.check(component.name, component.command, component.inputs)

    (program,) = (one for one in (file.parent / "src").glob("*.py") if one.name in component.command)
    literals = [name for name, port in component.inputs.items() if f"${{{{inputs.{name}}}}}" not in component.command]
    read = re.findall(r'parameter\("(\w+)"\)', program.read_text(encoding="utf-8"))
    assert sorted(read) == sorted(literals)


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
