"""Identity of the provider: its settings, else ARM_* variables, as the vendor's provider reads them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from localcloud.plugins.errors import PluginError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_VARIABLES = {
    "subscriptionId": "ARM_SUBSCRIPTION_ID", "tenantId": "ARM_TENANT_ID", "clientId": "ARM_CLIENT_ID",
    "clientSecret": "ARM_CLIENT_SECRET", "useOidc": "ARM_USE_OIDC", "oidcToken": "ARM_OIDC_TOKEN",
    "useMsi": "ARM_USE_MSI",
}  # fmt: skip


def settings(configured: Mapping[str, str]) -> dict[str, str]:
    """Return the settings by name; empty where neither the provider nor the environment has a value."""
    return {name: str(configured.get(name) or os.environ.get(variable, "")) for name, variable in _VARIABLES.items()}


def credential(values: Mapping[str, str]) -> TokenCredential:
    """Return a client secret, a federated token, a managed identity, or the Azure CLI's sign-in, in this order.

    A federated token is the same for as long as the provider runs, as the vendor's (`newOidcCredential` of
    provider/pkg/provider/auth_azidentity.go): when it has expired, so has the sign-in.
    """
    from azure import identity

    tenant, client = values["tenantId"], values["clientId"]
    if values["clientSecret"]:
        return identity.ClientSecretCredential(tenant, client, values["clientSecret"])
    if values["useOidc"].lower() == "true":
        token = values["oidcToken"]
        if not token:
            raise PluginError("A OIDC token or request URL and token must be configured when authenticating with OIDC.")
        return identity.ClientAssertionCredential(tenant, client, lambda: token)
    if values["useMsi"].lower() == "true":
        return identity.ManagedIdentityCredential(client_id=client or None)
    # The vendor's provider has no tenant for the CLI; it names the subscription in every call (azidentity's
    # AzureCLICredentialOptions.Subscription), so that the CLI's own default does not matter.
    return identity.AzureCliCredential(subscription=values["subscriptionId"])


def subscription(values: Mapping[str, str]) -> str:
    """Return the subscription. Raises PluginError when none is set."""
    if not values["subscriptionId"]:
        raise PluginError(
            "the subscription is not known: set ARM_SUBSCRIPTION_ID, or `pulumi config set azure-native:subscriptionId`"
        )
    return values["subscriptionId"]
