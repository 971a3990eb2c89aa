# Databricks notebook source
# MAGIC %md
# MAGIC # Features of breast_cancer
# MAGIC Reads the training data strictly and writes the engineered set as Parquet.
# MAGIC Parameters are `abfss://` URIs. The exit value is JSON: rows read and rows kept.

# COMMAND ----------

dbutils.widgets.text("input_uri", "")
dbutils.widgets.text("output_uri", "")

# COMMAND ----------

import json

from lib.breast_cancer import SCHEMA, features
from lib.engineering import engineer

counts = engineer(spark, dbutils.widgets.get("input_uri"), dbutils.widgets.get("output_uri"), SCHEMA, features)

# COMMAND ----------

dbutils.notebook.exit(json.dumps({"rows_read": counts.read, "rows_kept": counts.kept}))
