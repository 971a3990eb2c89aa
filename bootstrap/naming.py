"""Names of the bootstrap's resources, and the names that stacks and pipelines expect of them.

Limits are Azure's (learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules): with a base name
of 10 characters the longest here, the vault's, has 19 of 24.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

_ROLE_ASSIGNMENTS = uuid.UUID("7a0f1f56-2f0b-5d2f-8d53-6f0c5a4f8e11")

ARM_CONNECTION = "DataOpsML ARM Connection"
REGISTRY_CONNECTION = "DataOpsML Azure Container Registry"
WORKSPACE_CONNECTION = "DataOpsML Azure ML Workspace"
WEBHOOK_CONNECTION = "DataOpsML Training Data"
WEBHOOK = "TrainingData"
CI_GROUP = "dataopsml-ci"
OWN_CONTAINER = "state-bootstrap"


def environment_connection(environment: str) -> str:
    """Return the name of the connection that deploys to an environment; the connection of "preview" only reads."""
    return f"{ARM_CONNECTION} - {environment}"


def workspace_connection(environment: str) -> str:
    """Return the name of the connection that starts runs in an environment's Azure ML workspace."""
    return f"{WORKSPACE_CONNECTION} - {environment}"


def federated_connections(environments: Sequence[str]) -> list[str]:
    """Return the names of all service connections that sign in to Azure."""
    return [
        ARM_CONNECTION,
        *map(environment_connection, ("preview", *environments)),
        REGISTRY_CONNECTION,
        *map(workspace_connection, environments),
    ]


def deployment_environment(environment: str) -> str:
    """Return the name of an environment in Azure DevOps, which its variable group has too."""
    return f"dataopsml-{environment}"


def slug(label: str) -> str:
    """Return a connection's or group's name as part of a resource's name."""
    return label.lower().replace(" - ", "-").replace(" ", "-")


@dataclass(frozen=True)
class Names:
    """Names by base name."""

    base: str

    @property
    def resource_group(self) -> str:
        return f"rg-{self.base}-bootstrap"

    @property
    def account(self) -> str:
        return f"st{self.base}state"

    @property
    def vault(self) -> str:
        return f"kv-{self.base}-state"

    @property
    def container_registry(self) -> str:
        return f"acr{self.base}ci"

    def identity(self, purpose: str) -> str:
        return f"id-{self.base}-{purpose}"

    def container(self, environment: str) -> str:
        return f"state-{environment}"

    def key(self, environment: str) -> str:
        return f"pulumi-{environment}"

    def secrets_provider(self, environment: str) -> str:
        """Return the argument of `pulumi stack init --secrets-provider`."""
        return f"azurekeyvault://{self.vault}.vault.azure.net/keys/{self.key(environment)}"

    def stack_group(self, environment: str) -> str:
        """Return the resource group of the platform's stack, as in infra.naming."""
        return f"rg-{self.base}-{environment}"

    def stack_workspace(self, environment: str) -> str:
        return f"aml-{self.base}-{environment}"

    def role_assignment(self, subscription_id: str, /, *, grantee: str, role: str, scope: str) -> str:
        """Return the same GUID for the same identity, role and scope, given by their names."""
        labels = (subscription_id.lower(), self.base, scope, role, grantee)
        return str(uuid.uuid5(_ROLE_ASSIGNMENTS, "|".join(labels)))
