"""The jobs' packages have the versions of the lock."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from localcloud.core.settings import load_settings
from localcloud.engine import python_runtime

from mlops import job_environment, specifications
from mlops.errors import InvalidError
from steps.specification import Score
from tests import samples


def test_packages_have_the_lock_s_versions() -> None:
    (pip,) = (
        dependency["pip"] for dependency in job_environment.conda_file()["dependencies"] if isinstance(dependency, dict)
    )
    locked = (Path(job_environment.__file__).parents[1] / "requirements.txt").read_text(encoding="utf-8")

    # Azure ML's MLflow decides on the others: see job_environment.py.
    ours = [line for line in pip if not line.startswith(("azureml-mlflow", "mlflow-skinny", "azure-storage-"))]
    assert ours
    for line in ours:
        assert f"\n{line} \\" in locked or f"\n{line} ;" in locked, f"{line} is not what requirements.txt pins"


def test_the_version_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_environment.version()
    monkeypatch.setattr(job_environment, "IMAGE", "mcr.microsoft.com/other:1")

    assert job_environment.version() != before


def test_a_package_that_the_lock_lacks_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("pandas==1.0 \\\n", encoding="utf-8")

    with pytest.raises(InvalidError, match=r"does not pin .*scikit-learn"):
        job_environment.conda_file(lock=lock)


def test_a_package_that_the_lock_pins_by_python_version_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    pins = [
        f"{name}==1.0 \\\n"
        for name in ("azure-core", "azure-identity", "cloudpickle", "databricks-sdk", "pandas", "pyarrow")
    ]
    lock.write_text(
        "".join([*pins, "pyyaml==6.0\nscikit-learn==1.0\nskops==0.1\npandas==2.0 ; python_version < '3.12'\n"])
    )

    with pytest.raises(InvalidError, match=r"pins pandas more than once"):
        job_environment.conda_file(lock=lock)


def test_a_pipeline_s_own_packages_make_an_environment_of_its_own() -> None:
    shared = specifications.load("diabetes", samples.PIPELINES)
    own = replace(shared, specification=shared.specification.model_copy(update={"packages": ("lightgbm==4.6.0",)}))
    (pip,) = (
        entry["pip"]
        for entry in job_environment.conda_file(own.specification.packages)["dependencies"]
        if isinstance(entry, dict)
    )

    assert "lightgbm==4.6.0" in pip
    assert (job_environment.name(shared), job_environment.name(own)) == (
        "dataopsml-training", "dataopsml-training-diabetes",
    )  # fmt: skip
    assert job_environment.version(own.specification.packages) != job_environment.version()
    with pytest.raises(InvalidError, match=r"packages: Pandas==1\.0: every pipeline has pandas=="):
        job_environment.conda_file(("Pandas==1.0",))


def test_a_pipeline_with_a_delta_table_has_the_library_and_an_environment_of_its_own() -> None:
    shared = specifications.load("diabetes", samples.PIPELINES)
    table = _with_table()
    lock = (Path(job_environment.__file__).parents[1] / "requirements.txt").read_text(encoding="utf-8")

    (package,) = job_environment.packages(table)
    assert f"\n{package} \\" in lock and package.startswith("deltalake==")
    assert job_environment.packages(shared) == ()
    assert job_environment.name(table) == "dataopsml-training-diabetes"
    with pytest.raises(InvalidError) as refused:
        job_environment.packages(_with_table(packages=("deltalake==1.0.0",)))
    assert str(refused.value) == (
        "packages: deltalake==1.0.0: score.format delta brings deltalake. Take it out of packages."
    )


def test_a_lock_without_the_library_of_tables_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("pandas==1.0 \\\n", encoding="utf-8")

    with pytest.raises(InvalidError, match=r"requirements\.txt does not pin deltalake: run `make lock`"):
        job_environment.packages(_with_table(), lock)


def _with_table(packages: tuple[str, ...] = ()) -> specifications.TrainingPipeline:
    pipeline = specifications.load("diabetes", samples.PIPELINES)
    score = Score(notebook="n", input="scoring/in/n", format="delta")
    update = {"score": score, "packages": packages}
    return replace(pipeline, specification=pipeline.specification.model_copy(update=update))


_DISTRIBUTIONS = {
    "deltalake": "deltalake",
    "azure.core": "azure-core", "azure.identity": "azure-identity", "databricks.sdk": "databricks-sdk",
    "azure.storage.blob": "azure-storage-blob", "azure.storage.filedatalake": "azure-storage-file-datalake",
    "azure.monitor.opentelemetry.exporter": "azure-monitor-opentelemetry-exporter",
    "opentelemetry": "azure-monitor-opentelemetry-exporter",  # which requires it
    "pyarrow": "pyarrow",
    "mlflow": "mlflow-skinny", "pandas": "pandas", "sklearn": "scikit-learn",
    "pydantic": "pydantic", "pydantic_core": "pydantic",  # which requires it
    "jinja2": "jinja2", "markupsafe": "jinja2",  # which requires it
    "numpy": "scikit-learn", "scipy": "scikit-learn",  # it requires both, and the lock pins them by Python version
}  # fmt: skip


def test_every_package_that_a_component_imports_is_declared() -> None:
    whole = job_environment.conda_file(job_environment.packages(_with_table()))
    (pip,) = (entry["pip"] for entry in whole["dependencies"] if isinstance(entry, dict))
    declared = {line.split("==")[0] for line in pip}
    root = Path(job_environment.__file__).parents[1]
    programs = [*(root / "mlops").rglob("components/*/src/*.py"), *(root / "steps").rglob("*.py")]
    own = {program.stem for program in programs} | {"steps"}

    assert programs
    for program in programs:
        for module in imports(program):
            if module.split(".")[0] in sys.stdlib_module_names | own:
                continue
            package = next((name for name in _DISTRIBUTIONS if f"{module}.".startswith(f"{name}.")), None)
            assert package is not None, f"{program.name} imports {module}: name its distribution in this test"
            assert _DISTRIBUTIONS[package] in declared, f"{program.name} imports {module}, which is not declared"


def imports(program: Path) -> set[str]:
    """Return the modules that a program names in its import statements."""
    modules = set()
    for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return modules


def test_the_published_version_does_not_depend_on_the_publisher_s_python() -> None:
    """The environment's Python is a constant, not the publishing machine's."""
    root = Path(job_environment.__file__).parents[1]
    line = "from mlops import job_environment; print(job_environment.version())"
    cache = load_settings().cache
    interpreters = [
        interpreter for name in ("3.11", "3.12", "3.13") if (interpreter := python_runtime.find(cache, name))
    ]

    versions = {
        subprocess.run([python, "-c", line], cwd=root, capture_output=True, text=True, check=True).stdout
        for python in interpreters
    }

    assert versions == {f"{job_environment.version()}\n"}
    assert "python=3.12" in job_environment.conda_file()["dependencies"]
