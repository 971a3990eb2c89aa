"""The only module that makes clients, each at its first use: azure.ai.ml alone takes seconds to import."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from contract.outputs import PlatformOutputs
from mlops.arm import Arm
from mlops.blobs import Blobs
from mlops.errors import MissingError
from mlops.specifications import TrainingPipeline
from mlops.workspace_files import WorkspaceFiles

if TYPE_CHECKING:
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import ContainerClient
    from azure.storage.filedatalake import FileSystemClient
    from databricks.sdk import WorkspaceClient

_DATABRICKS_SCOPE = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d/.default"  # the AzureDatabricks application, in every tenant


class Clients:
    """Clients of one stack for one of its training pipelines, all signed in as the caller."""

    def __init__(self, outputs: PlatformOutputs, pipeline: TrainingPipeline) -> None:
        self.outputs = outputs
        self.pipeline = pipeline

    @property
    def options(self) -> str:
        """Options of a verb that works on the same stack and pipeline, for messages with a command."""
        return f"--stack {self.outputs.environment} --pipeline {self.pipeline.name}"

    @property
    def endpoint(self) -> str:
        """Name of the batch endpoint that invokes the pipeline. Raises MissingError when the stack has none for it."""
        if self.pipeline.has_first_endpoint:
            return self.outputs.batch_endpoint
        return self._own(self.outputs.pipeline_endpoints, "endpoint")

    @property
    def online_endpoint(self) -> str:
        """Name of the pipeline's online endpoint. Raises MissingError when the stack has none for it."""
        return self._own(self.outputs.online_endpoints, "online endpoint")

    def _own(self, names: Mapping[str, str], kind: str) -> str:
        try:
            return names[self.pipeline.name]
        except KeyError:
            raise MissingError(
                f"The stack {self.outputs.environment} has no {kind} for the pipeline {self.pipeline.name}: bring it "
                "up with `pulumi up`."
            ) from None

    @cached_property
    def credential(self) -> DefaultAzureCredential:
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential()

    @cached_property
    def arm(self) -> Arm:
        return Arm(self.credential)

    @cached_property
    def ml(self) -> Any:
        """azure.ai.ml.MLClient of the workspace; the library has no types."""
        return self._ml(workspace_name=self.outputs.workspace_name)

    def registry(self, name: str) -> Any:
        """azure.ai.ml.MLClient of a registry."""
        return self._ml(registry_name=name)

    def _ml(self, **place: str) -> Any:
        from azure.ai.ml import MLClient

        # It calls half of its own classes experimental, once each.
        logging.getLogger("azure.ai.ml").setLevel(logging.ERROR)
        out = self.outputs
        return MLClient(self.credential, out.subscription_id, out.resource_group, show_progress=False, **place)

    @property
    def workspace_id(self) -> str:
        """ARM id of the Azure ML workspace."""
        out = self.outputs
        group = f"/subscriptions/{out.subscription_id}/resourceGroups/{out.resource_group}"
        return f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{out.workspace_name}"

    @cached_property
    def training(self) -> ContainerClient:
        from azure.storage.blob import ContainerClient

        out = self.outputs
        account = f"https://{out.training_account}.blob.core.windows.net"
        return ContainerClient(account, out.training_container, credential=self.credential)

    @cached_property
    def blobs(self) -> Blobs:
        """Small blobs of the same container."""
        return Blobs(self.credential, self.outputs.training_account, self.outputs.training_container)

    @cached_property
    def training_lake(self) -> FileSystemClient:
        """The same container by the dfs protocol, which renames folders."""
        from azure.storage.filedatalake import FileSystemClient

        out = self.outputs
        account = f"https://{out.training_account}.dfs.core.windows.net"
        return FileSystemClient(account, out.training_container, credential=self.credential)

    @cached_property
    def workspace_files(self) -> WorkspaceFiles:
        """Files of the Databricks workspace, without the SDK."""
        return WorkspaceFiles(self.outputs.databricks_host, lambda: self.credential.get_token(_DATABRICKS_SCOPE).token)

    @cached_property
    def databricks(self) -> WorkspaceClient:
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.core import Config, CredentialsProvider, CredentialsStrategy

        credential = self.credential

        class Entra(CredentialsStrategy):
            def auth_type(self) -> str:
                return "azure-identity"

            def __call__(self, cfg: Config) -> CredentialsProvider:
                return lambda: {"Authorization": f"Bearer {credential.get_token(_DATABRICKS_SCOPE).token}"}

        return WorkspaceClient(config=Config(host=self.outputs.databricks_host, credentials_strategy=Entra()))
