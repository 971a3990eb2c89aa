"""The jobs' packages have the versions of the lock."""

from __future__ import annotations

from pathlib import Path

import pytest

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
