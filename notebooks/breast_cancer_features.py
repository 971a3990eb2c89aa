# Databricks notebook source
# MAGIC %md
# MAGIC # Features of breast_cancer
# MAGIC Reads the training data strictly and writes the engineered set as Parquet.
# MAGIC Parameters are `abfss://` URIs, and the rules that the data have to keep, as JSON. The exit value is JSON: rows
# MAGIC read, rows kept, and the rules that are broken.

# COMMAND ----------

dbutils.widgets.text("input_uri", "")
dbutils.widgets.text("output_uri", "")
dbutils.widgets.text("contract", "")

# COMMAND ----------

from lib.breast_cancer import SCHEMA, features
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
