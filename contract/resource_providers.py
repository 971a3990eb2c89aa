"""Resource providers that stacks and the bootstrap need and Azure does not register by itself.

azure-native registers none (pulumi/pulumi-azure-native#3479), so the bootstrap does it in every subscription. Run as a
program, this module prints them separated by commas, the form of `localcloud start --register`.
"""

from __future__ import annotations

import sys

RESOURCE_PROVIDERS = (
    # The virtual machines and disks of Databricks' and Azure ML's clusters: no resource of the program is of it.
    "Microsoft.Compute",
    "Microsoft.ContainerRegistry",
    "Microsoft.Databricks",
    "Microsoft.EventGrid",
    "Microsoft.Insights",
    "Microsoft.KeyVault",
    "Microsoft.Logic",
    "Microsoft.MachineLearningServices",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
)

if __name__ == "__main__":
    sys.stdout.write(",".join(RESOURCE_PROVIDERS) + "\n")
