"""The components' programs, run as Azure ML runs them, on a small engineered set, with an MLflow store of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import mlflow
import pandas as pd
import pytest
from azure.ai.ml import load_component

from data.make_diabetes import FILE
from mlops import component_commands, published_components, specifications
from mlops.errors import InvalidError
from steps import champion, data_results
from steps.data_contract import DriftRule
from steps.specification import Slice
from tests import samples
from tests.unit.mlops import data_counts, forked_steps

ROOT = Path(__file__).resolve().parents[3]
PIPELINE = specifications.load("diabetes", samples.PIPELINES)
FOLDERS = published_components.folders(PIPELINE)
_FOREIGN = ("AZURE", "MLFLOW", "MSI", "DATABRICKS")


@dataclass
class Steps:
    """A pipeline run by hand: each step a process of its own."""

    folder: Path
    tracking: str
    processes: forked_steps.Steps
    root: str
    """The pipeline's run."""

    def run(self, step: str, **inputs: Any) -> subprocess.CompletedProcess[str]:
        """Paths are on the command line, literal inputs in variables, as in the component's specification."""
        if step == "check_data":
            inputs = {champion.INPUT: champion.NOT_COMPARED} | inputs
        paths = {name: value for name, value in inputs.items() if isinstance(value, Path)}
        words = [word for name, value in paths.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        literals = {f"AZUREML_PARAMETER_{name}": str(value) for name, value in inputs.items() if name not in paths}
        (program,) = (FOLDERS[step] / "src").glob("*.py")
        return self.processes.run(program, words, literals)

    def pipeline(self, rows: pd.DataFrame, name: str) -> dict[str, Any]:
        """Check the data, train, evaluate, register; the report."""
        place, specification = self.folder / name, PIPELINE.specification_json
        engineered = place / "engineered"
        engineered.mkdir(parents=True)
        rows.to_parquet(engineered / "part-0.parquet", index=False)
        data_counts.write(engineered, rows)
        checked, model, held_out, evaluation, report = (
            place / folder for folder in ("checked", "model", "held_out", "evaluation", "report")
        )
        for completed in (
            self.run("check_data", engineered=engineered, specification=specification, checked=checked),
            self.run(
                "train", engineered=engineered, specification=specification, alpha=1.0, model=model, held_out=held_out
            ),
            self.run(
                "evaluate",
                model=model,
                held_out=held_out,
                checked=checked,
                specification=specification,
                evaluation=evaluation,
            ),
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
            assert completed.returncode == 0, completed.stderr
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
    variables = {"MLFLOW_TRACKING_URI": tracking, "MLFLOW_EXPERIMENT_NAME": "training", "AZUREML_ROOT_RUN_ID": root}
    processes = forked_steps.Steps(
        clean | variables | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}, folder
    )
    yield Steps(folder, tracking, processes, root)
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


def test_the_profile_of_the_data_is_beside_the_model_and_in_the_pipeline_s_run(
    first: dict[str, Any], steps: Steps, tmp_path: Path
) -> None:
    client = mlflow.MlflowClient(steps.tracking)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", steps.tracking)
        folder = Path(mlflow.artifacts.download_artifacts("models:/diabetes/1", dst_path=str(tmp_path)))

    profile = data_results.read_profile(folder)
    assert profile.rows == 406 and profile.target == "progression"
    assert profile.columns["bmi"].shares == pytest.approx([0.1] * 10, abs=0.01)
    assert data_results.read_contract(folder).accepted
    assert {file.path for file in client.list_artifacts(steps.root)} >= {"data_contract.json", "profile.json"}
    assert client.get_run(steps.root).data.tags["data_contract"] == "kept"
    assert "406 rows, 0 of them dropped" in (folder / "README.md").read_text(encoding="utf-8")
    assert (first["data_contract"]["rows_read"], first["profile"]["rows"]) == (406, 406)


def test_a_broken_contract_stops_the_run_before_training_and_is_kept(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame, tmp_path: Path
) -> None:
    rule = {"rule": "minimum", "column": "bmi", "passed": False, "count": 3, "message": "bmi has 3 values below 10"}
    late = {"rule": "rows", "passed": False, "severity": "warning", "message": "there are 9 rows"}
    data_counts.write(tmp_path, rows, accepted=False, rows_kept=None, rules=[rule, late], quarantine="abfss://q")

    completed = steps.run(
        "check_data", engineered=tmp_path, specification=PIPELINE.specification_json, checked=tmp_path / "checked"
    )

    assert completed.returncode == 1
    assert completed.stderr.strip().splitlines()[-1] == (
        "The data break their contract: bmi has 3 values below 10. The file: abfss://d. Rows that break a rule: "
        "abfss://q."
    )
    assert "Warning: there are 9 rows." in completed.stdout
    tags = mlflow.MlflowClient(steps.tracking).get_run(steps.root).data.tags
    assert tags["data_contract"] == "broken: bmi has 3 values below 10" and tags["data_warnings"] == "1"


@pytest.mark.parametrize("severity", ["warning", "error"])
def test_data_that_have_drifted_from_the_serving_version_s_are_named(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame, tmp_path: Path, severity: Literal["warning", "error"]
) -> None:
    specification = _with_drift_of(severity)
    data_counts.write(tmp_path, rows.assign(bmi=rows["bmi"] * 2))
    rows.to_parquet(tmp_path / "part-0.parquet", index=False)
    checked = steps.run("check_data", engineered=tmp_path, specification=specification, checked=tmp_path / "checked")
    assert checked.returncode == 0, checked.stderr

    completed = steps.run(
        "evaluate",
        model=steps.folder / "first/model",
        held_out=steps.folder / "first/held_out",
        checked=tmp_path / "checked",
        specification=specification,
        evaluation=tmp_path / "evaluation",
    )

    result = data_results.read_contract(tmp_path / "evaluation")
    drifted = [rule for rule in result.rules if rule.rule == "drift" and not rule.passed]
    assert [rule.column for rule in drifted] == ["bmi"] and len(result.rules) == 11
    assert (result.accepted, result.compared_with) == (severity == "warning", "1")
    warning = "bmi is distributed otherwise than in the data of the model that serves"
    tag = mlflow.MlflowClient(steps.tracking).get_run(steps.root).data.tags["data_contract"]
    if severity == "warning":
        assert completed.returncode == 0 and f"Warning: {warning}" in completed.stdout, completed.stderr
        assert tag.startswith(f"kept, with warnings: {warning}")
    else:
        assert completed.returncode == 1 and f"The data break their contract: {warning}" in completed.stderr
        assert tag.startswith(f"broken: {warning}") and not (tmp_path / "evaluation/evaluation.json").exists()


@pytest.mark.parametrize("version", ["champion", "1"])
def test_a_drift_that_is_an_error_ends_the_run_before_training(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame, tmp_path: Path, version: str
) -> None:
    specification = _with_drift_of("error")
    rows.to_parquet(tmp_path / "part-0.parquet", index=False)
    inputs = {"engineered": tmp_path, "specification": specification, "serving_version": version}
    data_counts.write(tmp_path, rows.assign(bmi=rows["bmi"] * 2))

    drifted = steps.run("check_data", **inputs, checked=tmp_path / "drifted")

    assert drifted.returncode == 1
    result = data_results.read_contract(tmp_path / "drifted")
    (error,) = result.errors
    assert (error.rule, error.column, error.limit, result.compared_with) == ("drift", "bmi", "0.25", "1")
    assert drifted.stderr.strip().splitlines()[-1] == (
        "The data break their contract: bmi is distributed otherwise than in the data of the model that serves (drift: "
        f"population stability index {error.measured:.2f}, and 0.25 may be). The file: abfss://d."
    )
    tag = mlflow.MlflowClient(steps.tracking).get_run(steps.root).data.tags["data_contract"]
    assert tag.startswith("broken: bmi is distributed otherwise")
    data_counts.write(tmp_path, rows)
    same = steps.run("check_data", **inputs, checked=tmp_path / "same")
    assert same.returncode == 0 and "Drift: the data are near those of version 1." in same.stdout, same.stderr


def test_data_are_compared_with_none_where_no_version_serves_or_it_cannot_be_read(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame, tmp_path: Path
) -> None:
    model = PIPELINE.specification.model_copy(update={"model": "unheard-of"})
    rows.to_parquet(tmp_path / "part-0.parquet", index=False)
    data_counts.write(tmp_path, rows)
    inputs = {"engineered": tmp_path, "checked": tmp_path / "checked"}

    first_run = steps.run(
        "check_data", **inputs, specification=model.model_dump_json(), serving_version=champion.CHAMPION
    )
    gone = steps.run("check_data", **inputs, specification=_with_drift_of("error"), serving_version="99")

    assert first_run.returncode == 0, first_run.stderr
    assert "Drift: the data are not compared: no version of unheard-of is registered." in first_run.stdout
    assert gone.returncode == 0 and "version 99 has no profile of its data" in gone.stdout, gone.stderr
    assert "Version 99 of diabetes: its artifacts cannot be read: " in gone.stderr


def _with_drift_of(severity: Literal["warning", "error"]) -> str:
    """Return the pipeline's specification with another severity of drift."""
    rule = DriftRule(limit=0.25, severity=severity)
    contract = PIPELINE.specification.data_contract.model_copy(update={"drift": rule})
    return PIPELINE.specification.model_copy(update={"data_contract": contract}).model_dump_json()


def test_a_model_needs_the_packages_that_trained_it_in_versions_that_go_together(
    first: dict[str, Any], steps: Steps
) -> None:
    (file,) = (steps.folder / "first/model").rglob("requirements.txt")
    names = [line.partition("==")[0] for line in file.read_text(encoding="utf-8").splitlines()]

    assert "mlflow-skinny" in names and "mlflow" not in names, "MLflow's whole package takes no pandas 3"
    assert "azureml-ai-monitoring" in names, "Azure ML's scoring script imports it"


def test_columns_that_the_engineered_set_lacks_end_the_run_before_training(
    steps: Steps, rows: pd.DataFrame, tmp_path: Path
) -> None:
    split = PIPELINE.specification.split.model_copy(update={"by": ("age", "bmj")})
    gate = PIPELINE.specification.gate.model_copy(
        update={"slices": (Slice(column="group", metric="rmse", maximum=100),)}
    )
    specification = PIPELINE.specification.model_copy(update={"split": split, "gate": gate}).model_dump_json()
    data_counts.write(tmp_path, rows)
    rows.to_parquet(tmp_path / "part-0.parquet", index=False)

    completed = steps.run("check_data", engineered=tmp_path, specification=specification, checked=tmp_path / "checked")

    assert completed.returncode == 1
    assert completed.stderr.strip().splitlines()[-1] == (
        "pipeline.yml does not fit the engineered set: split.by names the column bmj, which the engineered set does "
        "not have: did you mean bmi?; gate.slices names the column group, which the engineered set does not have: "
        "there are age, sex, bmi, bp, s1, s2, s3, s4, s5, s6, progression."
    )


def test_a_notebook_without_counts_is_named(steps: Steps, tmp_path: Path) -> None:
    completed = steps.run(
        "check_data", engineered=tmp_path, specification=PIPELINE.specification_json, checked=tmp_path / "checked"
    )

    assert completed.returncode == 1
    assert "The notebook left no counts of its data: it has to make its features by engineer" in completed.stderr


def test_the_same_model_again_is_not_better_and_not_registered(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame
) -> None:
    again = steps.pipeline(rows.sample(frac=1, random_state=1), "again")

    assert again["model_version"] is None
    assert "is not better than version 1's" in again["decision"]["reason"]
    assert again["champion"]["version"] == "1"
    assert again["metrics"] == pytest.approx(first["metrics"]), "the split depends on the order of the rows"
    assert len(mlflow.MlflowClient(steps.tracking).search_model_versions("name='diabetes'")) == 1


def test_a_champion_without_artifacts_cannot_be_compared(
    first: dict[str, Any], steps: Steps, rows: pd.DataFrame
) -> None:
    artifacts, kept = steps.folder / "artifacts", steps.folder / "kept"
    artifacts.rename(kept)
    try:
        report = steps.pipeline(rows, "gone")
    finally:
        shutil.rmtree(artifacts, ignore_errors=True)
        kept.rename(artifacts)

    assert report["model_version"] is None
    reason = report["decision"]["reason"]
    assert "version 1, which serves, cannot be compared: its artifacts cannot be read" in reason
    assert "gate.when_not_comparable: refuse" in reason


def test_too_few_rows_stop_training_with_one_clear_line(steps: Steps, rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.head(10).to_parquet(tmp_path / "few.parquet", index=False)

    completed = steps.run(
        "train",
        engineered=tmp_path,
        specification=PIPELINE.specification_json,
        alpha=1.0,
        model=tmp_path / "model",
        held_out=tmp_path / "held_out",
    )

    assert completed.returncode == 1
    assert completed.stderr.strip().splitlines()[-1] == ("there are 10 complete rows: at least 50 are needed to train")
    assert not (tmp_path / "model").exists()


_COMPONENTS = sorted((ROOT / "mlops").rglob("component.yml"))


@pytest.mark.parametrize("file", _COMPONENTS, ids=lambda file: str(file.parent.name))
def test_no_literal_input_is_in_a_command_and_the_program_reads_each(file: Path) -> None:
    component: Any = load_component(source=file)

    component_commands.check(component.name, component.command, component.inputs)

    (program,) = (source for source in (file.parent / "src").glob("*.py") if source.name in component.command)
    # The key of reuse is Azure ML's to compare, no program's to read.
    ports = {name: port for name, port in component.inputs.items() if name != "reuse_key"}
    literals = [name for name, port in ports.items() if port.type in component_commands.LITERAL_TYPES]
    text = program.read_text(encoding="utf-8")
    read = re.findall(r"(?:parameter\(|parameters\[)[\"'](\w+)[\"']", text)
    # The shared programs read the specification themselves, and training's too.
    shared = ["specification"] if re.search(r"= specification\(\)|training\.run\(", text) else []
    assert sorted({*read, *shared}) == sorted(literals)


@pytest.mark.parametrize("place", ["${{inputs.name}}", "'${{ inputs.name }}'", '$[[--name "${{inputs.name}}"]]'])
def test_a_component_with_a_literal_input_in_its_command_is_not_published(place: str) -> None:
    ports = {"name": SimpleNamespace(type="string"), "data": SimpleNamespace(type="uri_folder")}

    with pytest.raises(InvalidError, match=r"\$\{\{inputs\.name\}\}.*AZUREML_PARAMETER_name"):
        component_commands.check("step", f"python step.py --data ${{{{inputs.data}}}} {place}", ports)


@pytest.mark.parametrize("step", ["check_data", "train", "evaluate", "register"])
def test_an_input_that_is_not_there_is_named(steps: Steps, step: str, tmp_path: Path) -> None:
    paths = {
        "check_data": ("engineered", "checked"),
        "train": ("engineered", "model", "held_out"),
        "evaluate": ("model", "held_out", "checked", "evaluation"),
        "register": ("model", "evaluation", "report"),
    }

    completed = steps.run(step, **{name: tmp_path / name for name in paths[step]})

    assert completed.returncode == 1
    assert re.fullmatch(
        r"The variable AZUREML_PARAMETER_\w+ is not set: it has the input \w+ of this component\.",
        completed.stderr.strip().splitlines()[-1],
    )
