"""The databricks provider: Pulumi resources as Databricks REST requests, one small class a resource type."""
