"""The columns of a table as text and as values of their types, with the conditions that a wrong cell meets.

A cell is wrong, and has no value, when its text does not fit the type, or is a number that is infinite, not a number,
or too large: Spark's own casts take `Infinity`, `1d` and `1e400`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    FractionalType,
    IntegralType,
    NumericType,
    StringType,
    StructField,
    TimestampType,
)

_WHOLE = r"^[+-]?[0-9]+$"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_NOT_FINITE = r"(?i)^[+-]?(inf|infinity)$"
_MISSING = "NaN"
"""Texts that Spark and pandas write for a missing number."""


@dataclass(frozen=True)
class Cell:
    """A column of the table. `text` is None for a missing value, `value` also for a wrong one."""

    name: str
    kind: str
    """Type of the contract: integer, number, text, boolean, date or timestamp."""
    text: Column
    value: Column
    too_large: Column
    """Whether the text is a number that the type cannot hold."""
    typed: Column | None = None
    """The original text, for a column that has its type: it is cheaper to check."""
    fits: bool = False
    """Whether each text has a value, so that no row needs a check."""
    double: Column | None = None
    """The column itself, of floating-point numbers: it is wrong where it is infinite, and missing where it is NaN."""

    @property
    def present(self) -> Column:
        """A column that is null where the text is."""
        return self.text if self.typed is None else self.typed

    @property
    def wrong(self) -> Column:
        """Whether there is a text and no value."""
        return F.lit(False) if self.fits else self.present.isNotNull() & self.value.isNull()

    @property
    def category(self) -> Column:
        """The text by which rows are counted: of values that have more than one, such as TRUE and true, Spark's own."""
        own = self.kind in ("boolean", "date", "timestamp")
        return F.coalesce(self.value.cast("string"), self.text) if own else self.text

    @property
    def is_number(self) -> bool:
        return self.kind in ("integer", "number")


def column(name: str) -> Column:
    """Return the column of a name with any letters: dots and backticks have a meaning in Spark's names."""
    return F.col(f"`{name.replace('`', '``')}`")


def cell(rows: DataFrame, source: str, field: StructField, kind: str | None = None) -> Cell:
    """Return the cells of a column: of texts, as a CSV file has them, or of values that have their type already.

    `source` is the column's name in the table; `kind` is the contract's type, where it is stricter than the schema's.
    """
    own = kind_of(field.dataType)
    kind = "integer" if kind == "integer" and own == "number" else own
    if not isinstance(rows.schema[source].dataType, StringType) and own != "text":
        return _typed(source, field, kind, rows.schema[source].dataType)
    raw = column(source)
    if own == "text":
        return Cell(field.name, kind, raw, raw, F.lit(False), fits=True)
    trimmed = F.trim(raw)
    text = F.when(trimmed == _MISSING, None).otherwise(raw) if own in ("integer", "number") else raw
    if own not in ("integer", "number"):
        return Cell(field.name, kind, text, trimmed.try_cast(field.dataType), F.lit(False))
    is_number = trimmed.rlike(_WHOLE if own == "integer" else _NUMBER)
    cast = trimmed.try_cast(field.dataType)
    value = F.when(is_number, cast)
    if own == "number":
        value = F.when(~_infinite(value), value)
    if not isinstance(field.dataType, DecimalType):
        value = F.when(_is_plain(trimmed) & _finite(cast, own), cast).otherwise(value)
    if kind != own:
        value = F.when(value == F.floor(value), value)
    too_large = (is_number & value.isNull() & (F.lit(kind == own))) | trimmed.rlike(_NOT_FINITE)
    return Cell(
        field.name,
        kind,
        text,
        value,
        F.when(value.isNull(), F.coalesce(too_large, F.lit(False))).otherwise(F.lit(False)),
    )


def kind_of(kind: DataType) -> str:
    """Return the contract's name of a type of Spark's."""
    if isinstance(kind, IntegralType):
        return "integer"
    if isinstance(kind, NumericType):
        return "number"
    for known, name in ((BooleanType, "boolean"), (DateType, "date"), (TimestampType, "timestamp")):
        if isinstance(kind, known):
            return name
    return "text"


def _typed(source: str, field: StructField, kind: str, source_type: DataType) -> Cell:
    raw = column(source)
    if source_type == field.dataType and kind == kind_of(source_type) and kind != "number":
        return Cell(field.name, kind, raw.cast("string"), raw, F.lit(False), raw, fits=True)
    present = F.when(~F.isnan(raw.cast("double")), raw) if kind in ("integer", "number") else raw
    value = present.try_cast(field.dataType)
    too_large = F.lit(False)
    if kind in ("integer", "number"):
        too_large = F.coalesce(_infinite(present), F.lit(False))
        value = F.when(~too_large, value)
    if kind != kind_of(field.dataType):
        value = F.when(value == F.floor(value), value)
    own = isinstance(source_type, FractionalType) and not isinstance(source_type, DecimalType)
    double = raw if own and source_type == field.dataType and kind == "number" else None
    if double is not None:
        # NaN is greater than infinity. Two comparisons are a third of the code of the steps above.
        value = F.when((raw > F.lit(float("-inf"))) & (raw < F.lit(float("inf"))), raw)
    return Cell(field.name, kind, present.cast("string"), value, too_large, present, double=double)


def _is_plain(text: Column) -> Column:
    """Return whether a text that Spark casts to a finite number is one of the contract's without a regular expression.

    Those casts also take hexadecimal numbers, control characters around a number, and d or f after it. A regular
    expression costs more than the cast of a cell: it is left to the other texts.
    """
    last = F.substring(text, -1, 1)
    return (text >= "+") & (last >= ".") & (last <= "9") & ~text.contains("x") & ~text.contains("X")


def _finite(value: Column, kind: str) -> Column:
    # The value is in two comparisons, so that Spark computes it once for them and for the result.
    bounds = (value > F.lit(float("-inf"))) & (value < F.lit(float("inf")))
    return value.isNotNull() if kind == "integer" else bounds


def _infinite(value: Column) -> Column:
    return F.abs(value.cast("double")) == F.lit(float("inf"))
