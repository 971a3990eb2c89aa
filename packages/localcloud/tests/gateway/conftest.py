"""Callers of the gateway besides the deployer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from localcloud.core.database import Database
from localcloud.entra.directory import Directory
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.cloud import Cloud


@pytest.fixture
def tracking(cloud: Cloud, azure: AzureSession) -> None:
    """Let MLflow's server run, which starts with the first request for it."""
    token = azure.credential.get_token("https://management.azure.com/.default").token
    url = f"{cloud.settings.gateway_url}/_localcloud/mlflow/health"
    answer = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=120)
    assert answer.status_code == 200, answer.text


@pytest.fixture
def other_principal(cloud: Cloud) -> Iterator[dict[str, str]]:
    """Return the header of a principal of the tenant that is not the deployer."""
    database = Database(cloud.settings.database)
    directory = Directory(database)
    principal = directory.create_principal("other")
    yield {"Authorization": f"Bearer {directory.issue_token(principal, 'https://management.azure.com')}"}
    directory.delete_principal(principal.object_id)
    database.close()
