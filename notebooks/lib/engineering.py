"""Engineering of a CSV file after the check of its data contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from .contract import Check, check, content, write_lines
from .csv_source import MALFORMED, DataError, plain_errors, read_header, read_texts
from .rules import parse

CHECKED, QUARANTINE = "_data_contract", "_quarantine"
"""Folders beside the engineered set. Readers of Parquet leave out names that begin with an underscore."""


@dataclass(frozen=True)
class Outcome:
    """Rows of the file, and remaining rows: 0 when the contract is broken, by `broken`."""

    read: int
    kept: int
    broken: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the notebook's exit value."""
        return json.dumps({"rows_read": self.read, "rows_kept": self.kept, "broken": self.broken})


def engineer(
    spark: SparkSession,
    input_uri: str,
    output_uri: str,
    schema: StructType,
    features: Callable[[DataFrame], DataFrame],
    contract: str = "",
) -> Outcome:
    """Write the features of the rows of `input_uri` (CSV) to `output_uri` (Parquet, replaced).

    `features` returns the engineered rows, a row for each row that it keeps. `contract` is the notebook's parameter of
    that name. Where the data break it, no features are written: the step check_data, which reads the results written
    beside them, ends the run. Raises DataError for a file that cannot be read; then nothing is written.
    """
    rules = parse(contract)
    with plain_errors(input_uri):
        rows = read_texts(spark, input_uri, read_header(spark, input_uri, schema.names))
        checked = check(rows, rules, schema, MALFORMED)
        try:
            kept = _write(checked, output_uri, features)
        finally:
            checked.release()
    quarantine = f"{output_uri}/{QUARANTINE}" if checked.example_rows else None
    if quarantine is not None:
        write_lines(spark, checked.example_rows, quarantine)
    read = 0 if checked.measures is None else checked.measures.rows
    write_lines(spark, [content(checked, input_uri, kept, quarantine, rules)], f"{output_uri}/{CHECKED}")
    return Outcome(read, kept or 0, tuple(result.message for result in checked.results if result.stops))


def _write(checked: Check, output_uri: str, features: Callable[[DataFrame], DataFrame]) -> int | None:
    """Write the features and return their number; None when the data are not accepted."""
    if not checked.accepted or checked.typed is None or checked.measures is None:
        return None
    kept = Observation("kept")
    count = F.count(F.lit(1)).alias("rows")
    features(checked.typed).observe(kept, count).write.mode("overwrite").parquet(output_uri)
    number = int(kept.get["rows"])
    if number == 0:
        raise DataError(f"not one of the {checked.measures.rows} rows is complete.")
    return number
