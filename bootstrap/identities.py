"""Identities that pipelines act as, without secrets: a service connection's token stands for each."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity

from bootstrap.placement import Placement
from declarations.roles import Grantee

_AUDIENCE = "api://AzureADTokenExchange"


@dataclass(frozen=True, kw_only=True)
class Federation:
    """Issuer and subject of the tokens that one service connection of Azure DevOps presents for an identity.

    Both are known only when the connection exists. New connections have the tenant's issuer,
    https://login.microsoftonline.com/TENANT/v2.0, and a subject with the connection's id (learn.microsoft.com
    /azure/devops/pipelines/release/convert-service-connections).
    """

    issuer: pulumi.Input[str]
    subject: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class IdentityArgs:
    """`purpose` names it: deploy-dev, preview."""

    placement: Placement
    purpose: str


class Identity(pulumi.ComponentResource):
    """A user-assigned identity and its federated credentials."""

    client_id: pulumi.Output[str]
    principal_id: pulumi.Output[str]

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:bootstrap:Identity", name, None, opts)
        self._name, self._args = name, args
        place = args.placement
        self._identity = managedidentity.UserAssignedIdentity(
            f"{name}-identity",
            resource_name_=place.names.identity(args.purpose),
            resource_group_name=place.resource_group_name,
            location=place.location,
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self._credentials: list[pulumi.Resource] = []
        self.client_id = self._identity.client_id
        self.principal_id = self._identity.principal_id
        self.grantee = Grantee(label=args.purpose, principal_id=self._identity.principal_id)
        self.register_outputs({"client_id": self.client_id, "principal_id": self.principal_id})

    def federate(self, connection: str, federation: Federation) -> None:
        """Let the tokens of one service connection stand for the identity."""
        slug = connection.lower().replace(" - ", "-").replace(" ", "-")
        credential = managedidentity.FederatedIdentityCredential(
            f"{self._name}-{slug}",
            federated_identity_credential_resource_name=slug,
            resource_name_=self._identity.name,
            resource_group_name=self._args.placement.resource_group_name,
            issuer=federation.issuer,
            subject=federation.subject,
            audiences=[_AUDIENCE],
            # Azure writes one credential of an identity at a time.
            opts=pulumi.ResourceOptions(parent=self, depends_on=self._credentials[-1:]),
        )
        self._credentials.append(credential)
