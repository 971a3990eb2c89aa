"""Results of a run about its data: `data_contract.json` and `profile.json`, artifacts of the pipeline's root run.

Both are versioned: a reader accepts the versions that it knows. Names of columns and texts come from data: every page
escapes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from steps.data_contract import ColumnType, Severity

CONTRACT_FILE, PROFILE_FILE = "data_contract.json", "profile.json"
PREDICTION_PROFILE_FILE = "prediction_profile.json"
"""Profile of the model's answers for held-out rows: `prediction` and, where there are two classes, `probability`."""
MEASURES_FILE = "measures.json"
"""File of the notebook's measures of each column, between steps of a run alone."""
RuleName = Literal[
    "columns", "extra_columns", "row_length", "type", "minimum", "maximum", "allowed", "missing", "unique",
    "duplicates", "rows", "target", "drift",
]  # fmt: skip


class _Result(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class RuleResult(_Result):
    """A rule, and its result on the data."""

    rule: RuleName
    column: str | None = None
    severity: Severity = "error"
    passed: bool
    count: int | None = None
    """Rows that break the rule; for columns and extra_columns the number of columns."""
    measured: float | None = None
    """The share, the population stability index, or the number of rows that was held against the limit."""
    limit: str = ""
    """The rule's limit as text."""
    message: str = ""
    """A sentence without its full stop, such as `bmi has 3 values below 10`. It has no values unless `show_values`."""
    examples: tuple[str, ...] = ()
    """Values that break the rule, where `show_values` allows it."""


class ContractResult(_Result):
    """data_contract.json."""

    version: Literal[1] = 1
    accepted: bool
    """Whether no rule with severity error is broken."""
    show_values: bool = False
    source: str = ""
    """Address of the file."""
    rows_read: int
    rows_kept: int | None = None
    """Rows of the engineered set; None without one."""
    missing: dict[str, int] = {}
    """Columns that have rows without a value, with their number. Such rows are dropped by most features."""
    rules: tuple[RuleResult, ...] = ()
    quarantine: str | None = None
    """Folder of the stack's storage with example rows, as JSON lines."""
    compared_with: str | None = None
    """Version of the model whose data these are held against for drift."""
    not_compared: str = ""
    """Why they are held against none."""

    @property
    def rows_dropped(self) -> int:
        """Rows that were read and are not in the engineered set."""
        return 0 if self.rows_kept is None else self.rows_read - self.rows_kept

    @property
    def errors(self) -> tuple[RuleResult, ...]:
        """The broken rules that stop the run."""
        return tuple(rule for rule in self.rules if not rule.passed and rule.severity == "error")

    @property
    def warnings(self) -> tuple[RuleResult, ...]:
        """The broken rules that are shown and stored."""
        return tuple(rule for rule in self.rules if not rule.passed and rule.severity == "warning")


class ColumnProfile(_Result):
    """The distribution of a column.

    A number has `edges`, ascending, and one share more than edges: of the values up to the first edge, above it up to
    the second, and so on. Everything else has `categories` with their shares, the most frequent ones, and `other`.
    Shares are of the rows with a value.
    """

    type: ColumnType
    count: int
    """Rows with a value."""
    missing: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    edges: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    categories: dict[str, float] = {}
    hashed: bool = False
    """Whether the categories are hashes of their values, which the contract does not show."""
    other: float = 0.0


class Profile(_Result):
    """profile.json: accepted data, target included. It is beside the files of the model that was trained on them."""

    version: Literal[1] = 1
    rows: int
    target: str
    columns: dict[str, ColumnProfile]


def read_contract(folder: Path) -> ContractResult:
    """Return data_contract.json of a folder."""
    return ContractResult.model_validate_json((folder / CONTRACT_FILE).read_text(encoding="utf-8"))


def read_profile(folder: Path, file: str = PROFILE_FILE) -> Profile:
    """Return profile.json of a folder, or another profile."""
    return Profile.model_validate_json((folder / file).read_text(encoding="utf-8"))


def write(folder: Path, contract: ContractResult, profile: Profile | None) -> None:
    """Write both files; without a profile, which a file that cannot be read has not, the first one alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONTRACT_FILE).write_text(contract.model_dump_json(indent=2), encoding="utf-8")
    if profile is not None:
        (folder / PROFILE_FILE).write_text(profile.model_dump_json(indent=2), encoding="utf-8")
