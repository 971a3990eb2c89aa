"""Fixtures for tests of Unity Catalog: an external location and a catalog of a test's own, and the form of refusals.

Locations are made without validation, since there is no storage behind the conftest's workspace.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors.base import DatabricksError
from databricks.sdk.service import catalog as uc

from localcloud.testing.databricks_service import CONNECTOR

IDENTITY = uc.AzureManagedIdentityRequest(CONNECTOR)


@dataclass(frozen=True)
class Place:
    """An external location of the test's own, with its credential."""

    credential: str
    location: str
    url: str


def unique(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:8]}"


def refused(call: Callable[[], Any], code: str, message: str, reason: str | None = None) -> None:
    """Check that the call fails with exactly this code and message."""
    with pytest.raises(DatabricksError) as caught:
        call()
    text = str(caught.value).split(" Config: ")[0]  # the client adds its own to a 403, after a full stop
    assert (caught.value.error_code, text.removesuffix(".")) == (code, message.removesuffix("."))
    info = caught.value.get_error_details().error_info
    if reason is not None:
        assert info is not None and info.reason == reason


@pytest.fixture
def place(admin: WorkspaceClient) -> Iterator[Place]:
    credential, location = unique("cred"), unique("loc")
    account = f"st{uuid.uuid4().hex[:10]}"
    url = f"abfss://data@{account}.dfs.core.windows.net/"
    admin.storage_credentials.create(credential, azure_managed_identity=IDENTITY)
    admin.external_locations.create(location, url, credential, skip_validation=True)
    yield Place(credential, location, url)
    for client, name in ((admin.external_locations, location), (admin.storage_credentials, credential)):
        try:
            client.delete(name, force=True)
        except DatabricksError as error:
            assert str(error.error_code).endswith("_DOES_NOT_EXIST")


@pytest.fixture
def catalog(admin: WorkspaceClient, place: Place) -> Iterator[str]:
    name = unique("cat")
    admin.catalogs.create(name, storage_root=f"{place.url}managed/")
    yield name
    admin.catalogs.delete(name, force=True)


@pytest.fixture
def me(admin: WorkspaceClient) -> str:
    return str(admin.current_user.me().user_name)


@pytest.fixture
def job(member: WorkspaceClient) -> str:
    return str(member.current_user.me().user_name)
