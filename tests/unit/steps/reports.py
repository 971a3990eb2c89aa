"""Contents of reports for tests: of both tasks, made from a model as a step has it."""

from __future__ import annotations

import re
from dataclasses import asdict
from functools import cache
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from steps import gate, models
from steps.reporting.details import details
from steps.specification import Specification

HOSTILE = '<img src=x onerror="alert(1)">'
COMMAND = "##vso[task.setvariable variable=X]1"
_VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})


class FakeModel:
    """A pyfunc of a function of the rows; `classes` makes it give probabilities of the second class."""

    def __init__(self, function: Any, classes: tuple[Any, ...] = (), labels_only: bool = False) -> None:
        self._function, self._classes, self._labels_only = function, classes, labels_only
        self.metadata = SimpleNamespace(get_input_schema=lambda: None)

    def predict(self, rows: pd.DataFrame) -> Any:
        values = np.asarray(self._function(rows))
        if not self._classes:
            return values
        return np.array(self._classes)[values.argmax(axis=1)]

    def get_raw_model(self) -> Any:
        if not self._classes or self._labels_only:
            return self
        return SimpleNamespace(predict_proba=lambda rows: np.asarray(self._function(rows)), classes_=self._classes)


def regression(column: str = "size", **more: Any) -> dict[str, Any]:
    """Return the content of a run of a regression whose better column is named `column`; `more` replaces parts."""
    return _regression(column) | more


@cache
def _regression(column: str) -> dict[str, Any]:
    chance = np.random.default_rng(1)
    rows = pd.DataFrame({column: chance.normal(size=120), "noise": chance.normal(size=120)})
    rows["price"] = 3 * rows[column] + 0.3 * chance.normal(size=120)
    specified = Specification.model_validate(
        {
            "description": "Prices.", "model": "houses", "task": "regression", "target": "price", "notebook": "n",
            "data": "d.csv", "gate": {"metrics": [{"name": "rmse"}, {"name": "r2", "minimum": 0.5}]},
        }
    )  # fmt: skip
    return content(specified, rows, FakeModel(lambda part: 3 * part[column]), FakeModel(lambda part: 2 * part[column]))


@cache
def classification(classes: tuple[Any, ...] = ("no", "yes"), *, labels_only: bool = False) -> dict[str, Any]:
    """Return the content of a run of a classification that is refused."""
    chance = np.random.default_rng(2)
    rows = pd.DataFrame({"size": chance.uniform(0, len(classes), size=150), "noise": chance.normal(size=150)})
    classed = np.where(chance.uniform(size=150) < 0.1, chance.integers(0, len(classes), 150), rows["size"].astype(int))
    rows["kind"] = [classes[index] for index in classed]

    def probabilities(part: pd.DataFrame) -> Any:
        distance = np.abs(part["size"].to_numpy()[:, None] - 0.5 - np.arange(len(classes))[None, :])
        weights = np.exp(-3 * distance)
        return weights / weights.sum(axis=1, keepdims=True)

    specified = Specification.model_validate(
        {
            "description": "Kinds.", "model": "kinds", "task": "classification", "target": "kind", "notebook": "n",
            "data": "d.csv",
            "gate": {
                "metrics": [{"name": "accuracy"}],
                "slices": [{"column": "noise", "metric": "accuracy", "minimum": 0.999}],
            },
        }
    )  # fmt: skip
    model = FakeModel(probabilities, classes, labels_only)
    return content(specified, rows, model, None)


def content(specified: Specification, rows: pd.DataFrame, model: Any, former: Any) -> dict[str, Any]:
    """Return the register step's files."""
    challenger = models.predict(model, rows, specified.target)
    champion = None if former is None else gate.Champion("3", models.predict(former, rows, specified.target))
    verdict = gate.judge(specified.gate, rows, challenger, champion)
    return {
        "metrics": verdict.metrics,
        "champion": None if champion is None else {"version": "3", "metrics": verdict.champion_metrics},
        "comparisons": [asdict(comparison) for comparison in verdict.comparisons],
        "slices": [asdict(part) for part in verdict.slices],
        "decision": {"register": verdict.register, "reason": verdict.reason},
        "details": details(specified, model, rows, challenger, champion, {}),
        "model_name": specified.model, "model_version": "4" if verdict.register else None,
        "lineage": {"commit": "c0ffee", "data_version": "d" * 64, "notebook": "/n/0123", "environment": "training:1"},
        "parameters": {"alpha": "0.5"},
    }  # fmt: skip


class Page(HTMLParser):
    """A page as a reader of HTML sees it: its tags, texts, and the faults of its structure."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"{tag} is not closed" for tag in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"{tag} is closed and not the innermost")

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.text += f"{data} "

    @property
    def words(self) -> str:
        """The text with single blanks."""
        return re.sub(r"\s+", " ", self.text)
