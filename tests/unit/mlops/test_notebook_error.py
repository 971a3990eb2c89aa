"""Messages of a notebook's failure."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = Path(__file__).resolve().parents[3] / "mlops/components/run_databricks_notebook/src/notebook_error.py"

_REFUSED = """\
Py4JJavaError: An error occurred while calling o77.csv.
: Failure to initialize configuration for storage account st.dfs.core.windows.net: Invalid configuration value detected for fs.azure.account.key
\tat org.apache.hadoop.fs.azurebfs.services.SimpleKeyProvider.getStorageAccountKey(SimpleKeyProvider.java:52)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\t... 12 more
"""  # noqa: E501
_UDF = """\
PythonException:
An exception was thrown from the Python worker. Please see the stack trace below.
'Traceback (most recent call last):
  File "/databricks/spark/python/pyspark/worker.py", line 1887, in main
    process()
    ^^^^^^^^^
  File "<cell 3>", line 4, in ratio
    return a / b
           ~~^~~
ZeroDivisionError: division by zero
'

JVM stacktrace:
org.apache.spark.api.python.PythonException
\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:581)
"""
_CAUSED = """\
SparkException: Job aborted due to stage failure: Task 0 in stage 3.0 failed 4 times.
\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:2935)
Caused by: org.apache.spark.SparkException: Task failed while writing rows to abfss://d@a/out.
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.taskFailedWhileWritingRowsError(QueryExecutionErrors.scala:776)
\t... 20 more
Caused by: java.lang.NumberFormatException: For input string: "x"
\tat java.base/java.lang.NumberFormatException.forInputString(NumberFormatException.java:67)
"""


def _summarize(error: str) -> str:
    spec = importlib.util.spec_from_file_location("notebook_error", _PROGRAM)
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text: str = module.summarize(error)
    return text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("ValueError: no rows are left", "ValueError: no rows are left"),
        ("", ""),
        ("ValueError: first\n  second", "ValueError: first second"),
        ("KeyError: 'rows : columns' is missing", "KeyError: 'rows : columns' is missing"),
        (
            _REFUSED,
            "Py4JJavaError: An error occurred while calling o77.csv. Failure to initialize configuration for storage "
            "account st.dfs.core.windows.net: Invalid configuration value detected for fs.azure.account.key",
        ),
        (
            _UDF,
            "PythonException: An exception was thrown from the Python worker. Please see the stack trace below. "
            "ZeroDivisionError: division by zero",
        ),
        (
            _CAUSED,
            "SparkException: Job aborted due to stage failure: Task 0 in stage 3.0 failed 4 times. "
            'Caused by: java.lang.NumberFormatException: For input string: "x"',
        ),
    ],
    ids=["plain", "empty", "two lines", "colon", "storage refuses", "UDF", "caused by"],
)
def test_the_cause_is_on_one_line_without_stack_frames(error: str, expected: str) -> None:
    assert _summarize(error) == expected


def test_a_page_of_text_is_cut() -> None:
    assert _summarize("x" * 5000).endswith(" …")
    assert len(_summarize("x" * 5000)) < 1100
