"""Make breast_cancer.csv from scikit-learn's bundled breast cancer data: `python -m data.make_breast_cancer`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from sklearn.datasets import load_breast_cancer

FILE = Path(__file__).with_name("breast_cancer.csv")


def make() -> str:
    """Return the file's text: 569 tumours, 30 measurements of cell nuclei, and whether the tumour is malignant."""
    source = load_breast_cancer()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(str(name).replace(" ", "_") for name in source.feature_names), "malignant"])
    for row, benign in zip(source.data, source.target, strict=True):
        writer.writerow([*(f"{value:.6g}" for value in row), 1 - int(benign)])
    return text.getvalue()


if __name__ == "__main__":
    FILE.write_text(make(), encoding="utf-8")
