"""Session for the tests of localcloud's services: a signed-in caller of a running localcloud, by real Azure clients."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
import requests
from azure.identity import ClientSecretCredential

from localcloud.core.json import Json
from localcloud.core.settings import SUBSCRIPTION_ID

ROLES = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "AzureML Data Scientist": "f6c7c914-8db3-469d-8ca1-694a8f32e121",
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Delegator": "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Key Vault Administrator": "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "Key Vault Secrets Officer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Secrets User": "4633458b-17de-408a-b874-0445c86b69e6",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Azure AI Enterprise Network Connection Approver": "b556d68e-0be0-4f35-a333-ad7ee1ce17ea",
    "Key Vault Crypto Officer": "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Key Vault Crypto User": "12338af0-0e69-4776-bea7-57ae8d297424",
}


@dataclass(frozen=True)
class AzureSession:
    """The deployer, as a shell after `eval "$(localcloud env)"` has it."""

    credential: ClientSecretCredential
    subscription_id: str
    tenant_id: str
    object_id: str

    @property
    def subscription(self) -> str:
        return f"/subscriptions/{self.subscription_id}"

    def arm(self, method: str, path: str, version: str, body: Json | None = None, **query: str) -> requests.Response:
        """Send a plain request to management.azure.com, to see statuses, headers and error bodies."""
        token = self.credential.get_token("https://management.azure.com/.default").token
        return requests.request(
            method,
            f"https://management.azure.com{path}",
            params={"api-version": version, **query} if version else query,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=60,
        )

    def put(self, path: str, version: str, body: Json) -> Json:
        """PUT and wait until it is done; the resource as GET shows it."""
        answer = self.arm("PUT", path, version, body)
        assert answer.status_code in {200, 201, 202}, answer.text
        if "Location" in answer.headers:
            self.finish(answer)
        content: Json = self.arm("GET", path, version).json()
        return content

    def finish(self, answer: requests.Response) -> requests.Response:
        """Follow Location until it no longer answers 202."""
        token = self.credential.get_token("https://management.azure.com/.default").token
        while answer.status_code in {200, 201, 202} and "Location" in answer.headers:
            answer = requests.get(answer.headers["Location"], headers={"Authorization": f"Bearer {token}"}, timeout=60)
        assert answer.status_code in {200, 204}, answer.text
        return answer

    def assign(self, scope: str, role: str, object_id: str) -> str:
        """Give a role by name at a scope; the assignment's id."""
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        definition = f"{self.subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"
        body = {
            "properties": {
                "principalId": object_id,
                "roleDefinitionId": definition,
                "principalType": "ServicePrincipal",
            }
        }
        return str(self.put(path, "2022-04-01", body)["id"])


def error_of(answer: requests.Response) -> tuple[int, str, str]:
    """(status, code, message) of ARM's envelope."""
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["message"]


@pytest.fixture(scope="session")
def azure(cloud: Any) -> Iterator[AzureSession]:
    """Return the deployer's session, with the environment that `localcloud env` prints."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environment.items():
            patch.setenv(name, value)
        credential = ClientSecretCredential(
            os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]
        )
        token = credential.get_token("https://management.azure.com/.default").token
        claims = jwt.decode(token, options={"verify_signature": False})
        yield AzureSession(credential, SUBSCRIPTION_ID, claims["tid"], claims["oid"])


@pytest.fixture
def group(azure: AzureSession) -> Iterator[str]:
    """Return the id of a resource group of the test's own; delete it afterwards with its content."""
    with resource_group(azure) as id_:
        yield id_


@contextmanager
def resource_group(azure: AzureSession) -> Iterator[str]:
    """Create a resource group and yield its id; delete it afterwards with its content."""
    id_ = f"{azure.subscription}/resourceGroups/rg-{uuid.uuid4().hex[:10]}"
    azure.put(id_, "2024-03-01", {"location": "westeurope"})
    yield id_
    answer = azure.arm("DELETE", id_, "2024-03-01")
    if answer.status_code == 202:
        azure.finish(answer)


def unique(prefix: str) -> str:
    """Return a name that nothing else has, of lowercase letters and digits."""
    return prefix + uuid.uuid4().hex[:10]
