"""Azure DevOps: service connections that sign in by workload identity federation. No connection holds a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_azuredevops as azuredevops

from bootstrap.identities import Federation
from bootstrap.naming import REGISTRY_CONNECTION, WEBHOOK, WEBHOOK_CONNECTION, slug

_FEDERATED = "WorkloadIdentityFederation"


@dataclass(frozen=True, kw_only=True)
class ArmConnection:
    """A connection to one subscription, as the identity of `client_id`."""

    client_id: pulumi.Input[str]
    subscription_id: pulumi.Input[str]
    description: str


@dataclass(frozen=True, kw_only=True)
class ConnectionsArgs:
    """`arm` by the connection's name; `registry_name` and `image_client_id` are for the registry's."""

    project_id: pulumi.Input[str]
    tenant_id: pulumi.Input[str]
    arm: Mapping[str, ArmConnection]
    registry_name: pulumi.Input[str]
    registry_group: pulumi.Input[str]
    registry_subscription_id: pulumi.Input[str]
    image_client_id: pulumi.Input[str]


class Connections(pulumi.ComponentResource):
    """`federations` and `ids` by the connection's name. The provider comes with `opts.providers`."""

    federations: dict[str, Federation]
    ids: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ConnectionsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:bootstrap:Connections", name, None, opts)
        self._name, self._args = name, args
        self.federations, self.ids = {}, {}
        for connection, arm in args.arm.items():
            self._arm(connection, arm)
        self._registry()
        webhook = azuredevops.ServiceendpointIncomingwebhook(
            f"{name}-training-data",
            service_endpoint_name=WEBHOOK_CONNECTION,
            webhook_name=WEBHOOK,
            project_id=args.project_id,
            description="New training data start pipelines/retrain.yml.",
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.ids[WEBHOOK_CONNECTION] = webhook.id
        self.register_outputs({})

    def _arm(self, connection: str, arm: ArmConnection) -> None:
        endpoint = azuredevops.ServiceEndpointAzureRM(
            f"{self._name}-{slug(connection.removeprefix('DataOpsML '))}",
            service_endpoint_name=connection,
            project_id=self._args.project_id,
            description=arm.description,
            service_endpoint_authentication_scheme=_FEDERATED,
            credentials=azuredevops.ServiceEndpointAzureRMCredentialsArgs(serviceprincipalid=arm.client_id),
            azurerm_spn_tenantid=self._args.tenant_id,
            azurerm_subscription_id=arm.subscription_id,
            azurerm_subscription_name=arm.subscription_id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._keep(connection, endpoint)

    def _registry(self) -> None:
        args = self._args
        endpoint = azuredevops.ServiceEndpointAzureEcr(
            f"{self._name}-registry",
            service_endpoint_name=REGISTRY_CONNECTION,
            project_id=args.project_id,
            description="Pushes and pulls the image that CI jobs run in.",
            service_endpoint_authentication_scheme=_FEDERATED,
            credentials=azuredevops.ServiceEndpointAzureEcrCredentialsArgs(serviceprincipalid=args.image_client_id),
            azurecr_spn_tenantid=args.tenant_id,
            azurecr_subscription_id=args.registry_subscription_id,
            azurecr_subscription_name=args.registry_subscription_id,
            azurecr_name=args.registry_name,
            resource_group=args.registry_group,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._keep(REGISTRY_CONNECTION, endpoint)

    def _keep(
        self, connection: str, endpoint: azuredevops.ServiceEndpointAzureRM | azuredevops.ServiceEndpointAzureEcr
    ) -> None:
        self.ids[connection] = endpoint.id
        self.federations[connection] = Federation(
            issuer=endpoint.workload_identity_federation_issuer, subject=endpoint.workload_identity_federation_subject
        )
