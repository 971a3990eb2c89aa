"""What a platform owner makes in Azure before the first run: state containers, identities, credentials, roles.

Plain ARM calls as the owner that the environment signs in; twice is as good as once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from azure.identity import EnvironmentCredential

from pipeline_runner import az
from pipeline_runner.errors import RehearsalError
from pipeline_runner.issuer import AUDIENCE, Issuer
from pipeline_runner.organisation import Connection, Organisation

_GROUP = "rg-dataopsml-identities"
_ROLES = {
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Locks Contributor": "28bf596f-4eb7-45ce-b5bc-6cf482fec137",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
}
_SHELL = 'a rehearsal runs in a shell with `eval "$(make env)"`.'
# Of the owner's shell; a job signs in as its service connection or not at all, and its variable group says where.
_OWNER = (
    "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "ARM_CLIENT_ID",
    "ARM_CLIENT_SECRET", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID", "PULUMI_BACKEND_URL",
)  # fmt: skip


def check_shell() -> None:
    """Raises RehearsalError when this process's environment leads to no cloud, or has no engine."""
    for name in ("ARM_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "ARM_CLOUD_METADATA_URL"):
        if not os.environ.get(name):
            raise RehearsalError(f"{name} is not set: {_SHELL}")
    if shutil.which("pulumi") is None:
        raise RehearsalError(f"pulumi is not on PATH: `make rehearse` installs it once; {_SHELL}")


class Cloud:
    """The subscription that the environment leads to, set up for an organisation's pipelines."""

    def __init__(self, organisation: Organisation, issuer: Issuer) -> None:
        self._organisation, self._issuer = organisation, issuer
        self._subscription = f"/subscriptions/{os.environ['ARM_SUBSCRIPTION_ID']}"
        self._credential = EnvironmentCredential()
        self._client = httpx.Client(base_url="https://management.azure.com", timeout=120, verify=_certificates())
        self._clients: dict[str, str] = {}
        self._principals: dict[str, str] = {}

    def prepare(self, checkout: Path) -> Mapping[str, Mapping[str, str]]:
        """Make what is missing, the stacks' empty states too; returns the variable groups.

        Raises RehearsalError with ARM's own words.
        """
        some = next(iter(self._organisation.groups.values()))
        account = (
            f"{self._subscription}/resourceGroups/{some['BACKEND_RESOURCE_GROUP']}"
            f"/providers/Microsoft.Storage/storageAccounts/{some['BACKEND_STORAGE_ACCOUNT']}"
        )
        self._call("GET", account, "2024-01-01")
        for container in self._organisation.containers:
            self._call(
                "PUT", f"{account}/blobServices/default/containers/{container}", "2024-01-01", {"properties": {}}
            )
        group = f"{self._subscription}/resourceGroups/{_GROUP}"
        self._call("PUT", group, "2024-03-01", {"location": some["LOCATION"]})
        for connection in self._organisation.connections.values():
            self._identity(group, account, connection, some["LOCATION"])
        for group_name, variables in self._organisation.groups.items():
            self._stack(group_name.removeprefix("dataopsml-"), variables, checkout)
        return {name: self._principals_of(name) | dict(one) for name, one in self._organisation.groups.items()}

    def shell(self) -> dict[str, str]:
        """Return the environment of every job: this one without anybody's sign-in."""
        return {name: value for name, value in os.environ.items() if name not in _OWNER}

    def connect(self, name: str, folder: Path) -> Mapping[str, str]:
        """Sign the Azure CLI in and return what AzureCLI@2 gives a script.

        Raises RehearsalError for an unknown service connection.
        """
        connection = self._organisation.connections.get(name)
        if connection is None:
            known = ", ".join(self._organisation.connections)
            raise RehearsalError(f"There is no service connection {name!r}. Known: {known}.")
        client, tenant = self._clients[connection.identity], os.environ["AZURE_TENANT_ID"]
        token = self._issuer.token(self._issuer.subject(connection.id))
        stacks = os.environ["ARM_SUBSCRIPTION_ID"]
        subscriptions = list(dict.fromkeys([connection.subscription or stacks, stacks]))
        session = az.sign_in(folder / connection.id, client, tenant, subscriptions, token)
        return {
            "servicePrincipalId": client, "tenantId": tenant, "idToken": token,
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": connection.id, "AZURESUBSCRIPTION_CLIENT_ID": client,
            "AZURESUBSCRIPTION_TENANT_ID": tenant, "AZURE_CONFIG_DIR": str(session),
            "PATH": f"{az.install(folder)}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

    def _stack(self, stack: str, variables: Mapping[str, str], checkout: Path) -> None:
        """As the owner, so that previews need only read the state. Locally a passphrase, in Azure a Key Vault key."""
        account = variables["BACKEND_STORAGE_ACCOUNT"]
        backend = f"azblob://{variables['BACKEND_CONTAINER']}?storage_account={account}"
        done = subprocess.run(
            ["pulumi", "stack", "select", stack, "--create", "--non-interactive"],
            cwd=checkout, env={**os.environ, "PULUMI_BACKEND_URL": backend},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RehearsalError(f"Stack {stack} cannot be made in {backend}: {done.stderr.strip()}")

    def _identity(self, group: str, account: str, connection: Connection, location: str) -> None:
        id_ = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{connection.identity}"
        made = self._call("PUT", id_, "2023-01-31", {"location": location})
        subject = self._issuer.subject(connection.id)
        credential = {"issuer": self._issuer.url, "subject": subject, "audiences": [AUDIENCE]}
        self._call("PUT", f"{id_}/federatedIdentityCredentials/azure-devops", "2023-01-31", {"properties": credential})
        self._clients[connection.identity] = made["properties"]["clientId"]
        self._principals[connection.name] = made["properties"]["principalId"]
        for role, where in connection.roles:
            kind, _, container = where.partition(":")
            scope = (
                self._subscription
                if kind == "subscription"
                else f"{account}/blobServices/default/containers/{container}"
            )
            self._assign(made["properties"]["principalId"], role, scope)

    def _principals_of(self, group: str) -> dict[str, str]:
        wanted = self._organisation.principals.get(group, {})
        unknown = [connection for connection in wanted.values() if connection not in self._principals]
        if unknown:
            raise RehearsalError(f"Variable group {group} names connections that there are not: {', '.join(unknown)}.")
        return {name: self._principals[connection] for name, connection in wanted.items()}

    def _assign(self, principal: str, role: str, scope: str) -> None:
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}|{principal}|{role}")
        definition = f"{self._subscription}/providers/Microsoft.Authorization/roleDefinitions/{_ROLES[role]}"
        body = {"principalId": principal, "principalType": "ServicePrincipal", "roleDefinitionId": definition}
        self._call(
            "PUT",
            f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}",
            "2022-04-01",
            {"properties": body},
        )

    def _call(self, method: str, path: str, version: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        token = self._credential.get_token("https://management.azure.com/.default").token
        answer = self._client.request(
            method, path, params={"api-version": version}, json=body, headers={"Authorization": f"Bearer {token}"}
        )
        if answer.status_code >= 400 and "RoleAssignmentExists" not in answer.text:
            raise RehearsalError(f"{method} {path}: {answer.status_code} {answer.text}")
        content: dict[str, Any] = answer.json() if answer.content else {}
        return content


def _certificates() -> Any:
    import ssl

    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
