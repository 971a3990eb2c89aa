"""`mlops new`: files from a CSV, whole or not at all, with names from the file as data."""

from __future__ import annotations

import ast
import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlops import notebook_sources, published_components, specifications
from mlops.errors import InvalidError
from mlops.scaffold.columns import read_columns
from mlops.scaffold.new import new

_ODD = [
    'a"); import os; os.system("touch made',
    "b'}}\n{{x",
    "c # d: [",
    "<img onerror=alert(1)>",
    "##vso[task]",
    "größe",
    "\U0001f600",
    'it\'s "a" \\"b',
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a repository with the files to which the new ones refer."""
    folder = tmp_path / "repository"
    for name in ("steps", "notebooks/lib", "mlops/components"):
        shutil.copytree(specifications.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _csv(folder: Path, header: list[str], rows: int = 60, name: str = "my data.csv") -> Path:
    file = folder / name
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows([[index * (column + 1) for column in range(len(header))] for index in range(rows)])
    return file


def test_the_files_are_a_pipeline(root: Path, tmp_path: Path) -> None:
    written = new("houses", "regression", _csv(tmp_path, ["size", "price"]), None, root)

    assert all((root / path).is_file() for path in written)
    pipeline = specifications.load("houses", root / "mlops/pipelines")
    assert (pipeline.specification.target, pipeline.specification.data) == ("price", "data/houses.csv")
    assert pipeline.specification.split.by == ("size", "price")
    assert "train" in published_components.folders(pipeline)
    needed = {file.name for file in notebook_sources.files(root / "notebooks", "houses_features")}
    assert {"houses_features.py", "houses.py", "engineering.py", "csv_source.py"} <= needed
    assert "diabetes.py" not in needed


def test_the_data_contract_follows_from_the_file(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "my.csv"
    lines = [f"{row},{row / 4},{'red' if row % 3 else 'blue'},{'' if row < 6 else 'x'},{row % 2}" for row in range(60)]
    file.write_text("\n".join(["number,size,colour,note,sold", *lines]), encoding="utf-8")

    new("houses", "classification", file, None, root)

    specification = specifications.load("houses", root / "mlops/pipelines").specification
    contract = specification.data_contract
    assert contract.model_dump(mode="json", exclude_defaults=True)["columns"] == {
        "number": {
            "type": {"limit": "integer"}, "minimum": {"limit": 0, "severity": "warning"},
            "maximum": {"limit": 59, "severity": "warning"}, "missing": {"limit": 0.05},
        },
        "size": {
            "type": {"limit": "number"}, "minimum": {"limit": 0, "severity": "warning"},
            "maximum": {"limit": 14.75, "severity": "warning"}, "missing": {"limit": 0.05},
        },
        "colour": {
            "type": {"limit": "text"}, "allowed": {"limit": ["blue", "red"], "severity": "warning"},
            "missing": {"limit": 0.05},
        },
        "note": {
            "type": {"limit": "text"}, "allowed": {"limit": ["x"], "severity": "warning"}, "missing": {"limit": 0.15},
        },
        "sold": {"type": {"limit": "integer"}, "allowed": {"limit": [0, 1]}, "missing": {"limit": 0}},
    }  # fmt: skip
    assert (contract.show_values, contract.rows and contract.rows.limit) == (False, 50)
    assert specification.watch is not None and specification.watch.leave_out == ("number",)


def test_an_online_endpoint_is_an_option_of_a_new_pipeline(root: Path, tmp_path: Path) -> None:
    file = _csv(tmp_path, ["a", "b"])
    new("without", "regression", file, "b", root)
    new("within", "regression", file, "b", root, online=True)

    pipelines = root / "mlops/pipelines"
    assert specifications.load("without", pipelines).specification.serve is None
    assert "# serve: online" in (pipelines / "without/pipeline.yml").read_text(encoding="utf-8")
    assert specifications.load("within", pipelines).online.auth == "entra"


def test_names_of_columns_are_data_and_never_code(root: Path, tmp_path: Path) -> None:
    written = new("odd", "regression", _csv(tmp_path, [*_ODD, "price"]), "price", root)

    for path in written:
        text = (root / path).read_text(encoding="utf-8")
        if path.suffix == ".py":
            strings = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
            called = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
            assert "os.system" not in called
            if path.parts[:2] == ("notebooks", "lib"):
                assert set(_ODD) <= strings
        if path.name == "pipeline.yml":
            assert yaml.safe_load(text)["split"]["by"] == [*_ODD, "price"]


@pytest.mark.parametrize(("task", "name"), [("regression", "deals"), ("classification", "mail")])
def test_the_files_pass_the_repository_s_lint(root: Path, tmp_path: Path, task: str, name: str) -> None:
    shutil.copy(specifications.ROOT / "pyproject.toml", root)

    written = new(name, task, _csv(tmp_path, [*_ODD, "price"], rows=50), "price", root)

    programs = [str(path) for path in written if path.suffix == ".py"]
    for command in (["check"], ["format", "--check", "--diff"]):
        words = [sys.executable, "-m", "ruff", *command, "--no-cache", *programs]
        lint = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
        assert lint.returncode == 0, lint.stdout + lint.stderr


def test_a_column_that_azure_ml_would_replace_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="Azure ML would replace the expression in the column"):
        new("odd", "regression", _csv(tmp_path, ["${{inputs.x}}", "price"]), "price", root)
    assert not (root / "mlops/pipelines/odd").exists()


@pytest.mark.parametrize("name", ["Houses", "1x", "../x", "a b", "lib", "class", "default", "x" * 50, ""])
def test_an_invalid_pipeline_name_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidError, match="A pipeline cannot be named"):
        new(name, "regression", _csv(tmp_path, ["a", "b"]), None, root)


def test_a_refused_pipeline_replaces_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    data = _csv(tmp_path, ["a", "b"])
    (root / "notebooks/houses_features.py").write_text("mine")
    before = sorted(root.rglob("*"))

    with pytest.raises(InvalidError, match=r"notebooks/houses_features\.py is there already"):
        new("houses", "regression", data, None, root)

    assert sorted(root.rglob("*")) == before
    new("flats", "regression", data, None, root)
    with pytest.raises(InvalidError, match="mlops/pipelines/flats is there already"):
        new("flats", "regression", data, None, root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "has 1 rows: at least 50 are needed"),
        ("a;b\n" + "1;2\n" * 60, "is separated by semicolons"),
        ("a,a\n" + "1,2\n" * 60, "the header has a more than once"),
        ("a,\n" + "1,2\n" * 60, "column 2 has no name"),
        ("a,b\n" + "1,2\n" * 60 + "1\n", "row 61, has 1 values, and the header has 2"),
        ("a,b\n" + "1,2\n" * 60, "The target b is constant"),
        ("a,b\n" + "".join(f"1,x{row}\n" for row in range(60)), "The target b has text: give --task classification"),
    ],
)
def test_unusable_data_for_a_draft_are_named(root: Path, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "my.csv"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InvalidError, match=message):
        new("houses", "regression", file, None, root)
    assert not (root / "mlops/pipelines/houses").exists()


def test_a_missing_target_or_one_with_too_many_classes_is_named(root: Path, tmp_path: Path) -> None:
    data = _csv(tmp_path, ["a", "b"])
    with pytest.raises(InvalidError, match="has no column colour to predict: it has a, b"):
        new("houses", "regression", data, "colour", root)
    with pytest.raises(InvalidError, match="60 different values: give --task regression"):
        new("houses", "classification", data, None, root)
    with pytest.raises(InvalidError, match=r"There is no data file .*nowhere\.csv"):
        new("houses", "regression", tmp_path / "nowhere.csv", None, root)
    with pytest.raises(InvalidError, match="--task is 'ranking': give regression or classification"):
        new("houses", "ranking", data, None, root)


def test_names_of_columns_are_shown_as_the_file_has_them_without_commands(root: Path, tmp_path: Path) -> None:
    file = _csv(tmp_path, ["living area (m²)", "##vso[task.complete]x", "a\tb", "price in €"])

    with pytest.raises(InvalidError) as refused:
        new("houses", "regression", file, "price", root)

    names = "living area (m²), ## vso[task.complete]x, a\ufffdb, price in €"
    assert str(refused.value) == f"my data.csv has no column price to predict: it has {names}."


def test_types_follow_the_values(tmp_path: Path) -> None:
    file = tmp_path / "types.csv"
    row = "1,3000000000,1.5,x,,1_000,nan\n"
    file.write_text("i,l,d,s,empty,under,nan\n" + row * 60, encoding="utf-8")

    columns, rows = read_columns(file)

    assert rows == 60
    assert {column.name: column.kind for column in columns} == {
        "i": "IntegerType", "l": "LongType", "d": "DoubleType", "s": "StringType", "empty": "StringType",
        "under": "StringType", "nan": "StringType",
    }  # fmt: skip
    assert columns[4].missing == 60
