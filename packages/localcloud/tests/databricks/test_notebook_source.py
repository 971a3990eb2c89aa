"""The source format: cells, magics, %run targets, SQL statements."""

from __future__ import annotations

import pytest
from localcloud.databricks.runtime.source import Cell, NotebookFormatError, parse, resolve, run_target, split_sql

NOTEBOOK = """# Databricks notebook source
# MAGIC %md
# MAGIC # Title

# COMMAND ----------

# DBTITLE 1,Load
x = 1
# a comment

# COMMAND ----------

# MAGIC %sql
# MAGIC SELECT 1;
# MAGIC SELECT 2

# COMMAND ----------

# MAGIC %run ./lib/helpers $date="2026-01-01"
"""


def test_cells_keep_their_number_and_lose_their_prefix() -> None:
    assert parse(NOTEBOOK, "PYTHON") == [
        Cell(1, "md", "# Title"),
        Cell(2, "", "x = 1\n# a comment"),
        Cell(3, "sql", "SELECT 1;\nSELECT 2"),
        Cell(4, "run", './lib/helpers $date="2026-01-01"'),
    ]


def test_a_sql_notebook_has_sql_comments() -> None:
    text = "-- Databricks notebook source\nSELECT 1\n\n-- COMMAND ----------\n\n-- MAGIC %python\n-- MAGIC x = 2\n"
    assert parse(text, "SQL") == [Cell(1, "", "SELECT 1"), Cell(2, "python", "x = 2")]


def test_other_languages_are_refused_by_name() -> None:
    with pytest.raises(NotebookFormatError, match="Python and SQL, not in SCALA"):
        parse("// Databricks notebook source", "SCALA")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("./b", "/Shared/x/b"),
        ("../b", "/Shared/b"),
        ("b", "/Shared/x/b"),
        ("/Users/b", "/Users/b"),
        ("/Workspace/Shared/b", "/Shared/b"),
    ],
)
def test_paths_are_relative_to_the_notebook_that_names_them(named: str, expected: str) -> None:
    assert resolve(named, "/Shared/x/a") == expected


def test_run_accepts_quoted_paths_and_arguments() -> None:
    assert run_target('"./my helpers" $a="1" $b=two') == ("./my helpers", {"a": "1", "b": "two"})


def test_statements_end_at_semicolons_outside_quotes_and_comments() -> None:
    assert split_sql("SELECT ';' AS a; -- no; not here\nSELECT `b;` /* nor; here */ FROM t;\n;") == [
        "SELECT ';' AS a",
        "SELECT `b;`  FROM t",
    ]
