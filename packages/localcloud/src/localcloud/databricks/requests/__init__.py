"""Requests of Databricks, with databricks-sdk's own types."""
