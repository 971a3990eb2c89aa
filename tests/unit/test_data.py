"""The committed training data equal their generator's output."""

from __future__ import annotations

import importlib

import pytest

from data.make_diabetes import COLUMNS, FILE


@pytest.mark.parametrize("generator", sorted(file.stem for file in FILE.parent.glob("make_*.py")))
def test_the_files_equal_the_output_of_their_generators(generator: str) -> None:
    module = importlib.import_module(f"data.{generator}")
    assert module.FILE.read_text(encoding="utf-8") == module.make()


def test_a_few_dozen_rows_lack_a_value() -> None:
    rows = [line.split(",") for line in FILE.read_text(encoding="utf-8").splitlines()]

    assert tuple(rows[0]) == COLUMNS
    assert sum("" in row for row in rows[1:]) == 36
