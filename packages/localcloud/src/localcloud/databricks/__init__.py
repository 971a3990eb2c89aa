"""An Azure Databricks workspace: REST API 2.0 to 2.2, and notebook runs in real Spark."""
