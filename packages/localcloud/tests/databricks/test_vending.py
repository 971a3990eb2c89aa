"""Scope of the credentials of Unity Catalog: as much of an external location as holds nothing of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import pytest
from localcloud.arm.authorization import Authorization
from localcloud.arm.resource_types import ResourceTypes
from localcloud.arm.store import ResourceStore
from localcloud.core.context import Context, Principal
from localcloud.core.database import Database
from localcloud.core.resource import Resource
from localcloud.core.settings import TENANT_ID, Settings
from localcloud.databricks import store
from localcloud.databricks.request import Call, Caller
from localcloud.databricks.unity import storage_urls, vending
from localcloud.databricks.unity.regions import MetastoreRegions
from localcloud.databricks.unity.securables import EXTERNAL_LOCATION, STORAGE_CREDENTIAL, VOLUME, Securable
from localcloud.databricks.unity.session import Session
from localcloud.storage.azurite_accounts import StorageFabric
from localcloud.testing.databricks_service import CONNECTOR, GROUP

ROOT = "abfss://data@stlake.dfs.core.windows.net"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stlake"
CONNECTOR_ID = Principal("connector", "connector", TENANT_ID, "connector")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Return the owner of an external location ROOT/lake, whose access connector can write to the account."""
    settings = Settings(home=tmp_path, cache=tmp_path / "cache")
    database = Database(settings.database)
    store.create_schema(database)
    resources = ResourceStore(database)
    workspace = Resource(
        id=f"{GROUP}/providers/Microsoft.Databricks/workspaces/dbw", type="Microsoft.Databricks/workspaces", name="dbw",
        location="westeurope",
    )  # fmt: skip
    resources.put(workspace)
    resources.put(
        Resource(
            id=CONNECTOR, type="Microsoft.Databricks/accessConnectors", name="dbac-test",
            identity={"type": "SystemAssigned", "principalId": CONNECTOR_ID.object_id, "tenantId": TENANT_ID},
        )
    )  # fmt: skip
    resources.put(
        Resource(
            id=ACCOUNT, type="Microsoft.Storage/storageAccounts", name="stlake",
            properties={"provisioningState": "Succeeded"}, private={"keys": ["a2V5", "a2V5"]},
        )
    )  # fmt: skip
    authorization = Authorization(resources)
    authorization.assign(CONNECTOR_ID, "Storage Blob Data Contributor", ACCOUNT)
    directory: Any = SimpleNamespace(by_object_id={CONNECTOR_ID.object_id: CONNECTOR_ID}.get)
    context = Context(
        settings=settings, database=database, identities=directory, authorizer=authorization,
        storage=StorageFabric(settings, resources), resources=resources, types=ResourceTypes(),
    )  # fmt: skip
    services: Any = SimpleNamespace(context=context, regions=MetastoreRegions.from_environment())
    place: Any = SimpleNamespace(id="1", resource_id=workspace.id, name="dbw")
    caller = Caller(CONNECTOR_ID, "1", "me", "me", is_admin=False)
    session = Session.open(Call(services, place, caller, {}))
    keep(
        session, STORAGE_CREDENTIAL, "cred", read_only=False,
        azure_managed_identity={"access_connector_id": CONNECTOR},
    )  # fmt: skip
    keep(session, EXTERNAL_LOCATION, "lake", url=f"{ROOT}/lake", credential_name="cred", read_only=False)
    yield session
    database.close()


def keep(session: Session, securable: Securable, name: str, **fields: Any) -> None:
    isolation = {"isolation_mode": securable.isolation[0]} if securable.isolation else {}
    document = {"name": name, "full_name": name, "owner": "me", **isolation, **fields}
    session.documents.put(securable.kind, name.replace(".", "/"), document)


def test_a_credential_is_issued_for_the_location_and_not_for_a_volume(session: Session) -> None:
    parsed = storage_urls.parse(f"{ROOT}/lake/raw/day/rows.csv")
    whole = vending.vend(session, parsed, write=False)
    assert whole.place.path == "/lake"
    assert parse_qs(whole.sas)["sdd"] == ["1"] and parse_qs(whole.sas)["sp"] == ["rle"]

    keep(session, VOLUME, "main.default.files", storage_location=f"{ROOT}/lake/files")

    narrower = vending.vend(session, parsed, write=True)
    assert narrower.place.path == "/lake/raw", "a SAS for the location would open the volume's files"
    assert parse_qs(narrower.sas)["sdd"] == ["2"] and parse_qs(narrower.sas)["sp"] == ["acwdm"]
