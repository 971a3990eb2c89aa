"""A data file that a run could only refuse is refused by its first line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlops import data_files, specifications
from mlops.errors import InvalidError, MissingError
from tests import samples

PIPELINE = specifications.load("diabetes", samples.PIPELINES)
HEADER = "age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression"
ROW = "59,2,32.1,101,157,93.2,38,4,4.8598,87,151"


def _file(folder: Path, content: str | bytes) -> Path:
    file = folder / "rows.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{ROW}\n",
        ",".join(reversed(HEADER.split(","))) + f"\n{ROW}\n",
        b"\xef\xbb\xbf" + f"{HEADER}\r\n{ROW}\r\n".encode(),
        f"{HEADER},gr\xf6\xdfe\n{ROW},1\n".encode("latin-1"),
    ],
    ids=["plain", "reordered", "byte order mark and CRLF", "latin-1"],
)
def test_a_header_with_the_columns_of_the_contract_is_taken(tmp_path: Path, content: str | bytes) -> None:
    assert data_files.read(_file(tmp_path, content), PIPELINE).sha256


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{HEADER.replace('bmi', 'bmj')}\n{ROW}\n", r"columns of diabetes: bmi is missing \(is bmj its name misspelt"),
        (f"{HEADER.replace(',bp', '')}\n{ROW}\n", "bp is missing. Its header: age, sex, bmi, s1"),
        (f"{HEADER}\n{ROW}\n".replace(",", ";"), "is separated by semicolons: save it with commas"),
        (f"{HEADER}\n{ROW}\n".replace(",", "\t"), "is separated by tabs"),
        ("##vso[task.complete],age\n", "Its header: %23%23vso%5Btask.complete%5D, age"),
        (
            f"{ROW}\n{ROW}\n",
            r"^The first line of the data file \S+ has none of the columns of diabetes",
        ),
        ("", "is empty"),
    ],
)
def test_another_header_is_named_with_its_missing_columns(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InvalidError, match=message):
        data_files.read(_file(tmp_path, content), PIPELINE)


def test_a_missing_file_and_one_that_may_not_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingError, match=r"nowhere\.csv does not exist"):
        data_files.read(tmp_path / "nowhere.csv", PIPELINE)
    file = _file(tmp_path, HEADER)

    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidError, match=r"rows\.csv cannot be read: Permission denied"):
        data_files.read(file, PIPELINE)


def test_the_own_data_of_every_pipeline_fit() -> None:
    for name in specifications.names():
        pipeline = specifications.load(name)
        assert data_files.read(pipeline.data, pipeline).name.endswith(".csv")
