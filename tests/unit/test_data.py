"""The committed training data are what their generator makes."""

from __future__ import annotations

from data.make_diabetes import COLUMNS, FILE, make


def test_the_file_is_what_the_generator_makes() -> None:
    assert FILE.read_text(encoding="utf-8") == make()


def test_a_few_dozen_rows_lack_a_value() -> None:
    rows = [line.split(",") for line in FILE.read_text(encoding="utf-8").splitlines()]

    assert tuple(rows[0]) == COLUMNS
    assert sum("" in row for row in rows[1:]) == 36
