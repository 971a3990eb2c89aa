"""Refuses tables and views of a catalog: localcloud has none, and Spark's own catalog is lost with the run.

On Databricks these are tables, views, functions and schemas of Unity Catalog or of the Hive metastore. Temporary views
and functions, and Delta tables that are addressed by their path, are no entries of a catalog: they work.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .host import NotEmulatedError

_STATEMENTS = {
    "CreateTable": "CREATE TABLE",
    "CreateTableAsSelect": "CREATE TABLE AS SELECT",
    "ReplaceTable": "REPLACE TABLE",
    "ReplaceTableAsSelect": "REPLACE TABLE AS SELECT",
    "CreateTableLikeCommand": "CREATE TABLE LIKE",
    "CloneTableStatement": "CLONE",
    "CreateNamespace": "CREATE SCHEMA",
    "CreateView": "CREATE VIEW",
    "CreateFunction": "CREATE FUNCTION",
    "CreateUserDefinedFunction": "CREATE FUNCTION",
}
"""Plan nodes of Spark 4.0's parser for statements which add to a catalog."""
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_INSTEAD = (
    "save by path instead, such as df.write.save('abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH'), and read with"
    " spark.read.load; temporary views work"
)


def install() -> None:
    """Replace methods of pyspark and Delta Lake that add to a catalog by refusing ones."""
    from delta.tables import DeltaTableBuilder
    from pyspark.sql import DataFrameWriter, DataFrameWriterV2, SparkSession
    from pyspark.sql.catalog import Catalog
    from pyspark.sql.streaming.readwriter import DataStreamWriter

    for owner, names in {
        DataFrameWriter: ("saveAsTable",),
        DataFrameWriterV2: ("create", "createOrReplace", "replace"),
        Catalog: ("createTable", "createExternalTable"),
        DataStreamWriter: ("toTable",),
        DeltaTableBuilder: ("tableName",),
    }.items():
        for name in names:
            setattr(owner, name, _refusal(f"{owner.__name__}.{name}"))
    run_sql = SparkSession.sql

    def sql(self: Any, sqlQuery: str, args: Any = None, **kwargs: Any) -> Any:
        check(self, sqlQuery)
        return run_sql(self, sqlQuery, args, **kwargs)

    sql.__doc__ = run_sql.__doc__
    SparkSession.sql = sql  # type: ignore[method-assign]


def check(spark: Any, query: str) -> None:
    """Raise NotEmulatedError for a statement that adds to a catalog."""
    try:
        plan = spark._jsparkSession.sessionState().sqlParser().parsePlan(_PLACEHOLDER.sub("placeholder", query))
    except Exception:
        return  # Spark reports its error when the statement is run
    statement = _STATEMENTS.get(plan.getClass().getSimpleName())
    if statement is not None and not _is_path(plan):
        raise refused(statement)


def left_behind(spark: Any) -> list[str]:
    """Return the tables and schemas that are in Spark's catalog in spite of this module, by an unknown way."""
    catalog = spark._jsparkSession.sharedState().externalCatalog()
    schemas = [str(name) for name in _elements(catalog.listDatabases())]
    tables = [f"{schema}.{table}" for schema in schemas for table in _elements(catalog.listTables(schema))]
    return [*(schema for schema in schemas if schema != "default"), *tables]


def refused(feature: str) -> NotEmulatedError:
    return NotEmulatedError(f"tables ({feature}), which would be gone with the run: {_INSTEAD}")


def _refusal(name: str) -> Callable[..., Any]:
    def refuse(self: Any, *arguments: Any, **options: Any) -> Any:
        raise refused(name)

    return refuse


def _is_path(plan: Any) -> bool:
    """Whether the statement names a table by its address, delta.`abfss://…`."""
    children = list(_elements(plan.children()))
    target = children[0] if children else None
    if target is None:
        return False
    kind = target.getClass().getSimpleName()
    if kind == "UnresolvedIdentifier":
        parts = [str(part) for part in _elements(target.nameParts())]
    elif kind == "UnresolvedRelation":
        parts = [str(part) for part in _elements(target.multipartIdentifier())]
    else:
        return False
    return len(parts) == 2 and parts[0].lower() == "delta" and "/" in parts[1]


def _elements(sequence: Any) -> list[Any]:
    return [sequence.apply(index) for index in range(sequence.size())]
