"""A workspace that jobs can run in, made once: storage without keys, an identity with its role, a cluster."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment
from azure.storage.blob import BlobServiceClient

from localcloud.core.json import Json
from localcloud.testing.azure_session import AzureSession, unique

ML = "2024-10-01"
IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:latest"
_PACKAGES = (
    "azure-core", "azure-identity", "cloudpickle", "databricks-sdk", "pandas", "pyarrow", "pyyaml", "scikit-learn",
    "skops",
)  # fmt: skip
_ONLY_IN_JOBS = ("azureml-mlflow==1.62.0.post6", "mlflow-skinny==3.15.0")
TERMINAL = {"Completed", "Failed", "Canceled"}


@dataclass(frozen=True)
class MlWorkspace:
    """`client` is the vendor's, signed in as the deployer; `identity` is ARM's answer on the cluster's identity."""

    azure: AzureSession
    id: str
    account: str
    account_id: str
    identity_id: str
    identity: Json
    client: MLClient
    compute: str
    environment: str

    @property
    def name(self) -> str:
        return self.id.rsplit("/", 1)[-1]

    @property
    def group(self) -> str:
        return self.id.split("/providers/")[0]

    @property
    def data_plane(self) -> str:
        return "https://westeurope.api.azureml.ms"

    def token(self, audience: str = "https://ml.azure.com") -> str:
        return self.azure.credential.get_token(f"{audience}/.default").token

    def blobs(self) -> BlobServiceClient:
        return BlobServiceClient(f"https://{self.account}.blob.core.windows.net", credential=self.azure.credential)

    def finished(self, name: str, seconds: float = 120) -> Any:
        """Return the job when it is over."""
        return wait_for(lambda: self.client.jobs.get(name), lambda job: job.status in TERMINAL, seconds)

    def in_state(self, name: str, state: str, seconds: float = 60) -> Any:
        return wait_for(lambda: self.client.jobs.get(name), lambda job: job.status == state, seconds)


def wait_for(get: Callable[[], Any], holds: Callable[[Any], bool], seconds: float = 60) -> Any:
    """Return the value of `get` once `holds` is true of it; a failure's message has the last value."""
    deadline = time.monotonic() + seconds
    while True:
        answer = get()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not so within {seconds} s; the last was {answer}"
        time.sleep(0.1)


def make_workspace(azure: AzureSession, name: str, nodes: int = 2, *, granted: bool = True) -> MlWorkspace:
    """Make a workspace with everything that it needs, in a resource group of its own."""
    group = f"{azure.subscription}/resourceGroups/rg-{name}"
    azure.put(group, "2024-03-01", {"location": "westeurope"})
    account = unique("st")
    account_id = f"{group}/providers/Microsoft.Storage/storageAccounts/{account}"
    azure.put(
        account_id, "2024-01-01",
        {
            "location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
            "properties": {"allowSharedKeyAccess": False, "minimumTlsVersion": "TLS1_2"},
        },
    )  # fmt: skip
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/{unique('kv')}"
    azure.put(
        vault, "2023-07-01",
        {
            "location": "westeurope",
            "properties": {
                "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"},
                "enableRbacAuthorization": True,
            },
        },
    )  # fmt: skip
    identity_id = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-{name}"
    identity = azure.put(identity_id, "2023-01-31", {"location": "westeurope"})["properties"]
    azure.assign(account_id, "Storage Blob Data Contributor", azure.object_id)
    if granted:
        azure.assign(account_id, "Storage Blob Data Contributor", identity["principalId"])
    workspace = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{name}"
    azure.put(
        workspace, ML,
        {
            "location": "westeurope", "identity": {"type": "SystemAssigned"},
            "properties": {
                "storageAccount": account_id, "keyVault": vault, "systemDatastoresAuthMode": "Identity",
            },
        },
    )  # fmt: skip
    azure.put(
        f"{workspace}/computes/cpu", ML,
        {
            "location": "westeurope",
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity_id: {}}},
            "properties": {
                "computeType": "AmlCompute",
                "properties": {
                    "vmSize": "STANDARD_DS3_V2", "scaleSettings": {"minNodeCount": 0, "maxNodeCount": nodes},
                },
            },
        },
    )  # fmt: skip
    client = MLClient(azure.credential, azure.subscription_id, f"rg-{name}", name)
    environment = client.environments.create_or_update(
        Environment(name="training", version="1", image=IMAGE, conda_file=conda_file())
    )
    return MlWorkspace(
        azure, workspace, account, account_id, identity_id, identity, client, "cpu", f"azureml:{environment.name}:1"
    )


def conda_file() -> dict[str, Any]:
    """Return an environment on Python 3.12 with the versions that are installed here, and Azure ML's own MLflow."""
    pins = [f"{name}=={importlib.metadata.version(name)}" for name in _PACKAGES]
    dependencies: list[Any] = ["python=3.12", "pip", {"pip": [*pins, *_ONLY_IN_JOBS]}]
    return {"name": "training", "channels": ["conda-forge"], "dependencies": dependencies}


@pytest.fixture(scope="session")
def ml(azure: AzureSession) -> Iterator[MlWorkspace]:
    """Shared by all tests of jobs and models: their names are their own."""
    workspace = make_workspace(azure, unique("aml-"))
    yield workspace
    answer = azure.arm("DELETE", workspace.id, ML, forceToPurge="true")
    azure.finish(answer)
    azure.finish(azure.arm("DELETE", workspace.group, "2024-03-01"))
