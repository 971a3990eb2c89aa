"""Registered models: one registry, seen by azure-ai-ml and by MLflow."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from azure.ai.ml import Input
from azure.ai.ml.constants import AssetTypes
from azure.ai.ml.entities import Model
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from localcloud.testing.azure_session import unique
from localcloud.testing.job_sources import code, error_of_run, log_of, submit
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

TRAINS = """
import os, sys
import mlflow, numpy
from sklearn.linear_model import LinearRegression
model = LinearRegression().fit(numpy.array([[1.0], [2.0]]), [1.0, 2.0])
with mlflow.start_run():
    info = mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
    version = mlflow.register_model(info.model_uri, sys.argv[1])
print("registered", version.name, version.version)
"""
USES = """
import sys
import mlflow, numpy
print("predicted", mlflow.pyfunc.load_model(sys.argv[1]).predict(numpy.array([[3.0]])).round(3).tolist())
"""


@pytest.fixture
def registry(ml: MlWorkspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[mlflow.MlflowClient]:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", ml.token())
    yield mlflow.MlflowClient(f"{ml.data_plane}/mlflow/v1.0{ml.id}")


@pytest.fixture(scope="module")
def trained(ml: MlWorkspace, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return the names of a model that a job trained and registered by MLflow, and of that job."""
    name = unique("trained")
    source = code(tmp_path_factory.mktemp("train") / "src", train=TRAINS)
    job = submit(ml, f"python train.py {name}", code=str(source))
    assert ml.finished(job).status == "Completed", error_of_run(ml, job)
    return name, job


def test_a_model_that_a_job_registered_shows_its_version_job_path_and_flavors(
    ml: MlWorkspace, trained: tuple[str, str]
) -> None:
    name, job = trained

    (model,) = ml.client.models.list(name=name)

    assert (model.version, model.job_name, model.type) == ("1", job, "mlflow_model")
    assert model.path.endswith(f"/datastores/workspaceartifactstore/paths/ExperimentRun/dcid.{job}/model")
    assert {"sklearn", "python_function"} <= set(model.flavors)
    assert ml.client.models.get(name, label="latest").version == "1"
    assert name in {model.name for model in ml.client.models.list()}


@pytest.mark.nightly
def test_it_is_downloaded_and_is_an_input_of_other_jobs(
    ml: MlWorkspace, trained: tuple[str, str], tmp_path: Path
) -> None:
    name, _ = trained

    ml.client.models.download(name, "1", download_path=str(tmp_path))
    job = submit(
        ml, "python use.py ${{inputs.model}}", code=str(code(tmp_path / "src", use=USES)),
        inputs={"model": Input(type=AssetTypes.MLFLOW_MODEL, path=f"azureml:{name}:1")},
    )  # fmt: skip

    assert (tmp_path / name / "model" / "MLmodel").exists()
    assert ml.finished(job).status == "Completed", error_of_run(ml, job)
    assert "predicted [3.0]" in log_of(ml, job)


def test_the_job_s_model_is_registered_again_by_azure_ml_and_loaded_by_mlflow(
    ml: MlWorkspace, trained: tuple[str, str], registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    _, trainer = trained
    name = unique("again")

    model = ml.client.models.create_or_update(
        Model(
            name=name, path=f"azureml://jobs/{trainer}/outputs/artifacts/paths/model/", type="mlflow_model",
            description="by hand", tags={"stage": "test"},
        )
    )  # fmt: skip

    assert (model.version, model.job_name) == ("1", trainer)
    version = registry.get_model_version(name, "1")
    assert (version.run_id, version.description, version.tags) == (trainer, "by hand", {"stage": "test"})
    job = submit(ml, f"python use.py models:/{name}/1", code=str(code(tmp_path / "src", use=USES)))
    assert ml.finished(job).status == "Completed", error_of_run(ml, job)
    assert "predicted [3.0]" in log_of(ml, job)


def test_a_local_folder_becomes_a_version_whose_files_mlflow_downloads(
    ml: MlWorkspace, registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "weights.bin").write_bytes(b"weights")
    name = unique("custom")

    first = ml.client.models.create_or_update(Model(name=name, path=str(tmp_path / "files")))
    second = ml.client.models.create_or_update(Model(name=name, path=str(tmp_path / "files")))
    chosen = ml.client.models.create_or_update(Model(name=name, version="7", path=str(tmp_path / "files")))

    assert [first.version, second.version, chosen.version] == ["1", "2", "7"]
    assert [model.version for model in ml.client.models.list(name=name)] == ["7", "2", "1"]
    assert ml.client.models.create_or_update(Model(name=name, path=str(tmp_path / "files"))).version == "8"
    assert {model.version for model in registry.search_model_versions(f"name='{name}'")} == {"1", "2", "7", "8"}
    mlflow.set_tracking_uri(registry.tracking_uri)
    try:
        downloaded = mlflow.artifacts.download_artifacts(f"models:/{name}/7", dst_path=str(tmp_path))
    finally:
        mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    assert next(Path(downloaded).rglob("weights.bin")).read_bytes() == b"weights"


def test_tags_descriptions_and_the_archive_mark_change_and_both_sides_see_it(
    ml: MlWorkspace, registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    name = unique("tagged")
    registered = ml.client.models.create_or_update(
        Model(name=name, path=str(tmp_path / "a.txt"), tags={"a": "1", "b": "2"})
    )

    registered.tags = {"a": "3"}
    registered.description = "new"
    ml.client.models.create_or_update(registered)
    version = registry.get_model_version(name, "1")
    registry.set_model_version_tag(name, "1", "by", "mlflow")

    assert (version.tags, version.description) == ({"a": "3"}, "new")
    assert ml.client.models.get(name, "1").tags == {"a": "3", "by": "mlflow"}
    ml.client.models.archive(name, "1")
    assert list(ml.client.models.list(name=name)) == []
    assert [model.version for model in ml.client.models.list(name=name, list_view_type="All")] == ["1"]
    ml.client.models.restore(name, "1")
    assert [model.version for model in ml.client.models.list(name=name)] == ["1"]


def test_a_stage_is_seen_and_listed_on_both_sides(
    ml: MlWorkspace, registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    name = unique("staged")
    registered = ml.client.models.create_or_update(Model(name=name, path=str(tmp_path / "a.txt"), stage="Development"))
    assert registered.stage == "Development", "a word that MLflow does not have"

    registered.stage = "Production"
    ml.client.models.create_or_update(registered)

    assert registry.get_model_version(name, "1").current_stage == "Production"
    assert [model.version for model in ml.client.models.list(name=name, stage="Production")] == ["1"]
    assert list(ml.client.models.list(name=name, stage="Development")) == []


def test_a_version_never_changes_its_files(ml: MlWorkspace, tmp_path: Path) -> None:
    for word in ("one", "two"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "f.txt").write_text(word)
    name = unique("fixed")
    ml.client.models.create_or_update(Model(name=name, version="1", path=str(tmp_path / "one")))

    with pytest.raises(HttpResponseError, match="modelUri cannot be changed") as refusal:
        ml.client.models.create_or_update(Model(name=name, version="1", path=str(tmp_path / "two")))

    assert refusal.value.status_code == 409


@pytest.mark.parametrize(
    ("version", "properties", "reason"),
    [
        ("one", {"modelUri": "azureml://datastores/workspaceblobstore/paths/x"}, "must be a positive whole number"),
        ("1", {}, "The property 'modelUri'"),
        ("1", {"modelUri": "azureml://datastores/none/paths/x"}, "The datastore 'none'"),
        ("1", {"modelUri": "file:///tmp/x"}, "'file:///tmp/x' is not supported"),
        ("1", {"modelUri": "azureml://datastores/workspaceblobstore/paths/x", "modelType": "h5"}, "modelType 'h5'"),
        (
            "1",
            {"modelUri": "azureml://datastores/workspaceblobstore/paths/none", "modelType": "mlflow_model"},
            "it has no MLmodel file",
        ),
    ],
)
def test_an_invalid_model_is_refused(ml: MlWorkspace, version: str, properties: dict[str, str], reason: str) -> None:
    name = unique("bad")

    answer = ml.azure.arm("PUT", f"{ml.id}/models/{name}/versions/{version}", ML, {"properties": properties})

    assert (answer.status_code, reason in answer.text) == (400, True), answer.text
    assert name not in {model.name for model in ml.client.models.list()}


def test_a_model_deleted_on_one_side_is_deleted_on_the_other(
    ml: MlWorkspace, registry: mlflow.MlflowClient, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("a")
    name = unique("gone")
    for _ in range(2):
        ml.client.models.create_or_update(Model(name=name, path=str(tmp_path / "a.txt")))

    assert ml.azure.arm("DELETE", f"{ml.id}/models/{name}/versions/1", ML).status_code == 200
    assert [model.version for model in registry.search_model_versions(f"name='{name}'")] == ["2"]
    registry.delete_registered_model(name)
    with pytest.raises(ResourceNotFoundError):
        ml.client.models.get(name, "2")
    assert name not in {model.name for model in ml.client.models.list()}
