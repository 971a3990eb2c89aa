# Databricks notebook source
# MAGIC %md
# MAGIC # Feature engineering
# MAGIC Reads the training data strictly, drops rows with missing values, writes the engineered set as Parquet.
# MAGIC Parameters are `abfss://` URIs, and the rules that the data have to keep, as JSON. The exit value is JSON: rows
# MAGIC read, rows kept, and the rules that are broken.

# COMMAND ----------

dbutils.widgets.text("input_uri", "")
dbutils.widgets.text("output_uri", "")
dbutils.widgets.text("contract", "")

# COMMAND ----------

from lib.diabetes import SCHEMA, complete_rows
from lib.engineering import engineer

outcome = engineer(
    spark,
    dbutils.widgets.get("input_uri"),
    dbutils.widgets.get("output_uri"),
    SCHEMA,
    complete_rows,
    dbutils.widgets.get("contract"),
)

# COMMAND ----------

dbutils.notebook.exit(str(outcome))
