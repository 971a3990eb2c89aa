"""Data are named after their content, and a file that cannot be used is refused before anything runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mlops import training_data
from mlops.errors import InvalidError, MissingError


def test_the_blob_s_path_has_the_content_s_hash(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_bytes(b"a,b\n1,2\n")
    sha256 = hashlib.sha256(b"a,b\n1,2\n").hexdigest()

    data = training_data.read(file)

    assert data.uri("acct", "box") == f"abfss://box@acct.dfs.core.windows.net/data/{sha256}/rows.csv"


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
