"""The deployer's session, for every test here."""

from tests.localcloud.azure_session import azure as azure
from tests.localcloud.azure_session import group as group
