"""Which identity the provider acts as: its settings, else ARM_* variables, as the vendor's provider reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from localcloud.plugins.serving import PluginError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_VARIABLES = {
    "subscriptionId": "ARM_SUBSCRIPTION_ID", "tenantId": "ARM_TENANT_ID", "clientId": "ARM_CLIENT_ID",
    "clientSecret": "ARM_CLIENT_SECRET", "useOidc": "ARM_USE_OIDC", "oidcToken": "ARM_OIDC_TOKEN",
    "useMsi": "ARM_USE_MSI",
}  # fmt: skip


def settings(given: Mapping[str, str]) -> dict[str, str]:
    """By name; empty where neither the provider nor the environment has a value."""
    return {name: str(given.get(name) or os.environ.get(variable, "")) for name, variable in _VARIABLES.items()}


def credential(values: Mapping[str, str]) -> TokenCredential:
    """A client secret, a federated token, a managed identity, or the Azure CLI's sign-in, in this order."""
    from azure import identity

    tenant, client = values["tenantId"], values["clientId"]
    if values["useOidc"].lower() == "true" and values["oidcToken"]:
        token = values["oidcToken"]
        return identity.ClientAssertionCredential(tenant, client, lambda: token)
    if values["clientSecret"]:
        return identity.ClientSecretCredential(tenant, client, values["clientSecret"])
    if values["useMsi"].lower() == "true":
        return identity.ManagedIdentityCredential(client_id=client or None)
    return identity.AzureCliCredential(tenant_id=tenant)


def subscription(values: Mapping[str, str]) -> str:
    """Raises PluginError when none is set."""
    if not values["subscriptionId"]:
        raise PluginError(
            "the subscription is not known: set ARM_SUBSCRIPTION_ID, or `pulumi config set azure-native:subscriptionId`"
        )
    return values["subscriptionId"]
