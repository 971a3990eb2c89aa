"""The jobs' packages have the versions of the lock."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from localcloud.core.settings import load_settings
from localcloud.engine import python_runtime
from mlops import job_environment
from mlops.errors import InvalidError


def test_packages_have_the_lock_s_versions() -> None:
    (pip,) = (one["pip"] for one in job_environment.conda_file()["dependencies"] if isinstance(one, dict))
    locked = (Path(job_environment.__file__).parents[1] / "requirements.txt").read_text(encoding="utf-8")

    ours = [line for line in pip if not line.startswith(("azureml-mlflow", "mlflow-skinny"))]
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
        job_environment.conda_file(lock)


def test_a_package_that_the_lock_pins_by_python_version_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    pins = [f"{name}==1.0 \\\n" for name in ("azure-identity", "cloudpickle", "databricks-sdk", "pandas", "pyarrow")]
    lock.write_text(
        "".join([*pins, "pyyaml==6.0\nscikit-learn==1.0\nskops==0.1\npandas==2.0 ; python_version < '3.12'\n"])
    )

    with pytest.raises(InvalidError, match=r"pins pandas more than once"):
        job_environment.conda_file(lock)


def test_whoever_publishes_publishes_the_same_version_whatever_python_they_have() -> None:
    """The environment's Python is a constant, not that of the machine that publishes."""
    root = Path(job_environment.__file__).parents[1]
    line = "from mlops import job_environment; print(job_environment.version())"
    cache = load_settings().cache
    interpreters = [found for name in ("3.11", "3.12", "3.13") if (found := python_runtime.find(cache, name))]

    versions = {
        subprocess.run([python, "-c", line], cwd=root, capture_output=True, text=True, check=True).stdout
        for python in interpreters
    }

    assert versions == {f"{job_environment.version()}\n"}
    assert "python=3.12" in job_environment.conda_file()["dependencies"]
