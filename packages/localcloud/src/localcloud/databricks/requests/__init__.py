"""The requests that Databricks takes, as databricks-sdk's own types state them."""
