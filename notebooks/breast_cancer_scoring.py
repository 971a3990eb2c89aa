# Databricks notebook source
# MAGIC %md
# MAGIC # Features of breast_cancer, to be scored
# MAGIC Reads rows without the target, and writes their features, by the training notebook's own function, and the rows
# MAGIC that are refused. Parameters: `abfss://` URIs, the target, keys and the rules that rows have to keep as JSON.
# MAGIC The exit value is JSON: row counts.

# COMMAND ----------

for name in ("input_uri", "output_uri", "target", "keys", "contract"):
    dbutils.widgets.text(name, "")

# COMMAND ----------

import json

from lib.breast_cancer import SCHEMA, features
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

dbutils.notebook.exit(json.dumps({"rows_read": counts.read, "rows_kept": counts.kept, "rows_refused": counts.refused}))
