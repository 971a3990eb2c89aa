"""Services as audiences of tokens: the resources whose service principals every tenant has, and the tenant's own."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

_DOMAINS = (
    "azure.com", "azure.net", "azure.us", "azure-automation.net", "azurecr.io", "azuredatabricks.net", "azureml.ms",
    "applicationinsights.io", "azuresynapse.net", "loganalytics.io", "microsoft.com", "microsoftonline.com",
    "visualstudio.com", "windows.net", "localhost",
)  # fmt: skip
_APPLICATIONS = frozenset(
    {
        "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d",  # Azure Databricks
        "18a66f5f-dbdf-4c17-9dd7-1634712a9cbe",  # Azure Machine Learning Services
        "0736f41a-0425-4b46-bdb5-1563eff02385",  # Azure Machine Learning
        "797f4846-ba00-4fd7-ba43-dac1f8f63013",  # Windows Azure Service Management API
        "499b84ac-1321-427f-aa17-267ca6975798",  # Azure DevOps
        "cfa8b339-82a2-471a-a3c9-0fc0be7a4093",  # Azure Key Vault
        "e406a681-f3d4-42a8-90b6-c2b029497af1",  # Azure Storage
        "00000003-0000-0000-c000-000000000000",  # Microsoft Graph
    }
)


def exists(resource: str, is_application: Callable[[str], bool]) -> bool:
    """Whether the tenant has a service principal for `resource`, an identifier URI or an application id.

    `is_application` returns whether a client id is the tenant's own.
    """
    if resource.lower() in _APPLICATIONS or is_application(resource):
        return True
    parts = urlsplit(resource)
    if parts.scheme == "api":
        return parts.netloc == "AzureADTokenExchange" or is_application(parts.netloc)
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme == "https" and any(host == domain or host.endswith(f".{domain}") for domain in _DOMAINS)
