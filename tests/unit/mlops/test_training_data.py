"""Data are named after their content, and a file that cannot be used is refused before anything runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mlops import training_data
from mlops.errors import InvalidError, MissingError
from steps.file_names import printable


def test_the_blob_s_path_has_the_content_s_hash(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a,b\n1,2\n")
    sha256 = hashlib.sha256(b"a,b\n1,2\n").hexdigest()

    data = training_data.read(file)

    assert data.uri("acct", "box") == f"abfss://box@acct.dfs.core.windows.net/data/{sha256}/data.csv"


@pytest.mark.parametrize("name", ["a$(touch x).csv", "`touch x`.csv", "a;b'\".csv", "a\nb.csv", "-rf", "März 1.csv"])
def test_the_file_s_name_is_in_no_address(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"a,b\n1,2\n")
    (tmp_path / "plain.csv").write_bytes(b"a,b\n1,2\n")

    data, plain = training_data.read(tmp_path / name), training_data.read(tmp_path / "plain.csv")

    assert data.uri("acct", "box") == plain.uri("acct", "box")
    assert data.name.endswith(name)


def test_a_name_is_shown_without_commands_to_a_terminal_or_a_pipeline() -> None:
    assert printable("incoming/März 1.csv") == "incoming/März 1.csv"
    assert printable("a\n##vso[task.setvariable variable=X]y\x1b[2J.csv") == (
        "a%0A%23%23vso%5Btask.setvariable variable%3DX%5Dy%1B%5B2J.csv"
    )
    assert printable("\udcff.csv") == "%FF.csv", "a name that is no UTF-8"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no/such\.csv does not exist"):
        training_data.read(tmp_path / "no/such.csv")


def test_a_folder_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="is not a file"):
        training_data.read(tmp_path)
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(InvalidError, match="is empty"):
        training_data.read(empty)
