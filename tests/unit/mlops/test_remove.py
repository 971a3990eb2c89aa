"""Files of the checkout that belong to one pipeline."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mlops import notebooks, remove, specifications
from mlops.scaffold.new import new


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository with two pipelines, and have the verbs use it."""
    root = tmp_path / "repository"
    for name in ("steps", "notebooks/lib", "mlops/components"):
        shutil.copytree(specifications.ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    data = tmp_path / "rows.csv"
    data.write_text("size,price\n" + "".join(f"{row},{row * 2}\n" for row in range(60)), encoding="utf-8")
    for name in ("rents", "sales"):
        new(name, "regression", data, None, root)
    folder = root / "mlops" / "pipelines"
    names, load = specifications.names, specifications.load
    monkeypatch.setattr(specifications, "names", lambda folder=folder: names(folder))
    monkeypatch.setattr(specifications, "load", lambda name, folder=folder: load(name, folder))
    monkeypatch.setattr(specifications, "ROOT", root)
    monkeypatch.setattr(notebooks, "FOLDER", root / "notebooks")
    return root


def test_a_pipeline_s_files_exclude_shared_ones_and_its_specification_is_deleted_last(repository: Path) -> None:
    files = [file.relative_to(repository).as_posix() for file in remove.files(specifications.load("rents"))]

    assert files == [
        "tests/spark/test_rents_features.py",
        "notebooks/lib/rents.py",
        "notebooks/rents_features.py",
        "notebooks/rents_scoring.py",
        "mlops/pipelines/rents/components/train/component.yml",
        "mlops/pipelines/rents/components/train/src/train.py",
        "mlops/pipelines/rents/pipeline.yml",
    ]


@pytest.mark.parametrize("name", specifications.names())
def test_the_files_of_each_pipeline_of_the_repository_are_its_own(name: str) -> None:
    pipeline = specifications.load(name)
    files = remove.files(pipeline)

    assert files[-1] == pipeline.folder / specifications.FILE
    assert {notebooks.FOLDER / f"{notebook}.py" for notebook in pipeline.notebooks} <= set(files)
    if len(specifications.names()) > 1:
        assert notebooks.FOLDER / "lib" / "engineering.py" not in files, "other pipelines need it"
