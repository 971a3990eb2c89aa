# Databricks notebook source
# MAGIC %md
# MAGIC # Feature engineering
# MAGIC Reads the training data strictly, drops rows with missing values, writes the engineered set as Parquet.
# MAGIC Parameters are `abfss://` URIs. The exit value is JSON: rows read and rows kept.

# COMMAND ----------

dbutils.widgets.text("input_uri", "")
dbutils.widgets.text("output_uri", "")

# COMMAND ----------

import json

from lib.diabetes import SCHEMA, complete_rows
from lib.engineering import engineer

counts = engineer(spark, dbutils.widgets.get("input_uri"), dbutils.widgets.get("output_uri"), SCHEMA, complete_rows)

# COMMAND ----------

dbutils.notebook.exit(json.dumps({"rows_read": counts.read, "rows_kept": counts.kept}))
