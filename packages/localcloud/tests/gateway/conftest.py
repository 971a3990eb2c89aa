"""Callers of the gateway besides the deployer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from localcloud.core.database import Database
from localcloud.entra.directory import Directory
from localcloud.testing.cloud import Cloud


@pytest.fixture
def other_principal(cloud: Cloud) -> Iterator[dict[str, str]]:
    """Return the header of a principal of the tenant that is not the deployer."""
    database = Database(cloud.settings.database)
    directory = Directory(database)
    principal = directory.create_principal("other")
    yield {"Authorization": f"Bearer {directory.issue_token(principal, 'https://management.azure.com')}"}
    directory.delete_principal(principal.object_id)
    database.close()
