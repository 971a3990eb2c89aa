"""Redundancy of storage accounts: the kinds that a region offers, and the changes that Azure makes in place."""

from __future__ import annotations

from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

WITHOUT_ZONES = frozenset(
    {
        "australiasoutheast", "canadaeast", "northcentralus", "southindia", "ukwest", "westcentralus", "westus",
    }
)  # fmt: skip
"""Regions of localcloud without availability zones.
Source: learn.microsoft.com/azure/reliability/regions-list."""
WITHOUT_PAIR = frozenset(
    {
        "israelcentral", "italynorth", "mexicocentral", "polandcentral", "qatarcentral", "spaincentral",
    }
)  # fmt: skip
"""Regions without a paired region (same source)."""


def check_redundancy(account: Resource, existing: Resource | None) -> None:
    """Check a SKU. Raises ServiceError 400 RedundancyConfigurationNotAvailableInRegion and 409 for other conversions.

    Texts and codes: Esri/arcgis-gitops#160 and Azure/ALZ-PowerShell-Module#291; the conversion's code:
    hashicorp/terraform-provider-azurerm#6526 (its text is ours). Source of changes that are made in place:
    learn.microsoft.com/azure/storage/common/redundancy-migration.
    """
    sku, region = str((account.sku or {}).get("name")), account.location or ""
    replication = sku.rsplit("_", 1)[-1]
    if ("ZRS" in replication and region in WITHOUT_ZONES) or (_is_geo(replication) and region in WITHOUT_PAIR):
        raise ServiceError(
            400,
            "RedundancyConfigurationNotAvailableInRegion",
            f"The storage account failed to create due to redundancy configuration - Sku: {sku}, Kind: {account.kind} "
            f"- not available in selected Region - {region}. Please make sure the redundancy configuration selected is "
            "available in your region. For more information about redundancy configurations, see "
            "https://docs.microsoft.com/en-us/azure/storage/common/storage-redundancy",
        )
    before = "" if existing is None else str((existing.sku or {}).get("name"))
    if before and ("ZRS" in before) != ("ZRS" in sku):
        raise ServiceError(
            409,
            "StorageAccountTypeConversionNotAllowed",
            f"Storage account type {before} of '{account.id}' cannot be changed to {sku}: a change between zones and "
            "no zones is a conversion, which startAccountMigration begins.",
        )


def _is_geo(replication: str) -> bool:
    return replication.removeprefix("RA") in {"GRS", "GZRS"}
