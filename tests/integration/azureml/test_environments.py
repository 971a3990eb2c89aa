"""Jobs run in the environment that they declare: its packages and no others, built once, with a log."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from azure.ai.ml import Input, Output
from azure.ai.ml.entities import BuildContext, Environment
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import unique
from localcloud.testing.cloud import Cloud
from localcloud.testing.job_sources import code, error_of_run, job_body, log_of, refused, submit
from localcloud.testing.workspace_session import IMAGE, ML, MlWorkspace, wait_for
from localcloud.testing.workspace_session import ml as ml

from data.make_diabetes import FILE
from mlops import job_environment, specifications
from steps import data_results
from steps.data_results import ContractResult, Profile
from tests import samples

BUILD_LOG = "azureml-logs/20_image_build_log.txt"
COMPONENTS = Path(job_environment.__file__).parent / "components"
LOOKS_AROUND = """
import importlib.util, os, sys
import six
print("python", *sys.version_info[:2])
print("prefix is first on PATH", os.environ["PATH"].split(":")[0] == os.path.join(sys.prefix, "bin"))
print("found", [name for name in ("six", "starlette", "localcloud", "mlops") if importlib.util.find_spec(name)])
print("PYTHONPATH", os.environ.get("PYTHONPATH"))
print("here", sorted(os.listdir()))
"""
SAVES_AS_MLFLOW_DOES = """
import mlflow.sklearn, numpy
from sklearn.linear_model import Ridge
mlflow.sklearn.save_model(Ridge().fit(numpy.eye(3), [1, 2, 3]), "model", pip_requirements=["scikit-learn", "pandas"])
"""
TRAINS_A_FOREST = """
from sklearn.ensemble import RandomForestRegressor
from steps import training
training.run(lambda features, target, parameters: RandomForestRegressor(20, random_state=1).fit(features, target))
"""


def conda(*requirements: str, python: str = "python=3.12") -> dict[str, Any]:
    return {"channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": list(requirements)}]}


def fresh() -> str:
    """Return a line that makes requirements unlike every environment's."""
    return f"# {unique('build')}"


def register(ml: MlWorkspace, conda_file: dict[str, Any] | None, image: str = IMAGE) -> str:
    environment = ml.client.environments.create_or_update(
        Environment(name=unique("env"), version="1", image=image, conda_file=conda_file)
    )
    return f"azureml:{environment.name}:1"


def artifact(ml: MlWorkspace, job: str, name: str, folder: Path) -> str:
    """Return the text of a file among a job's artifacts."""
    ml.client.jobs.download(job, download_path=str(folder), all=True)
    return (folder / "artifacts" / name).read_text()


def test_a_job_has_the_packages_that_it_declares_and_no_others(ml: MlWorkspace, tmp_path: Path) -> None:
    environment = register(ml, conda("six==1.17.0"))
    source = code(tmp_path / "src", main=LOOKS_AROUND)

    name = submit(ml, "python main.py", code=str(source), environment=environment)

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    log = log_of(ml, name)
    assert "python 3 12" in log
    assert "prefix is first on PATH True" in log
    assert "found ['six']" in log
    assert "PYTHONPATH None" in log
    assert "here ['main.py']" in log


def built(cloud: Cloud, marker: str) -> Path | None:
    """Return the folder of the built environment whose requirements have the marker."""
    for file in (cloud.settings.cache / "environments").glob("*/requirements.txt"):
        if marker in file.read_text() and (file.parent / "built").exists():
            return file.parent
    return None


def test_jobs_that_want_an_environment_at_once_wait_for_one_build_and_show_its_log(
    ml: MlWorkspace, cloud: Cloud, tmp_path: Path
) -> None:
    marker = fresh()
    environment = register(ml, conda(marker, "six==1.17.0"))
    home = wait_for(lambda: built(cloud, marker), lambda folder: folder is not None)
    assert home is not None, "an environment is built from its registration on"
    shutil.rmtree(home)

    names = [submit(ml, "python -c 'import six'", environment=environment) for _ in range(3)]

    assert [ml.finished(name).status for name in names] == ["Completed"] * 3
    logs = [artifact(ml, name, BUILD_LOG, tmp_path / name) for name in names if has_build_log(ml, name, tmp_path)]
    assert logs, "no job shows the build's log"
    for log in logs:
        assert log == logs[0], "the jobs show the log of one and the same build"
        assert log.count("Building the environment") == 1
        assert "+ six==1.17.0" in log


def has_build_log(ml: MlWorkspace, job: str, folder: Path) -> bool:
    place = folder / f"{job}-all"
    ml.client.jobs.download(job, download_path=str(place), all=True)
    return (place / "artifacts" / BUILD_LOG).exists()


def test_an_environment_that_is_built_is_used_again_without_a_build_log(ml: MlWorkspace, tmp_path: Path) -> None:
    packages = conda(fresh(), "six==1.17.0")
    first = submit(ml, "python -c 'import six'", environment=register(ml, packages))
    assert ml.finished(first).status == "Completed", error_of_run(ml, first)

    again = submit(ml, "python -c 'import six'", environment=register(ml, packages))

    assert ml.finished(again).status == "Completed", error_of_run(ml, again)
    assert not has_build_log(ml, again, tmp_path)


def test_a_package_that_cannot_be_installed_fails_the_job_with_the_build_s_own_lines(
    ml: MlWorkspace, tmp_path: Path
) -> None:
    environment = register(ml, conda("six==99.0"))

    name = submit(ml, "echo never", environment=environment)

    assert ml.finished(name).status == "Failed"
    kind, message = error_of_run(ml, name)
    assert kind == "UserError"
    assert message.startswith(f"Image build failed. Build log: {BUILD_LOG}")
    assert "six==99.0" in message
    assert "six==99.0" in artifact(ml, name, BUILD_LOG, tmp_path)


@pytest.mark.parametrize(
    ("requirements", "python", "message"),
    [
        (
            ("-r requirements.txt",),
            "3.12",
            "'-r requirements.txt' names a file, and Azure ML builds from the conda file",
        ),
        (("six @ file:///tmp/six.whl",), "3.12", "names a file"),
        (("six",), "3.5", "declares Python 3.5, which this machine does not have. Declare python=3.12"),
    ],
)
def test_an_impossible_build_fails_the_job_with_its_reason(
    ml: MlWorkspace, requirements: tuple[str, ...], python: str, message: str
) -> None:
    name = submit(ml, "true", environment=register(ml, conda(*requirements, python=f"python={python}")))

    assert ml.finished(name).status == "Failed"
    assert message in error_of_run(ml, name)[1]


@pytest.mark.parametrize(
    ("conda_file", "message"),
    [
        ({"dependencies": ["python=3.12", "numpy=1.26"]}, "packages of conda channels, such as 'numpy=1.26'"),
        ({"dependencies": ["python=3.12", "conda-forge::gdal"]}, "such as 'conda-forge::gdal'"),
        ({"dependencies": ["python>=3.10", "pip"]}, "a choice of Python versions such as 'python>=3.10'"),
        ({"dependencies": ["pip", {"pip": ["six"]}]}, "conda files without a Python version"),
        ({"dependencies": ["python=3.12"], "variables": {"A": "b"}}, "'variables' in the conda file"),
    ],
)
def test_a_conda_file_that_cannot_be_resolved_here_is_refused_with_the_right_declaration(
    ml: MlWorkspace, conda_file: dict[str, Any], message: str
) -> None:
    with pytest.raises(HttpResponseError) as refusal:
        register(ml, conda_file)

    assert refusal.value.status_code == 501
    assert message in refusal.value.message
    assert "python=3.12" in refusal.value.message


def test_a_build_context_is_refused_with_the_right_declaration(ml: MlWorkspace, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM ubuntu\n")

    with pytest.raises(HttpResponseError, match="does not emulate Docker build contexts") as refusal:
        ml.client.environments.create_or_update(Environment(name=unique("env"), build=BuildContext(path=str(tmp_path))))

    assert refusal.value.status_code == 501
    assert "Declare the packages in a conda file, with 'python=3.12'" in refusal.value.message


@pytest.mark.parametrize(
    "environment",
    ["azureml://registries/azureml/environments/sklearn-1.5/versions/1", "azureml:AzureML-sklearn-1.0:1"],
)
def test_a_curated_environment_is_refused_with_the_right_declaration(ml: MlWorkspace, environment: str) -> None:
    status, kind, message = refused(ml, job_body(ml, "true", environmentId=environment))

    assert (status, kind) == (501, "NotImplemented")
    assert f"curated environments, such as '{environment}'" in message
    assert "Declare the packages in a conda file" in message


def test_an_image_whose_packages_are_not_known_is_refused_and_a_base_image_has_none(ml: MlWorkspace) -> None:
    unknown = register(ml, None, "mcr.microsoft.com/azureml/curated/sklearn:1")
    bare = register(ml, None)

    status, _, message = refused(ml, job_body(ml, "true", environmentId=unknown))
    name = submit(ml, "python -m pip --version && python -c 'import six'", environment=bare)

    assert status == 501
    assert "the packages that are in the image 'mcr.microsoft.com/azureml/curated/sklearn:1'" in message
    assert ml.finished(name).status == "Failed"
    assert "No module named 'six'" in log_of(ml, name)


@pytest.mark.nightly
def test_a_feature_that_mlflow_skinny_lacks_fails_here_as_on_azure(ml: MlWorkspace, tmp_path: Path) -> None:
    """MLflow saves scikit-learn models by skops by default, and mlflow-skinny does not depend on it."""
    declared = job_environment.conda_file()
    (pip,) = (entry["pip"] for entry in declared["dependencies"] if isinstance(entry, dict))
    pip[:] = [line for line in pip if not line.startswith(("skops", "cloudpickle"))]
    source = code(tmp_path / "src", train=SAVES_AS_MLFLOW_DOES)

    name = submit(ml, "python train.py", code=str(source), environment=register(ml, declared))

    assert ml.finished(name).status == "Failed"
    assert "ModuleNotFoundError: No module named 'skops'" in error_of_run(ml, name)[1]


def test_mlflow_without_azure_ml_s_plugin_cannot_log_here_as_on_azure(ml: MlWorkspace) -> None:
    """A job's tracking address has a scheme that only azureml-mlflow serves."""
    environment = register(ml, conda("mlflow-skinny==3.15.0"))

    name = submit(ml, "python -c \"import mlflow; mlflow.log_metric('a', 1)\"", environment=environment)

    assert ml.finished(name).status == "Failed"
    assert "unsupported URI 'azureml://" in error_of_run(ml, name)[1]


@pytest.mark.nightly
def test_the_train_component_trains_a_tree_model_in_the_declared_environment_and_evaluate_loads_it(
    ml: MlWorkspace, tmp_path: Path
) -> None:
    evaluate = (COMPONENTS / "evaluate" / "src" / "evaluate.py").read_text()
    source = code(tmp_path / "src", forest=TRAINS_A_FOREST, evaluate=evaluate)
    shutil.copytree(COMPONENTS.parents[1] / "steps", source / "steps", ignore=shutil.ignore_patterns("__pycache__"))
    specification = specifications.load("diabetes", samples.PIPELINES).specification.model_copy(
        update={"model": unique("forest")}
    )
    engineered = tmp_path / "engineered"
    engineered.mkdir()
    rows = pd.read_csv(FILE).dropna()
    rows.to_parquet(engineered / "part-0.parquet", index=False)
    accepted = ContractResult(accepted=True, rows_read=len(rows), rows_kept=len(rows))
    data_results.write(source / "checked", accepted, Profile(rows=len(rows), target="progression", columns={}))

    name = submit(
        ml,
        "python forest.py --engineered ${{inputs.engineered}} --model ${{outputs.model}} --held-out held_out && "
        "python evaluate.py --model ${{outputs.model}} --held-out held_out --checked checked --evaluation outputs && "
        "python -m pip list --format json > outputs/packages.json",
        code=str(source),
        inputs={
            "engineered": Input(type="uri_folder", path=str(engineered)),
            "alpha": 1.0,
            "specification": specification.model_dump_json(),
        },
        outputs={"model": Output(type="mlflow_model")},
    )

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    ml.client.jobs.download(name, download_path=str(tmp_path / "got"), all=True)
    assert json.loads((tmp_path / "got/artifacts/outputs/evaluation.json").read_text())["metrics"]["r2"] > 0.2
    packages = json.loads((tmp_path / "got/artifacts/outputs/packages.json").read_text())
    versions = {package["name"].lower(): package["version"] for package in packages}
    required = (tmp_path / "got/artifacts/model/requirements.txt").read_text().split()
    assert {f"{name}=={versions[name]}" for name in ("cloudpickle", "numpy", "pandas", "scikit-learn", "scipy")} <= {
        *required
    }, "the model asks for the versions that it was trained with"


def registered_earlier(cloud: Cloud, environment: str) -> None:
    """Take from a version the mark that localcloud sets since it builds environments."""
    _, name, version = environment.split(":")
    with sqlite3.connect(cloud.settings.database, timeout=30) as database:
        where = f"%/environments/{name}/versions/{version}"
        ((private,),) = database.execute("SELECT private FROM arm_resources WHERE id LIKE ?", (where,)).fetchall()
        marks = json.loads(private)
        assert marks.pop("built") is True
        database.execute("UPDATE arm_resources SET private = ? WHERE id LIKE ?", (json.dumps(marks), where))


def test_a_version_of_an_earlier_localcloud_keeps_its_packages_and_the_log_warns(ml: MlWorkspace, cloud: Cloud) -> None:
    old, new = (register(ml, conda("six==1.17.0", python="python=3.5")) for _ in range(2))
    registered_earlier(cloud, old)
    tagged = f"{ml.id}/environments/{old.split(':')[1]}/versions/1"
    body = {"properties": ml.azure.arm("GET", tagged, ML).json()["properties"] | {"tags": {"a": "b"}}}
    assert ml.azure.arm("PUT", tagged, ML, body).status_code == 200

    line = "python -c 'import six, skops, sys; print(\"ran\", *sys.version_info[:2])'"
    before, after = submit(ml, line, environment=old), submit(ml, line, environment=new)

    assert ml.finished(before).status == "Completed", error_of_run(ml, before)
    log = log_of(ml, before)
    assert "ran 3 12" in log
    assert "localcloud: This environment was registered before localcloud built environments" in log
    assert "on Azure a job that needs it would fail" in log
    assert "declares Python 3.5, which this machine does not have" in log
    assert ml.finished(after).status == "Failed"
    assert "which this machine does not have" in error_of_run(ml, after)[1]
