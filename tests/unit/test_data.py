"""The committed training data equal their generator's output."""

from __future__ import annotations

from data import make_breast_cancer
from data.make_diabetes import COLUMNS, FILE, make


def test_the_files_equal_the_output_of_their_generators() -> None:
    assert FILE.read_text(encoding="utf-8") == make()
    assert make_breast_cancer.FILE.read_text(encoding="utf-8") == make_breast_cancer.make()


def test_a_few_dozen_rows_lack_a_value() -> None:
    rows = [line.split(",") for line in FILE.read_text(encoding="utf-8").splitlines()]

    assert tuple(rows[0]) == COLUMNS
    assert sum("" in row for row in rows[1:]) == 36
