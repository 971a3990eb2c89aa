"""The seam between MLflow's server, which Azure ML runs, and Databricks, whose workspaces have their own tracking."""

from __future__ import annotations

from typing import Any, Protocol

from localcloud.core.resource import Resource


class TrackingServer(Protocol):
    """An MLflow server with a workspace for each Azure ML and Databricks workspace: azureml.mlflow.client.Mlflow."""

    async def call(
        self,
        workspace: Resource,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the answer to a REST call: `path` such as "runs/create". Raises ServiceError with MLflow's code."""
        ...
