"""What the notebooks do, as plain functions over DataFrames: tested without Databricks."""
