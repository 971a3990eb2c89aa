"""The texts of a new pipeline's files. A name of a column is in them as a quoted literal of the file's language."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml

from mlops.scaffold import contracts
from mlops.scaffold.columns import Column

_GATES: dict[str, list[dict[str, Any]]] = {
    "regression": [{"name": "rmse"}, {"name": "r2", "minimum": 0.0}, {"name": "mae"}],
    "classification": [{"name": "balanced_accuracy", "minimum": 0.5}, {"name": "accuracy"}, {"name": "f1"}],
}
TASKS = tuple(_GATES)
_SERVING_HINT = """\
# An endpoint that answers requests with the version that serves. Its instances cost around the clock.
# serve: online
"""
_ESTIMATORS = {
    "regression": ("from sklearn.linear_model import Ridge", "Ridge(alpha=float(parameters['alpha']))"),
    "classification": (
        "from sklearn.linear_model import LogisticRegression",
        "LogisticRegression(C=1 / float(parameters['alpha']), max_iter=1000)",
    ),
}


def specification(
    name: str, task: str, target: str, data: str, columns: Sequence[Column], rows: int, *, online: bool = False
) -> str:
    """Return pipeline.yml. `rows` is the number of rows of the data; `online`: an endpoint answers requests."""
    content = {
        "description": f"Predicts {target}." if target.isidentifier() else "Predicts the target.",
        "model": name,
        "task": task,
        "target": target,
        "notebook": f"{name}_features",
        "data": data,
        "data_contract": contracts.draft(columns, rows, target, task),
        "split": {"held_out": 0.2, "by": [column.name for column in columns]},
        "parameters": {
            "alpha": {
                "type": "number", "default": 1.0, "minimum": 1e-6, "description": "Strength of the regularization.",
            }
        },
        "gate": {"metrics": _GATES[task], "confidence": 0.9, "when_not_comparable": "refuse"},
        "score": {"notebook": f"{name}_scoring", "input": f"scoring/in/{name}", "keys": []},
        "watch": {
            "drift": 0.25, "prediction_drift": 0.25, "missing": 0.1, "new_categories": 0.05, "refused": 0.05,
            "leave_out": _record_numbers(columns, target, rows),
        },
    }  # fmt: skip
    if online:
        content["serve"] = "online"
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None)
    hint = "" if online else _SERVING_HINT
    return f"# yaml-language-server: $schema=../pipeline.schema.json\n{text}{hint}"


def _record_numbers(columns: Sequence[Column], target: str, rows: int) -> list[str]:
    """Return the columns that number the records: another file has other numbers, which are no drift."""
    whole = ("IntegerType", "LongType")
    return [
        column.name
        for column in columns
        if column.name != target and column.kind in whole and column.distinct == rows and column.missing == 0
    ]


def train_component(name: str) -> str:
    """Return the train component's component.yml."""
    return f"""$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: train_{name}
display_name: Train
description: Fits the model on the rows of the training side and keeps the others to be held against it.
inputs:
  engineered:
    type: uri_folder
    description: The engineered set, as Parquet.
  checked:
    type: uri_folder
    description: Results of the check of the data, which training waits for.
  specification:
    type: string
    description: The pipeline's specification, as JSON.
  alpha:
    type: number
    default: 1.0
    description: Strength of the regularization.
outputs:
  model:
    type: mlflow_model
  held_out:
    type: uri_folder
    description: The held-out rows, as one Parquet file.
code: ./src
additional_includes:
  - ../../../../../steps
# No literal input is in a command: docs/adr/0020 has the reason. The program reads AZUREML_PARAMETER_<name>.
command: >-
  python train.py
  --engineered ${{{{inputs.engineered}}}}
  --model ${{{{outputs.model}}}}
  --held-out ${{{{outputs.held_out}}}}
# Azure ML reuses the outputs of a step on the same rows and parameters. Write false if fit() is left to chance.
is_deterministic: true
environment: azureml:dataopsml-training:1
"""


def train_program(task: str) -> str:
    """Return train.py."""
    imported, estimator = _ESTIMATORS[task]
    return f'''"""Fit a linear model on scaled numbers and one-hot encoded texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
{imported}
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from steps import training
from steps.specification import ParameterValue


def fit(features: pd.DataFrame, target: pd.Series[Any], parameters: Mapping[str, ParameterValue]) -> Any:
    """Return the fitted model."""
    columns = make_column_transformer(
        (StandardScaler(), make_column_selector(dtype_include="number")),
        (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
    )
    estimator = {estimator.replace("'", '"')}
    return make_pipeline(columns, estimator).fit(features, target)


if __name__ == "__main__":
    training.run(fit, __doc__)
'''


def notebook(name: str) -> str:
    """Return the notebook, as source."""
    return f"""# Databricks notebook source
# MAGIC %md
# MAGIC # Features of {name}
# MAGIC Reads the training data strictly and writes the engineered set as Parquet.
# MAGIC Parameters are `abfss://` URIs, and the rules that the data have to keep, as JSON. The exit value is JSON: rows
# MAGIC read, rows kept, and the rules that are broken.

# COMMAND ----------

dbutils.widgets.text("input_uri", "")
dbutils.widgets.text("output_uri", "")
dbutils.widgets.text("contract", "")

# COMMAND ----------

from lib.{name} import SCHEMA, features
from lib.engineering import engineer

outcome = engineer(
    spark,
    dbutils.widgets.get("input_uri"),
    dbutils.widgets.get("output_uri"),
    SCHEMA,
    features,
    dbutils.widgets.get("contract"),
)

# COMMAND ----------

dbutils.notebook.exit(str(outcome))
"""


def scoring_notebook(name: str) -> str:
    """Return the notebook that prepares rows for scoring, as source."""
    return f"""# Databricks notebook source
# MAGIC %md
# MAGIC # Features of {name}, to be scored
# MAGIC Reads rows without the target, and writes their features, by the training notebook's own function, and the rows
# MAGIC that are refused. Parameters: `abfss://` URIs, the target, keys and the rules that rows have to keep as JSON.
# MAGIC The exit value is JSON: row counts.

# COMMAND ----------

for name in ("input_uri", "output_uri", "target", "keys", "contract"):
    dbutils.widgets.text(name, "")

# COMMAND ----------

import json

from lib.{name} import SCHEMA, features
from lib.scoring import Columns, prepare

columns = Columns(SCHEMA, dbutils.widgets.get("target"), json.loads(dbutils.widgets.get("keys")))
counts = prepare(
    spark,
    dbutils.widgets.get("input_uri"),
    dbutils.widgets.get("output_uri"),
    columns,
    features,
    dbutils.widgets.get("contract"),
)

# COMMAND ----------

rows = {{"rows_read": counts.read, "rows_kept": counts.kept, "rows_refused": counts.refused}}
dbutils.notebook.exit(json.dumps(rows))
"""


def library(name: str, columns: Sequence[Column]) -> str:
    """Return the notebook's module with the schema and the features."""
    kinds = ", ".join(sorted({column.kind for column in columns} | {"StructField", "StructType"}))
    fields = "\n".join(f"        StructField({_literal(column.name)}, {column.kind}())," for column in columns)
    return f'''"""Columns of the data of {name}, and features made from them."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql.types import {kinds}

SCHEMA = StructType(
    [
{fields}
    ]
)
"""Columns of the CSV file, in its order."""


def features(rows: DataFrame) -> DataFrame:
    """Return the rows in which no column is missing."""
    return rows.dropna(how="any")
'''


def spark_test(name: str) -> str:
    """Return a test of the notebook's module."""
    imports = "\n".join(sorted(
        (f"from notebooks.lib.{name} import SCHEMA, features", "from notebooks.lib.engineering import engineer")
    ))  # fmt: skip
    return f'''"""The features of {name}, on its own training data, which keep its data contract."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from mlops import specifications
{imports}

PIPELINE = specifications.load("{name}")


def test_the_training_data_become_features(spark: SparkSession, tmp_path: Path) -> None:
    contract = PIPELINE.specification.data_contract.notebook_json(PIPELINE.specification.target)

    outcome = engineer(spark, str(PIPELINE.data), f"{{tmp_path}}/out", SCHEMA, features, contract)

    assert outcome.broken == ()
    assert 0 < outcome.kept <= outcome.read
    assert spark.read.parquet(f"{{tmp_path}}/out").count() == outcome.kept
'''


def _literal(text: str) -> str:
    """Return a text as a literal of Python, in the quotes that ruff's formatter gives it.

    JSON's is one, but for its escapes of letters beyond 16 bits.
    """
    literal = json.dumps(text, ensure_ascii=False)
    if text.count('"') <= text.count("'"):
        return literal
    inner = literal[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"
