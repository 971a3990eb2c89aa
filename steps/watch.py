"""The section `watch` of `pipeline.yml`: limits for differences of scored files from the scoring version's data.

A window is one scored file. Thresholds are data; `steps/watching.py` holds a window against them.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator

LABELS = "scoring/labels"
"""Folder of the training container for labels, which the stack's lifecycle rules name too."""
_DURATION = re.compile(r"P(?=\d|T\d)(?:\d+W)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?)?")
_Share = Annotated[float, Field(ge=0, le=1)]
_Index = Annotated[float, Field(gt=0)]
_File = Annotated[
    str, StringConstraints(pattern=rf"^{LABELS}(/[A-Za-z0-9][A-Za-z0-9._=-]{{0,62}}){{1,6}}$", max_length=512)
]


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or _DURATION.fullmatch(value) is None:
        raise ValueError("give a duration of ISO 8601 in weeks, days, hours and minutes, such as P7D or PT12H")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ColumnLimits(_Section):
    """Limits of a column, instead of the general ones."""

    drift: _Index | None = None
    missing: _Share | None = None
    new_categories: _Share | None = None


class Labels(_Section):
    """True values of scored rows, in a CSV file that others bring up to date."""

    file: _File = Field(
        description="CSV file of the training container, below scoring/labels/, with the keys and the target."
    )
    keys: tuple[str, ...] = Field(
        min_length=1, description="Columns that tell a scored row, which score.keys carries along, such as [patient]."
    )
    complete: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="Share of a file's scored rows with a label from which on it is judged, once.",
    )
    worse_by: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default={},
        description="By how much a metric of the gate may be worse than on the held-out rows, in its own unit. Bounds "
        "of the gate are held in any case.",
    )

    @field_validator("keys")
    @classmethod
    def _once(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"{', '.join(twice)} are there more than once")
        return keys


class Watch(_Section):
    """Limits for each scored file, and the actions when they are exceeded."""

    drift: _Index = Field(default=0.25, description="Greatest population stability index of a column.")
    prediction_drift: _Index = Field(default=0.25, description="The same of the model's predictions.")
    missing: _Share = Field(
        default=0.1, description="Greatest excess of the share of rows without a value over the training data's."
    )
    new_categories: _Share = Field(
        default=0.05, description="Greatest share of rows with a category that the training data do not have."
    )
    refused: _Share = Field(
        default=0.05, description="Greatest share of refused rows. Beyond score.most_refused nothing is scored."
    )
    columns: dict[Annotated[str, Field(min_length=1)], ColumnLimits] = Field(
        default={}, description="Limits by column, instead of drift, missing and new_categories."
    )
    leave_out: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        description="Columns that are not watched, such as numbers of records, which differ in each file: [house_id].",
    )
    fewest_rows: int = Field(default=50, ge=1, description="Files with fewer rows are measured, and not judged.")
    labels: Labels | None = Field(default=None, description="Without it, predictions are held against no outcome.")
    retrain: Literal["never", "on_drift", "work_item"] = Field(
        default="never",
        description="Reaction to breaches: nothing, a training run, or a work item in Azure DevOps.",
    )
    windows: int = Field(
        default=3, ge=1, le=100, description="How many files in a row have to breach a limit before something follows."
    )
    at_most_every: Annotated[timedelta, BeforeValidator(_duration)] = Field(
        default=timedelta(days=7), description="How often something may follow: a duration of ISO 8601, such as P7D."
    )

    @field_validator("at_most_every")
    @classmethod
    def _takes_time(cls, period: timedelta) -> timedelta:
        if period < timedelta(hours=1):
            raise ValueError("must be at least an hour, such as P7D")
        return period

    def limit(self, column: str, name: Literal["drift", "missing", "new_categories"]) -> float:
        """Return the limit of a column: its own, or the general one."""
        own = self.columns.get(column)
        value = None if own is None else getattr(own, name)
        return float(getattr(self, name) if value is None else value)
