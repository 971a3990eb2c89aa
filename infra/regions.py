"""Azure's public regions, by the name that ARM takes. Source: learn.microsoft.com/azure/reliability/regions-list."""

from __future__ import annotations

REGIONS = frozenset(
    """
    australiacentral australiacentral2 australiaeast australiasoutheast austriaeast belgiumcentral brazilsouth
    brazilsoutheast canadacentral canadaeast centralindia centralus chilecentral denmarkeast eastasia eastus eastus2
    francecentral francesouth germanynorth germanywestcentral indonesiacentral israelcentral italynorth japaneast
    japanwest jioindiacentral jioindiawest koreacentral koreasouth malaysiawest mexicocentral newzealandnorth
    northcentralus northeurope norwayeast norwaywest polandcentral qatarcentral southafricanorth southafricawest
    southcentralus southeastasia southindia spaincentral swedencentral swedensouth switzerlandnorth switzerlandwest
    uaecentral uaenorth uksouth ukwest westcentralus westeurope westindia westus westus2 westus3
    """.split()  # noqa: SIM905 - sixty lines of quotes say no more
)

WITHOUT_ZONES = frozenset(
    """
    australiacentral australiacentral2 australiasoutheast brazilsoutheast canadaeast francesouth germanynorth
    jioindiacentral jioindiawest koreasouth northcentralus norwaywest southafricawest southindia swedensouth
    switzerlandwest uaecentral ukwest westcentralus westindia westus
    """.split()  # noqa: SIM905 - as above
)
"""Regions without availability zones (same source)."""

WITHOUT_PAIR = frozenset(
    """
    austriaeast belgiumcentral chilecentral denmarkeast indonesiacentral israelcentral italynorth malaysiawest
    mexicocentral newzealandnorth polandcentral qatarcentral spaincentral
    """.split()  # noqa: SIM905 - as above
)
"""Regions without a second region to copy to (same source)."""


def redundancy_problem(replication: str, region: str) -> str | None:
    """Say why a storage account of a region cannot be copied so; None when it can.

    Azure answers 400 RedundancyConfigurationNotAvailableInRegion (Esri/arcgis-gitops#160 for zones,
    Azure/ALZ-PowerShell-Module#291 for pairs).
    """
    zones, geo = "ZRS" in replication, replication.startswith("G")
    if zones and region in WITHOUT_ZONES:
        return f"is not available in {region}, which has no availability zones: use {'GRS' if geo else 'LRS'}"
    if geo and region in WITHOUT_PAIR:
        return f"is not available in {region}, which has no paired region: use {'ZRS' if zones else 'LRS'}"
    return None
