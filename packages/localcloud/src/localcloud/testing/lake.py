"""A hierarchical account for the tests of the dfs endpoint, and plain requests to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient
from azure.storage.filedatalake import DataLakeServiceClient, FileSystemClient

from localcloud.testing.azure_session import AzureSession, unique

Headers = dict[str, str] | None
ROLE = "Storage Blob Data Contributor"


@dataclass(frozen=True)
class Lake:
    """An account with the filesystem `data`."""

    azure: AzureSession
    id: str

    @property
    def name(self) -> str:
        return self.id.rsplit("/", 1)[-1]

    @property
    def url(self) -> str:
        return f"https://{self.name}.dfs.core.windows.net"

    @property
    def service(self) -> DataLakeServiceClient:
        return DataLakeServiceClient(self.url, credential=self.azure.credential, retry_total=0)

    @property
    def data(self) -> FileSystemClient:
        return self.service.get_file_system_client("data")

    @property
    def blobs(self) -> ContainerClient:
        """The same container by the blob protocol."""
        return ContainerClient(f"https://{self.name}.blob.core.windows.net", "data", credential=self.azure.credential)

    def ask(self, method: str, path: str, headers: Headers = None, data: bytes = b"") -> requests.Response:
        """Send a request as the deployer."""
        token = self.azure.credential.get_token("https://storage.azure.com/.default").token
        return requests.request(
            method,
            f"{self.url}{path}",
            data=data,
            headers={"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04", **(headers or {})},
            timeout=60,
        )

    def paths(self, directory: str | None = None, *, recursive: bool = True) -> list[str]:
        return [str(path.name) for path in self.data.get_paths(directory, recursive=recursive)]


def make_lake(azure: AzureSession, group: str, *, role: str | None = ROLE, **properties: Any) -> Lake:
    id_ = f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}"
    body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    account_properties = {"isHnsEnabled": True, "allowSharedKeyAccess": False, **properties}
    azure.put(id_, "2024-01-01", {**body, "properties": account_properties})
    azure.put(f"{id_}/blobServices/default/containers/data", "2024-01-01", {"properties": {}})
    if role is not None:
        azure.assign(id_, role, azure.object_id)
    return Lake(azure, id_)


def code_of(error: HttpResponseError) -> str:
    code = vars(error)["error_code"]
    return str(getattr(code, "value", code))


def refusal(answer: requests.Response) -> tuple[int, str]:
    """Status and code, which header and body agree on."""
    code = answer.headers["x-ms-error-code"]
    if answer.request.method != "HEAD":
        assert answer.json()["error"]["code"] == code
        assert answer.json()["error"]["message"]
    return answer.status_code, code
