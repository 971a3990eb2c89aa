"""Replication of storage accounts by region, which the settings of the stacks and of the bootstrap share.

Source of the lists: learn.microsoft.com/azure/reliability/regions-list; of Jio India, Azure/Azure-Landing-Zones#4011.
"""

from __future__ import annotations

WITHOUT_ZONES = frozenset(
    """
    australiacentral australiacentral2 australiasoutheast brazilsoutheast canadaeast francesouth germanynorth
    jioindiacentral jioindiawest koreasouth northcentralus norwaywest southafricawest southindia swedensouth
    switzerlandwest uaecentral ukwest westcentralus westindia westus
    """.split()  # noqa: SIM905 - a list of quoted names would be forty lines longer
)
"""Regions without availability zones."""

WITHOUT_PAIR = frozenset(
    """
    austriaeast belgiumcentral chilecentral denmarkeast indonesiacentral israelcentral italynorth malaysiawest
    mexicocentral newzealandnorth polandcentral qatarcentral spaincentral
    """.split()  # noqa: SIM905 - as above
)
"""Regions without a second region to copy to."""


def redundancy_problem(replication: str, region: str) -> str | None:
    """Return why a region does not support a replication, None when it does.

    Azure answers 400 RedundancyConfigurationNotAvailableInRegion (Esri/arcgis-gitops#160 for zones,
    Azure/ALZ-PowerShell-Module#291 for pairs).
    """
    zones, geo = "ZRS" in replication, replication.startswith("G")
    if zones and region in WITHOUT_ZONES:
        return f"is not available in {region}, which has no availability zones: use {'GRS' if geo else 'LRS'}"
    if geo and region in WITHOUT_PAIR:
        return f"is not available in {region}, which has no paired region: use {'ZRS' if zones else 'LRS'}"
    return None
