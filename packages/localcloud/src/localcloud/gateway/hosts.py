"""Azure's host names that localcloud answers, and the service of each."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache


class Service(StrEnum):
    """Service to which a host name belongs."""

    LOCAL = "localhost"
    ARM = "arm"
    ENTRA = "entra"
    GRAPH = "graph"
    STORAGE = "storage"
    KEY_VAULT = "keyvault"
    CONTAINER_REGISTRY = "containerregistry"
    DATABRICKS = "databricks"
    AZURE_ML = "azureml"
    SCORING = "scoring"
    MONITOR = "monitor"
    LOGIC = "logic"
    OTHER = "other"
    """Azure's, but not emulated: a request to them must neither leave this machine nor look like a network failure."""


_EXACT = {
    "localhost": Service.LOCAL,
    "127.0.0.1": Service.LOCAL,
    "management.azure.com": Service.ARM,
    "management.core.windows.net": Service.ARM,
    "login.microsoftonline.com": Service.ENTRA,
    "login.windows.net": Service.ENTRA,
    "login.microsoft.com": Service.ENTRA,
    "sts.windows.net": Service.ENTRA,
    "graph.microsoft.com": Service.GRAPH,
    "dc.services.visualstudio.com": Service.OTHER,
}
_SUFFIXES = {
    ".blob.core.windows.net": Service.STORAGE,
    ".dfs.core.windows.net": Service.STORAGE,
    ".vault.azure.net": Service.KEY_VAULT,
    ".azuredatabricks.net": Service.DATABRICKS,
    ".api.azureml.ms": Service.AZURE_ML,
    ".inference.ml.azure.com": Service.SCORING,
    ".queue.core.windows.net": Service.OTHER,
    ".table.core.windows.net": Service.OTHER,
    ".file.core.windows.net": Service.OTHER,
    ".azurecr.io": Service.CONTAINER_REGISTRY,
    ".services.visualstudio.com": Service.OTHER,
    ".in.applicationinsights.azure.com": Service.MONITOR,
    ".ods.opinsights.azure.com": Service.OTHER,
    ".logic.azure.com": Service.LOGIC,
}

_REGIONS = (
    "eastus", "eastus2", "westus", "westus2", "westus3", "centralus", "northcentralus", "southcentralus",
    "westcentralus", "canadacentral", "canadaeast", "brazilsouth", "northeurope", "westeurope", "uksouth", "ukwest",
    "francecentral", "germanywestcentral", "switzerlandnorth", "norwayeast", "swedencentral", "polandcentral",
    "italynorth", "spaincentral", "southafricanorth", "uaenorth", "israelcentral", "centralindia", "southindia",
    "eastasia", "southeastasia", "japaneast", "japanwest", "koreacentral", "australiaeast", "australiasoutheast",
    "qatarcentral", "mexicocentral",
)  # fmt: skip

AZURE_NAMES: tuple[str, ...] = (
    *_EXACT,
    *(f"*{suffix}" for suffix in _SUFFIXES),
    # adb-123.4.azuredatabricks.net, ENDPOINT.REGION.inference.ml.azure.com, prod-00.REGION.logic.azure.com and
    # GUID.workspace.REGION.api.azureml.ms have more labels before the suffix, and a wildcard matches one.
    *(f"*.{number}.azuredatabricks.net" for number in range(20)),
    *(f"*.{region}.inference.ml.azure.com" for region in _REGIONS),
    *(f"*.workspace.{region}.api.azureml.ms" for region in _REGIONS),
    *(f"*.{region}.logic.azure.com" for region in _REGIONS),
)
"""The names of the gateway's certificate."""


@lru_cache(maxsize=512)
def service_of(host: str) -> Service | None:
    """Return the service of a Host header or CONNECT target (with or without port), None for another host."""
    name = host.rsplit(":", 1)[0].strip("[]").lower().rstrip(".")
    if name in _EXACT:
        return _EXACT[name]
    return next((service for suffix, service in _SUFFIXES.items() if name.endswith(suffix)), None)
