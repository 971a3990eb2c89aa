"""MLflow tracking of a Databricks workspace, which clients reach by MLFLOW_TRACKING_URI=databricks: /api/2.0/mlflow."""
