"""No request fails localcloud: the answer to any request is no 5xx but 501, which names the missing operation."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID, Settings
from localcloud.gateway import deployer
from localcloud.gateway.faults import Faults
from localcloud.gateway.services import build
from localcloud.testing.cloud import Cloud, running_cloud
from localcloud.testing.malformed import Malformed, Places, operations, requests

_SEED = int(os.environ.get("FUZZ_SEED", "20261129"))


class _Client:
    """Sender of requests that a vendor's client would not send; it reopens a closed connection."""

    def __init__(self, cloud: Cloud) -> None:
        self._port = cloud.settings.gateway_port
        self._deployer = deployer.read(cloud.settings)
        self._tokens: dict[str, str] = {}
        self._connection = self._connected()

    def send(self, method: str, host: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        for attempt in range(2):
            try:
                return self._sent(method, host, url, headers, body)
            except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
                self._connection.close()
                self._connection = self._connected()
                if attempt:
                    raise
        raise AssertionError("unreachable")

    def _connected(self) -> http.client.HTTPSConnection:
        context = ssl._create_unverified_context()  # noqa: S323 - the gateway's own certificate
        return http.client.HTTPSConnection("127.0.0.1", self._port, context=context, timeout=120)

    def _sent(self, method: str, host: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self._connection.putrequest(method, url, skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": host, "content-length": str(len(body)), **headers}.items():
            self._connection.putheader(name, value.encode("latin-1"))
        self._connection.endheaders(body)
        response = self._connection.getresponse()
        return response.status, response.read()

    def token(self, audience: str) -> str:
        if audience not in self._tokens:
            form = {
                "grant_type": "client_credentials", "client_id": self._deployer.client_id,
                "client_secret": self._deployer.client_secret, "scope": f"{audience}/.default",
            }  # fmt: skip
            url = f"/{TENANT_ID}/oauth2/v2.0/token"
            headers = {"content-type": "application/x-www-form-urlencoded"}
            status, body = self.send("POST", "login.microsoftonline.com", url, headers, urlencode(form).encode())
            assert status == 200, body
            self._tokens[audience] = json.loads(body)["access_token"]
        return self._tokens[audience]

    def arm(self, method: str, path: str, version: str, body: Any = None) -> Any:
        headers = {
            "authorization": f"Bearer {self.token('https://management.azure.com/')}",
            "content-type": "application/json",
        }
        raw = b"" if body is None else json.dumps(body).encode()
        status, answer = self.send(method, "management.azure.com", f"{path}?api-version={version}", headers, raw)
        assert status < 300, answer
        return json.loads(answer or b"null")

    def put(self, path: str, version: str, body: Any) -> Any:
        """Return the resource when it is made."""
        self.arm("PUT", path, version, body)
        deadline = time.monotonic() + 120
        while True:
            resource = self.arm("GET", path, version)
            state = resource.get("properties", {}).get("provisioningState", "Succeeded")
            if state == "Succeeded":
                return resource
            assert state not in {"Failed", "Canceled"}, resource
            assert time.monotonic() < deadline, resource
            time.sleep(0.1)


@pytest.fixture(scope="module")
def own_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Start a localcloud that no other test uses: these requests may delete and close anything."""
    with running_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def client(own_cloud: Cloud) -> _Client:
    return _Client(own_cloud)


@pytest.fixture(scope="module")
def places(client: _Client) -> Places:
    """Make a resource of each kind with a host of its own."""
    group = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg-fuzz"
    client.put(group, "2024-03-01", {"location": "westeurope"})
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/stfuzz"
    sku = {"name": "Standard_LRS"}
    client.put(
        account, "2024-01-01",
        {"location": "westeurope", "kind": "StorageV2", "sku": sku},
    )  # fmt: skip
    client.put(f"{account}/blobServices/default/containers/data", "2024-01-01", {"properties": {}})
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/kv-fuzz"
    properties: dict[str, Any] = {
        "tenantId": TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
    }  # fmt: skip
    client.put(vault, "2023-07-01", {"location": "westeurope", "properties": properties})
    registry = f"{group}/providers/Microsoft.ContainerRegistry/registries/crfuzz"
    client.put(registry, "2023-07-01", {"location": "westeurope", "sku": {"name": "Premium"}})
    object_id = _object_id(client)
    for role, name in (("ba92f5b4-2d11-453d-a403-e96b0029c9fe", "1"), ("00482a5a-887f-4fb3-b363-3b7fe8e74483", "2")):
        definition = f"/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        assignment = f"{group}/providers/Microsoft.Authorization/roleAssignments/{name * 8}-1111-1111-1111-{name * 12}"
        client.put(assignment, "2022-04-01", {"properties": {"roleDefinitionId": definition, "principalId": object_id}})
    managed = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg-fuzz-databricks"
    databricks = client.put(
        f"{group}/providers/Microsoft.Databricks/workspaces/dbw-fuzz", "2024-05-01",
        {"location": "westeurope", "sku": {"name": "premium"}, "properties": {"managedResourceGroupId": managed}},
    )  # fmt: skip
    workspace = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/aml-fuzz"
    client.put(
        workspace, "2024-10-01",
        {
            "location": "westeurope", "identity": {"type": "SystemAssigned"},
            "properties": {"storageAccount": account, "keyVault": vault, "systemDatastoresAuthMode": "Identity"},
        },
    )  # fmt: skip
    return Places(group, "stfuzz", "data", "kv-fuzz", "crfuzz", databricks["properties"]["workspaceUrl"], workspace)


def _object_id(client: _Client) -> str:
    import jwt

    claims = jwt.decode(client.token("https://management.azure.com/"), options={"verify_signature": False})
    return str(claims["oid"])


@pytest.mark.parametrize("count", [600, pytest.param(5000, marks=pytest.mark.nightly)])
def test_no_request_fails_localcloud(
    client: _Client, places: Places, tmp_path_factory: pytest.TempPathFactory, count: int
) -> None:
    folder = tmp_path_factory.mktemp("services")
    services = build(Settings(home=folder, cache=folder), Faults([]))
    routes = operations(services, places)
    services.context.database.close()
    assert len(routes) > 900, "all hosts are among them"
    statuses: Counter[int] = Counter()
    failures: list[str] = []
    for request in requests(routes, _SEED, count):
        status, answer = _answered(client, request)
        statuses[status] += 1
        if status >= 500 and status != 501:
            operation = request.operation
            line = f"{status} {operation.method} https://{operation.host}{request.url[:300]} {dict(request.headers)}"
            failures.append(f"{line[:600]} {request.body[:300]!r}: {answer[:500]!r}")
    assert not failures, "\n".join([f"{len(failures)} of {count}, {dict(statuses)}", *failures])
    assert statuses[200] > count / 100, "some of them are good enough"
    assert statuses[400] > count / 10, statuses


def _answered(client: _Client, request: Malformed) -> tuple[int, bytes]:
    operation = request.operation
    headers = {"content-type": "application/json", "x-ms-version": "2024-11-04", **request.headers}
    if operation.audience:
        headers["authorization"] = f"Bearer {client.token(operation.audience)}"
    return client.send(operation.method, operation.host, request.url, headers, request.body)
