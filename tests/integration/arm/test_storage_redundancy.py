"""Copies of a storage account: offers of a region, and changes that Azure makes in place."""

from __future__ import annotations

from typing import Any

import pytest
from localcloud.arm.resource_types import LOCATIONS
from localcloud.storage.arm import redundancy as storage_redundancy
from localcloud.testing.azure_session import AzureSession, error_of, unique

from contract import storage_redundancy as settings

VERSION = "2024-01-01"


def put(azure: AzureSession, id_: str, sku: str, location: str = "westeurope") -> Any:
    body = {"location": location, "kind": "StorageV2", "sku": {"name": sku}, "properties": {}}
    return azure.arm("PUT", id_, VERSION, body)


@pytest.mark.parametrize(
    ("sku", "location"), [("Standard_ZRS", "westus"), ("Standard_RAGZRS", "westus"), ("Standard_GRS", "italynorth")]
)
def test_a_region_without_zones_or_a_pair_refuses_such_copies(
    azure: AzureSession, group: str, sku: str, location: str
) -> None:
    answer = put(azure, f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}", sku, location)
    status, code, message = error_of(answer)
    assert (status, code) == (400, "RedundancyConfigurationNotAvailableInRegion")
    assert f"- Sku: {sku}, Kind: StorageV2 - not available in selected Region - {location}." in message


def test_a_change_between_zones_and_none_is_a_conversion_and_others_are_updates(
    azure: AzureSession, group: str
) -> None:
    id_ = f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}"
    azure.finish(put(azure, id_, "Standard_LRS"))
    assert put(azure, id_, "Standard_GRS").status_code == 200
    assert error_of(put(azure, id_, "Standard_ZRS"))[:2] == (409, "StorageAccountTypeConversionNotAllowed")
    assert azure.arm("GET", id_, VERSION).json()["sku"]["name"] == "Standard_GRS"


def test_settings_and_localcloud_know_the_same_regions() -> None:
    """Neither imports the other: each list has Microsoft's page as its source."""
    assert settings.WITHOUT_ZONES & set(LOCATIONS) == storage_redundancy.WITHOUT_ZONES
    assert settings.WITHOUT_PAIR & set(LOCATIONS) == storage_redundancy.WITHOUT_PAIR
