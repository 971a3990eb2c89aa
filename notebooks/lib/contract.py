"""Check of a table by the rules of its contract, before features are made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from .cells import Cell, cell, column
from .columns import compare
from .evaluation import Evaluated, evaluate
from .judgement import Result, judge, with_examples
from .measures import Measures, broken, measure
from .rules import Rules

MOST_EXAMPLE_ROWS = 100
_BROKEN = "_broken"


@dataclass(frozen=True)
class Check:
    """Result of a check.

    `typed` has the columns of the schema in its order; a wrong cell is null there. Spark keeps its rows until
    `release`, and would take them for the rows of any later read of the same file.
    """

    results: list[Result]
    typed: DataFrame | None = None
    measures: Measures | None = None
    example_rows: list[str] = field(default_factory=list)
    """Rows that break a rule, as JSON. They are data: they go to the stack's storage, and are never shown."""
    table: Evaluated | None = None

    @property
    def accepted(self) -> bool:
        """Whether no rule with severity error is broken."""
        return not any(result.stops for result in self.results)

    def release(self) -> None:
        """Forget the rows that Spark keeps."""
        if self.table is not None:
            self.table.release()


def check(rows: DataFrame, rules: Rules, schema: StructType, malformed: str | None = None) -> Check:
    """Hold a table against the rules, in one pass.

    The table has texts, as a CSV file, or values of their types. `malformed` names a column that is not null in rows
    with the wrong number of values. Rows that break a rule are read a second time, and only then.
    """
    header = [name for name in rows.columns if name != malformed]
    columns = compare(header, schema.names, rules)
    if any(result.stops for result in columns.results):
        return Check(list(columns.results))
    cells = [
        cell(rows, columns.sources[named.name], named, _kind(rules, named.name))
        for named in schema.fields
        if named.name in columns.sources
    ]
    is_malformed = None if malformed is None else column(malformed).isNotNull()
    table = evaluate(rows, cells, rules, is_malformed)
    try:
        measures = measure(table, rules)
        results = [*columns.results, *judge(measures, rules)]
        example_rows: list[str] = []
        if any(not result.passed for result in results):
            example_rows, values = _examples(rows, header, cells, rules, is_malformed)
            example_rows += _repeated(rows, header, cells, results)
            if rules.show_values:
                results = with_examples(results, values)
    except BaseException:
        table.release()
        raise
    return Check(results, table.typed(schema), measures, example_rows, table)


def content(checked: Check, source: str, rows_kept: int | None, quarantine: str | None, rules: Rules) -> str:
    """Return the notebook's results for the step check_data, as JSON on one line. `source` is the file's address."""
    measures = checked.measures
    measured: dict[str, Any] = {} if measures is None else asdict(measures)["columns"]
    return json.dumps(
        {
            "version": 1,
            "accepted": checked.accepted,
            "source": source,
            "rows_read": 0 if measures is None else measures.rows,
            "rows_kept": rows_kept,
            "missing": {name: measures["missing"] for name, measures in measured.items() if measures["missing"]},
            "rules": [asdict(result) for result in checked.results],
            "quarantine": quarantine,
            "show_values": rules.show_values,
            "measures": measured,
        }
    )


def write_lines(spark: SparkSession, lines: Sequence[str], uri: str) -> None:
    """Write texts to a folder, one a line, in one file."""
    rows = spark.createDataFrame([(line,) for line in lines], "value string")
    rows.coalesce(1).write.mode("overwrite").text(uri)


def _kind(rules: Rules, name: str) -> str | None:
    rule = rules.of(name).type
    return None if rule is None else str(rule.limit)


def _examples(
    rows: DataFrame, header: Sequence[str], cells: Sequence[Cell], rules: Rules, malformed: Column | None
) -> tuple[list[str], Mapping[tuple[str, str | None], list[str]]]:
    """Return some rows that break a rule as JSON, and the values that do, by rule and column."""
    conditions: dict[tuple[str, str | None], Column] = {
        (name, cell.name): condition for cell in cells for name, condition in broken(cell, rules).items()
    }
    if malformed is not None:
        conditions["row_length", None] = malformed
    texts = {cell.name: cell.text for cell in cells}
    keys = list(conditions)
    chosen = rows.where(reduce(Column.__or__, conditions.values())).limit(MOST_EXAMPLE_ROWS)
    collected = chosen.select(
        F.array(*(F.when(conditions[key], F.lit(index)) for index, key in enumerate(keys))).alias(_BROKEN),
        F.array(*(column(name).cast("string") for name in rows.columns)).alias("row"),
        F.array(*(texts[name] if name is not None else F.lit(None) for _, name in keys)).alias("values"),
    ).collect()
    lines: list[str] = []
    values: dict[tuple[str, str | None], list[str]] = {}
    for row in collected:
        indexes = [index for index in row[_BROKEN] if index is not None]
        named = [" of ".join(part for part in keys[index] if part) for index in indexes]
        lines.append(json.dumps({_BROKEN: named} | dict(zip(rows.columns, row["row"], strict=True))))
        for index in indexes:
            if row["values"][index] is not None:
                values.setdefault(keys[index], []).append(row["values"][index])
    return lines, values


def _repeated(rows: DataFrame, header: Sequence[str], cells: Sequence[Cell], results: Sequence[Result]) -> list[str]:
    """Return some rows that are there more than once, or values of columns that should be unique, as JSON."""
    lines: list[str] = []
    for result in results:
        if result.passed or result.rule not in ("duplicates", "unique"):
            continue
        parts = [cell for cell in cells if result.column in (None, cell.name)]
        groups = rows.groupBy(*(cell.text.alias(f"c{index}") for index, cell in enumerate(parts))).count()
        for row in groups.where("count > 1").limit(MOST_EXAMPLE_ROWS).collect():
            named = {cell.name: row[f"c{index}"] for index, cell in enumerate(parts)}
            lines.append(json.dumps({_BROKEN: [result.rule], "rows": row["count"]} | named))
    return lines
