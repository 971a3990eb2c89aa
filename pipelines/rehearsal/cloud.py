"""The cloud of a rehearsal: localcloud, with objects that a platform owner creates in Azure before the first build.

State containers, stacks, identities, federated credentials and role assignments come from plain ARM calls as the owner
that the environment signs in. Each can be repeated.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from azure.core.credentials import TokenCredential
from azure.identity import ClientAssertionCredential, EnvironmentCredential
from pipeline_runner import az
from pipeline_runner.errors import RunnerError
from pipeline_runner.issuer import AUDIENCE, Issuer
from pipeline_runner.organisation import Organisation
from pipeline_runner.variables import Groups

from declarations import invoker_role
from declarations.roles import Role
from pipelines.rehearsal.settings import CloudSettings, Connection, connection_id, parse

_SHELL = 'a rehearsal runs in a shell with `eval "$(make env)"`.'
_GROUP_PREFIX = "dataopsml-"
_OWNER = (
    "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "ARM_CLIENT_ID",
    "ARM_CLIENT_SECRET", "ARM_TENANT_ID", "ARM_SUBSCRIPTION_ID", "PULUMI_BACKEND_URL",
)  # fmt: skip
"""Variables of the owner's shell that no job gets: jobs sign in as a service connection, and groups have the rest."""


@contextmanager
def open_cloud(organisation: Organisation) -> Iterator[Cloud]:
    """Open the cloud that this process's environment leads to, with an issuer of tokens. Raises RunnerError."""
    check_shell()
    settings = parse(organisation.cloud.settings if organisation.cloud else {})
    issuer = Issuer(certificate(), os.environ["AZURE_TENANT_ID"])
    try:
        yield Cloud(organisation.groups, settings, issuer)
    finally:
        issuer.close()


def certificate() -> Path:
    """Return localcloud's own key and certificate for localhost."""
    return Path(os.environ["LOCALCLOUD_HOME"]) / "tls" / "server.pem"


def check_shell() -> None:
    """Raise RunnerError when this process's environment leads to no cloud, or has no engine."""
    needed = (
        "ARM_SUBSCRIPTION_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "ARM_CLOUD_METADATA_URL", "LOCALCLOUD_HOME",
    )  # fmt: skip
    for name in needed:
        if not os.environ.get(name):
            raise RunnerError(f"{name} is not set: {_SHELL}")
    if shutil.which("pulumi") is None:
        raise RunnerError(f"pulumi is not on PATH: `make rehearse` installs it once; {_SHELL}")


class Cloud:
    """A subscription, prepared for an organisation's pipelines."""

    def __init__(self, groups: Groups, settings: CloudSettings, issuer: Issuer) -> None:
        self._groups, self._settings, self._issuer = groups, settings, issuer
        self._subscription = f"/subscriptions/{os.environ['ARM_SUBSCRIPTION_ID']}"
        self._credential = EnvironmentCredential()
        certificates = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
        self._client = httpx.Client(base_url="https://management.azure.com", timeout=120, verify=certificates)
        self._clients: dict[str, str] = {}
        self._principals: dict[str, str] = {}

    def prepare(self, checkout: Path) -> Groups:
        """Create missing objects, empty stacks included; return the subscription and identities for each group.

        Raises RunnerError with ARM's own message.
        """
        group = next(iter(self._groups.values()))
        account = (
            f"{self._subscription}/resourceGroups/{group['BACKEND_RESOURCE_GROUP']}"
            f"/providers/Microsoft.Storage/storageAccounts/{group['BACKEND_STORAGE_ACCOUNT']}"
        )
        self._call("GET", account, "2024-01-01")
        for container in self._settings.containers:
            self._call(
                "PUT", f"{account}/blobServices/default/containers/{container}", "2024-01-01", {"properties": {}}
            )
        identities = f"{self._subscription}/resourceGroups/{self._settings.identities_group}"
        self._call("PUT", identities, "2024-03-01", {"location": group["LOCATION"]})
        for base in {group["BASE_NAME"] for group in self._groups.values()}:
            self._define_invoker_roles(base)
        for name, connection in self._settings.connections.items():
            self._create_identity(identities, account, name, connection, group["LOCATION"])
        for name, variables in self._groups.items():
            _create_stack(name.removeprefix(_GROUP_PREFIX), variables, checkout)
        subscription = {"SUBSCRIPTION_ID": os.environ["ARM_SUBSCRIPTION_ID"]}
        return {name: subscription | self._object_ids(name) for name in self._groups}

    def shell(self) -> Mapping[str, str]:
        """Return this process's environment without the owner's sign-in."""
        return {name: value for name, value in os.environ.items() if name not in _OWNER}

    def connect(self, connection: str, folder: Path) -> Mapping[str, str]:
        """Sign the Azure CLI in; return the variables of AzureCLI@2. Raises RunnerError for an unknown connection."""
        declared = self._settings.connections.get(connection)
        if declared is None:
            known = ", ".join(self._settings.connections)
            raise RunnerError(f"There is no service connection {connection!r}. Known: {known}.")
        id_, client, tenant = connection_id(connection), self._clients[connection], os.environ["AZURE_TENANT_ID"]
        token = self._issuer.token(self._issuer.subject(id_))
        stacks = os.environ["ARM_SUBSCRIPTION_ID"]
        subscriptions = list(dict.fromkeys([declared.subscription or stacks, stacks]))
        session = az.sign_in(folder / id_, client, tenant, subscriptions, token)
        return {
            "servicePrincipalId": client, "tenantId": tenant, "idToken": token,
            "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": id_, "AZURESUBSCRIPTION_CLIENT_ID": client,
            "AZURESUBSCRIPTION_TENANT_ID": tenant, "AZURE_CONFIG_DIR": str(session),
            "PATH": f"{az.install(folder)}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip

    def credential(self, connection: str) -> TokenCredential:
        """Return a credential of a service connection's identity, for clients in this process."""
        subject = self._issuer.subject(connection_id(connection))
        client, tenant = self._clients[connection], os.environ["AZURE_TENANT_ID"]
        return ClientAssertionCredential(tenant, client, lambda: self._issuer.token(subject))

    def _define_invoker_roles(self, base: str) -> None:
        """Make the custom roles of identities that start retrainings, as the bootstrap does."""
        for role in invoker_role.ROLES:
            custom = invoker_role.custom_role(role, base)
            definition = {
                "roleName": invoker_role.role_name(role, base), "type": "CustomRole",
                "description": "For identities that start retrainings after drift.",
                "permissions": [{"actions": list(invoker_role.actions(role)), "notActions": []}],
                "assignableScopes": [self._subscription],
            }  # fmt: skip
            path = f"{self._subscription}/providers/Microsoft.Authorization/roleDefinitions/{custom.value}"
            self._call("PUT", path, "2022-04-01", {"properties": definition})

    def _create_identity(self, group: str, account: str, name: str, connection: Connection, location: str) -> None:
        id_ = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{connection.identity}"
        identity = self._call("PUT", id_, "2023-01-31", {"location": location})["properties"]
        subject = self._issuer.subject(connection_id(name))
        credential = {"issuer": self._issuer.url, "subject": subject, "audiences": [AUDIENCE]}
        self._call("PUT", f"{id_}/federatedIdentityCredentials/azure-devops", "2023-01-31", {"properties": credential})
        self._clients[name] = identity["clientId"]
        self._principals[name] = identity["principalId"]
        for role, where in connection.roles:
            kind, _, container = where.partition(":")
            state = f"{account}/blobServices/default/containers/{container}"
            self._assign(identity["principalId"], role, self._subscription if kind == "subscription" else state)

    def _object_ids(self, group: str) -> dict[str, str]:
        variables = self._settings.principals.get(group, {})
        return {name: self._principals[connection] for name, connection in variables.items()}

    def _assign(self, principal: str, role: Role, scope: str) -> None:
        name = uuid.uuid5(uuid.NAMESPACE_URL, f"{scope}|{principal}|{role.value}")
        definition = f"{self._subscription}/providers/Microsoft.Authorization/roleDefinitions/{role.value}"
        body = {"principalId": principal, "principalType": "ServicePrincipal", "roleDefinitionId": definition}
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"
        self._call("PUT", path, "2022-04-01", {"properties": body})

    def _call(self, method: str, path: str, version: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        token = self._credential.get_token("https://management.azure.com/.default").token
        answer = self._client.request(
            method, path, params={"api-version": version}, json=body, headers={"Authorization": f"Bearer {token}"}
        )
        if answer.status_code >= 400 and "RoleAssignmentExists" not in answer.text:
            raise RunnerError(f"{method} {path}: {answer.status_code} {answer.text}")
        content: dict[str, Any] = answer.json() if answer.content else {}
        return content


def _create_stack(stack: str, variables: Mapping[str, str], checkout: Path) -> None:
    """Create a stack as the owner, so that previews need only read the state.

    Here a passphrase encrypts its secrets, in Azure a Key Vault key.
    """
    account = variables["BACKEND_STORAGE_ACCOUNT"]
    backend = f"azblob://{variables['BACKEND_CONTAINER']}?storage_account={account}"
    completed = subprocess.run(
        ["pulumi", "stack", "select", stack, "--create", "--non-interactive"],
        cwd=checkout, env={**os.environ, "PULUMI_BACKEND_URL": backend},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if completed.returncode:
        raise RunnerError(f"Stack {stack} cannot be created in {backend}: {completed.stderr.strip()}")
