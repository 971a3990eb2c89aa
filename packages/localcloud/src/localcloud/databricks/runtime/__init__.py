"""The program of a driver process: the notebook, its `spark` and its `dbutils`. Imports nothing of the gateway."""
