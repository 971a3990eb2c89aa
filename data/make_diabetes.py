"""Make diabetes.csv from scikit-learn's bundled diabetes data: `python -m data.make_diabetes`.

Original units (scaled=False), and in a few dozen rows one or two values taken away, always the same ones, as in data
that people enter by hand.
"""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

from sklearn.datasets import load_diabetes

FILE = Path(__file__).with_name("diabetes.csv")
COLUMNS = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6", "progression")
_INCOMPLETE_ROWS = 36
_SEED = 17


def make() -> str:
    """Return the file's text: 442 rows, of which 36 lack one or two measurements."""
    source = load_diabetes(scaled=False)
    rows = [
        [_number(value) for value in (*row, target)] for row, target in zip(source.data, source.target, strict=True)
    ]
    chance = random.Random(_SEED)  # noqa: S311
    for index in chance.sample(range(len(rows)), _INCOMPLETE_ROWS):
        # Never the age, the sex or the target: those are always asked for.
        for column in chance.sample(range(2, len(COLUMNS) - 1), chance.choice((1, 1, 2))):
            rows[index][column] = ""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return text.getvalue()


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:.4f}".rstrip("0")


if __name__ == "__main__":
    FILE.write_text(make(), encoding="utf-8")
