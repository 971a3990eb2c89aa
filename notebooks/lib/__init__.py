"""Work of the notebooks, as plain functions over DataFrames: tested without Databricks."""
