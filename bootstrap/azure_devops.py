"""Declaration of Azure DevOps as a whole: the project's connections, then its pipelines and their resources."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_azuredevops as azuredevops

from bootstrap.connections import ArmConnection, Connections, ConnectionsArgs
from bootstrap.identities import Federation
from bootstrap.naming import ARM_CONNECTION, REGISTRY_CONNECTION, environment_connection, workspace_connection
from bootstrap.pipelines import Pipelines, PipelinesArgs
from bootstrap.settings import Settings


@dataclass(frozen=True, kw_only=True)
class AzureDevOpsArgs:
    """`clients`: client ids by connection; `subscriptions` by environment; `groups`: variables by group."""

    settings: Settings
    tenant_id: pulumi.Input[str]
    subscription_id: pulumi.Input[str]
    subscriptions: Mapping[str, pulumi.Input[str]]
    clients: Mapping[str, pulumi.Input[str]]
    registry_name: str
    registry_group: pulumi.Input[str]
    groups: Mapping[str, Mapping[str, pulumi.Input[str]]]


def declare_azure_devops(args: AzureDevOpsArgs) -> dict[str, Federation]:
    """Declare all resources in an existing project; return the federation of each connection's identity by its name."""
    devops = args.settings.azure_devops
    # The operator signs in by `az login`; a token in AZDO_PERSONAL_ACCESS_TOKEN takes precedence and is in no state.
    provider = azuredevops.Provider(
        "azure-devops",
        org_service_url=f"https://dev.azure.com/{devops.organization}",
        use_cli="AZDO_PERSONAL_ACCESS_TOKEN" not in os.environ,
    )
    invoking = pulumi.InvokeOptions(provider=provider)
    project = azuredevops.get_project_output(name=devops.project, opts=invoking)
    options = pulumi.ResourceOptions(providers=[provider])
    connections = Connections(
        "connections",
        ConnectionsArgs(
            project_id=project.project_id,
            tenant_id=args.tenant_id,
            arm=_arm(args),
            registry_name=args.registry_name,
            registry_group=args.registry_group,
            registry_subscription_id=args.subscription_id,
            image_client_id=args.clients[REGISTRY_CONNECTION],
        ),
        options,
    )
    repository_id: pulumi.Input[str] = devops.repository.name
    if devops.repository.kind == "azure_repos":
        repository_id = azuredevops.get_git_repository_output(
            name=devops.repository.name, project_id=project.project_id, opts=invoking
        ).id
    Pipelines(
        "pipelines",
        PipelinesArgs(
            project_id=project.project_id,
            repository=devops.repository,
            repository_id=repository_id,
            environments=args.settings.environments,
            groups=args.groups,
            connections=connections.ids,
        ),
        options,
    )
    return connections.federations


def _arm(args: AzureDevOpsArgs) -> dict[str, ArmConnection]:
    def connection(name: str, subscription: pulumi.Input[str], description: str) -> ArmConnection:
        return ArmConnection(client_id=args.clients[name], subscription_id=subscription, description=description)

    reading = "Previews: reads, and nothing else."
    readings = {name: (args.subscription_id, reading) for name in (ARM_CONNECTION, environment_connection("preview"))}
    for environment, subscription in args.subscriptions.items():
        readings[environment_connection(environment)] = (subscription, f"Deploys to {environment}.")
        # Azure ML's task looks for the workspace in the connection's subscription.
        readings[workspace_connection(environment)] = (subscription, f"Starts runs in Azure ML of {environment}.")
    return {name: connection(name, *rest) for name, rest in readings.items()}
