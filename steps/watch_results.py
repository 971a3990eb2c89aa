"""Results of watching scored files: a window for each scored file, and a judgement once its labels are there.

Both are files of the table of history and never change. Names of columns and files come from data: every page escapes
them. They have no value of the data unless the data contract shows values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Literal

from pydantic import BaseModel, ConfigDict

WATCH_FILE = "watch.json"
WATCH_FOLDER = "scoring/watch"
"""Folder of the training container with a folder of each model's history and requests."""
Kind = Literal["drift", "prediction_drift", "missing", "new_categories", "refused", "realised"]
Verdict = Literal["passed", "breach", "too_few_rows", "not_comparable"]


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Breach(_Result):
    """A limit that is exceeded."""

    kind: Kind
    column: str | None = None
    """The column; of `realised` the metric."""
    measured: float
    limit: float
    message: str
    """A sentence without its full stop, such as `bmi has drifted: index 0.61, and 0.25 may be`."""


class ColumnWatch(_Result):
    """A column of a scored file, or of the predictions, compared with the same column of the version that scored."""

    count: int
    """Rows with a value."""
    missing: float
    """Share of rows without a value."""
    missing_before: float = 0.0
    """The same of the training data."""
    index: float | None = None
    """Population stability index; None where the distributions cannot be compared."""
    distance: float | None = None
    """Jensen-Shannon distance, from 0 to 1."""
    limit: float | None = None
    """Greatest index that passes: the specification's, or a greater one that chance explains in so few rows."""
    new_categories: float | None = None
    """Share of rows with a category that the training data do not have; None where it is unknown."""
    new_names: tuple[str, ...] = ()
    """Some of them, where the data contract shows values."""


class Window(_Result):
    """A scored file, or a file that was refused as a whole: `rows_scored` is 0 then."""

    version: Literal[1] = 1
    id: str
    """Sorts by the time of the scoring."""
    model: str
    model_version: str
    run: str
    """Pipeline run that scored the file."""
    attempt: str
    file_name: str
    file_version: str
    output: str
    """Folder of the training container with the predictions; of a refused file, its folder in the quarantine."""
    scored_at: datetime
    watched_at: datetime
    rows_read: int
    rows_scored: int
    rows_refused: int
    verdict: Verdict
    not_compared: str = ""
    """Why inputs or predictions are held against nothing."""
    columns: dict[str, ColumnWatch] = {}
    predictions: dict[str, ColumnWatch] = {}
    breaches: tuple[Breach, ...] = ()

    @property
    def refused_share(self) -> float:
        """Return the share of the rows that were refused; 1 for a file with an unknown number of rows."""
        return self.rows_refused / self.rows_read if self.rows_read else 1.0

    @property
    def worst(self) -> tuple[str, ColumnWatch] | None:
        """The column that is furthest beyond, or nearest to, its limit."""
        return _worst(self.columns)

    @property
    def worst_prediction(self) -> tuple[str, ColumnWatch] | None:
        """The same of the predictions."""
        return _worst(self.predictions)


class Judgement(_Result):
    """The metrics of a window's predictions, by labels that came later."""

    version: Literal[1] = 1
    window: str
    model: str
    model_version: str
    judged_at: datetime
    rows_scored: int
    rows_labelled: int
    metrics: dict[str, float] = {}
    gate: dict[str, float] = {}
    """The same metrics on the held-out rows, when the version was registered."""
    not_computed: dict[str, str] = {}
    breaches: tuple[Breach, ...] = ()


class LabelsReport(_Result):
    """A state of the file of labels, and its fit with the scored rows."""

    version: Literal[1] = 1
    content: str
    """The file's ETag."""
    read_at: datetime
    rows: int
    without_label: int
    contradicting: int
    """Rows whose keys are there with different labels; they are left out."""
    unknown: int
    """Keys that no watched file has."""


@dataclass(frozen=True)
class History:
    """The newest windows, the oldest of them first, and the judgements that there are."""

    windows: Sequence[Window]
    judgements: Mapping[str, Judgement] = field(default_factory=dict)

    def breaches(self, window: Window) -> tuple[Breach, ...]:
        """Return a window's breaches, also by its labels."""
        judged = self.judgements.get(window.id)
        return (*window.breaches, *(judged.breaches if judged else ()))

    def is_judged(self, window: Window) -> bool:
        """Return whether a window counts for a row of breaches, or ends it.

        Measured windows without a judgement do neither. Nor do unreadable files: no training mends them.
        """
        if not window.rows_read:
            return False
        return window.verdict in ("passed", "breach") or window.id in self.judgements

    @property
    def breached_in_a_row(self) -> int:
        """Return how many of the newest judged windows breach a limit in a row."""
        judged = (window for window in reversed(self.windows) if self.is_judged(window))
        return sum(1 for _ in takewhile(self.breaches, judged))


def summary(window: Window) -> str:
    """Return a window's verdict in a line, without its full stop."""
    if window.verdict == "too_few_rows":
        reason = f"; {window.not_compared}" if not window.rows_scored else ""
        return f"not judged, {window.rows_read} rows are too few{reason}"
    if window.verdict == "breach":
        return f"breach: {'; '.join(breach.message for breach in window.breaches)}"
    reason = f" ({window.not_compared})" if window.not_compared else ""
    if window.verdict == "not_comparable":
        return f"not comparable{reason}"
    nearest = window.worst
    nearness = "" if nearest is None else f", {nearest[0]} is the nearest to its limit: {_index_text(nearest[1])}"
    return f"no breach{nearness}{reason}"


def _index_text(column: ColumnWatch) -> str:
    return f"index {column.index:.2f}, and {column.limit:.2g} may be"


def window_id(scored_at: datetime, file_version: str, attempt: str) -> str:
    """Return the name of a window: the same for each run that scored this file in this attempt."""
    content = hashlib.sha256(f"{file_version}/{attempt}".encode()).hexdigest()[:16]
    return f"{scored_at:%Y%m%dT%H%M%SZ}-{content}"


def _worst(columns: Mapping[str, ColumnWatch]) -> tuple[str, ColumnWatch] | None:
    comparable = [(name, column) for name, column in columns.items() if column.index is not None and column.limit]
    return max(comparable, key=lambda item: (item[1].index or 0.0) / (item[1].limit or 1.0), default=None)
