"""Databricks notebooks, thin over `lib`, which is uploaded beside them."""
