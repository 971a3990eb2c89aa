"""The pytest plugin, `-p localcloud.testing.plugin`: a running localcloud, the deployer's session, a resource group."""

from localcloud.testing.azure_session import azure as azure
from localcloud.testing.azure_session import group as group
from localcloud.testing.cloud import cloud as cloud
