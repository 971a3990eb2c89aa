"""The Azure ML workspace behind each of MLflow's, and the place of its files. For the MLflow server's process."""

from __future__ import annotations

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from localcloud.azureml.mlflow.workspaces import workspace_id_of
from localcloud.core.database import Database
from localcloud.core.resource import Resource, ResourceStore

_ACCOUNT = "Microsoft.Storage/storageAccounts"


class Places:
    """A view of ARM's store."""

    def __init__(self, database: Database, resources: ResourceStore) -> None:
        self._database = database
        self._resources = resources

    def workspace(self, name: str) -> Resource:
        """Return the Azure ML workspace of MLflow's workspace `name`."""
        id_ = workspace_id_of(self._database, name)
        existing = None if id_ is None else self._resources.get(id_)
        if existing is None:
            raise MlflowException(
                f"No Azure ML workspace stands behind MLflow's workspace '{name}': there is nowhere to keep artifacts.",
                RESOURCE_DOES_NOT_EXIST,
            )
        return existing

    def artifact_store(self, name: str) -> tuple[str, str]:
        """(storage account, container) of workspaceartifactstore."""
        workspace = self.workspace(name)
        return self._datastore(workspace, "workspaceartifactstore")

    def registered_model(self, name: str, model: str, version: str) -> tuple[str, str, str]:
        """(storage account, container, path) of a version that was registered in Azure ML by a datastore path."""
        workspace = self.workspace(name)
        existing = self._resources.get(f"{workspace.id}/models/{model}/versions/{version}")
        place = None if existing is None else existing.private.get("place")
        if place is None:
            raise MlflowException(f"Model '{model}' has no version {version}.", RESOURCE_DOES_NOT_EXIST)
        return str(place["account"]), str(place["container"]), str(place["path"])

    def account_key(self, account: str) -> str:
        existing = self._resources.named(_ACCOUNT, account)
        if existing is None:
            raise MlflowException(f"The storage account '{account}' does not exist.", RESOURCE_DOES_NOT_EXIST)
        return str(existing.private["keys"][0])

    def _datastore(self, workspace: Resource, name: str) -> tuple[str, str]:
        store = self._resources.get(f"{workspace.id}/datastores/{name}")
        if store is None:
            raise MlflowException(f"Workspace '{workspace.name}' has no datastore '{name}'.", RESOURCE_DOES_NOT_EXIST)
        return str(store.properties["accountName"]), str(store.properties["containerName"])
