"""The data contract of a training pipeline: rules for its data, a section of `pipeline.yml`.

Rules are data. A rule is its limit, or a mapping of limit and severity: `minimum: 0`, or
`minimum: {limit: 0, severity: warning}`. An error stops the run before training; a warning is shown and stored.
"""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

Severity = Literal["error", "warning"]
ColumnType = Literal["integer", "number", "text", "boolean", "date", "timestamp"]
NUMERIC: tuple[ColumnType, ...] = ("integer", "number")
AllowedValue = StrictInt | StrictFloat | StrictStr


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Rule(_Section):
    severity: Severity = "error"

    @model_validator(mode="before")
    @classmethod
    def _from_limit(cls, value: Any) -> Any:
        return value if isinstance(value, dict | _Rule) else {"limit": value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rule = handler.resolve_ref_schema(handler(core_schema))
        return {"anyOf": [dict(rule["properties"]["limit"]), rule], "title": rule["title"]}


class TypeRule(_Rule):
    """Rule with a type as its limit."""

    limit: ColumnType


class FlagRule(_Rule):
    """Rule that is on or off."""

    limit: bool = True


class BoundRule(_Rule):
    """Rule with a number as its limit."""

    limit: float


class ShareRule(_Rule):
    """Rule with a share between 0 and 1 as its limit."""

    limit: float = Field(ge=0, le=1)


class ValuesRule(_Rule):
    """Rule with a set of values as its limit."""

    limit: tuple[AllowedValue, ...] = Field(min_length=1)


class RowsRule(_Rule):
    """Rule with a number of rows as its limit."""

    limit: int = Field(ge=1)


class DriftRule(_Rule):
    """Rule with an index of drift as its limit."""

    limit: float = Field(gt=0)
    severity: Severity = "warning"


class ColumnRules(_Section):
    """The rules of a column of the data."""

    type: TypeRule | None = Field(default=None, description="Default: the notebook's schema.")
    required: FlagRule = Field(default=FlagRule(), description="Whether the file has to have the column.")
    minimum: BoundRule | None = None
    maximum: BoundRule | None = None
    allowed: ValuesRule | None = Field(default=None, description="The only values, such as [1, 2].")
    missing: ShareRule | None = Field(default=None, description="Greatest share of rows without a value, such as 0.05.")
    unique: FlagRule | None = Field(default=None, description="Whether no value may be there twice.")
    drift: DriftRule | None = Field(default=None, description="Instead of the contract's own limit.")

    @model_validator(mode="after")
    def _rules_fit_together(self) -> ColumnRules:
        if self.minimum and self.maximum and self.minimum.limit > self.maximum.limit:
            raise ValueError(f"minimum {self.minimum.limit:g} is above maximum {self.maximum.limit:g}")
        bounded = self.minimum or self.maximum
        if bounded and self.type and self.type.limit not in NUMERIC:
            raise ValueError(f"minimum and maximum are for numbers, and type is {self.type.limit}: use allowed")
        numbers = self.type is not None and self.type.limit in NUMERIC
        if numbers and self.allowed and (texts := [value for value in self.allowed.limit if isinstance(value, str)]):
            raise ValueError(f"allowed has the text {texts[0]!r}, and type is {self.type.limit}")  # type: ignore[union-attr]
        return self


class DataContract(_Section):
    """Conditions on the data before a model is trained on them."""

    show_values: bool = Field(
        default=False,
        description="Whether messages, logs, tags and reports may show values of the data. Without it they name rule, "
        "column and count, and example rows are in the stack's storage alone.",
    )
    columns: dict[Annotated[str, Field(min_length=1)], ColumnRules] = Field(
        default={}, description="By the name of the column."
    )
    extra_columns: Severity = Field(
        default="error", description="Severity of an unknown column. With a warning it is left out."
    )
    rows: RowsRule | None = Field(default=None, description="Fewest rows of the file.")
    duplicates: ShareRule | None = Field(default=None, description="Greatest share of rows that repeat another row.")
    drift: DriftRule = Field(
        default=DriftRule(limit=0.25),
        description="Greatest population stability index of a column against the data of the version that serves.",
    )

    @property
    def drift_ends_runs(self) -> bool:
        """Whether a drift of some column is an error."""
        columns = (column.drift for column in self.columns.values() if column.drift is not None)
        return any(rule.severity == "error" for rule in (self.drift, *columns))

    def notebook_json(self, target: str) -> str:
        """Return the rules for the notebook, without rules of drift, which it does not check.

        Databricks replaces `{{…}}` in parameters, which only a name or a value can have here: it is escaped.
        """
        content = self.model_dump(mode="json", exclude_defaults=True, exclude={"drift"}) | {"target": target}
        return json.dumps(content).replace("{{", "{\\u007b")


def closest(name: str, known: list[str]) -> str:
    """Return the hint `: did you mean x?` for an unknown name, or a list of the valid ones."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
