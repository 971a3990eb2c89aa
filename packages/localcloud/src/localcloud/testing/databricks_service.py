"""A Databricks service on a port of its own, with the real ARM store and role checks.

Entra is the one thing that is not real here: `_Directory` hands out opaque tokens, so that these tests can speak as
any principal. Tests through the whole gateway are beside these, in test_storage.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvicorn
from databricks.sdk import WorkspaceClient
from starlette.applications import Starlette

from localcloud.arm.authorization import Authorization
from localcloud.arm.resource_types import ResourceTypes
from localcloud.arm.store import ResourceStore
from localcloud.core.context import Context, Principal
from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID, Settings, load_settings
from localcloud.databricks import service

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg-test"
CONNECTOR = f"{GROUP}/providers/Microsoft.Databricks/accessConnectors/dbac-test"


class _Directory:
    """Tokens are the principals' names."""

    def __init__(self) -> None:
        self.principals = {name: self._principal(name) for name in ("deployer", "job", "stranger")}

    def authenticate(self, authorization: str | None, audiences: frozenset[str]) -> Principal:
        principal = self.principals.get((authorization or "").removeprefix("Bearer "))
        if principal is None:
            raise ServiceError(401, "InvalidAuthenticationToken", "The access token is invalid.")
        return principal

    def by_app_id(self, app_id: str) -> Principal | None:
        return next((item for item in self.principals.values() if item.app_id == app_id), None)

    def grant_workload(self, app_ids: object, default_app_id: str) -> str:
        return uuid.uuid4().hex

    def revoke_workload(self, secret: str) -> None:
        """Assert that no token was requested."""

    @staticmethod
    def _principal(name: str) -> Principal:
        return Principal(str(uuid.uuid4()), str(uuid.uuid4()), TENANT_ID, name)


@pytest.fixture(scope="session")
def directory() -> _Directory:
    return _Directory()


@pytest.fixture(scope="session")
def databricks_url(tmp_path_factory: pytest.TempPathFactory, directory: _Directory) -> Iterator[str]:
    """Serve a workspace "dbw-test"; the deployer is Contributor on the subscription."""
    home: Path = tmp_path_factory.mktemp("databricks")
    settings = Settings(home=home, cache=load_settings().cache)
    database = Database(settings.database)
    store = ResourceStore(database)
    authorization = Authorization(store)
    authorization.assign(directory.principals["deployer"], "Contributor", f"/subscriptions/{SUBSCRIPTION_ID}")
    properties = {"workspaceUrl": "127.0.0.1", "workspaceId": "7405600000000001", "createdDateTime": "2026-11-24"}
    workspace = f"{GROUP}/providers/Microsoft.Databricks/workspaces/dbw-test"
    store.put(
        Resource(
            id=workspace, type="Microsoft.Databricks/workspaces", name="dbw-test", location="westeurope",
            properties=properties,
        )
    )  # fmt: skip
    connector = Resource(
        id=CONNECTOR, type="Microsoft.Databricks/accessConnectors", name="dbac-test", location="westeurope",
        identity={"type": "SystemAssigned", "principalId": str(uuid.uuid4()), "tenantId": TENANT_ID},
    )  # fmt: skip
    store.put(connector)
    context = Context(
        settings=settings, database=database, identities=directory, authorizer=authorization,  # type: ignore[arg-type]
        storage=None, resources=store, types=ResourceTypes(),  # type: ignore[arg-type]
    )  # fmt: skip
    databricks = service.build(context)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        for hook in context.on_start:
            await hook()
        yield
        await context.tasks.close()
        for hook in context.on_stop:
            await hook()

    app = Starlette(routes=[*databricks.local_routes, *databricks.page_routes, *databricks.routes], lifespan=lifespan)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),), name="databricks")
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server must come up"
        thread.join(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(30)
    database.close()


@pytest.fixture(scope="session")
def admin(databricks_url: str) -> WorkspaceClient:
    return WorkspaceClient(host=databricks_url, token="deployer", auth_type="pat")


@pytest.fixture(scope="session")
def member(databricks_url: str, admin: WorkspaceClient, directory: _Directory) -> WorkspaceClient:
    """Return a service principal that is in the workspace and has nothing else."""
    admin.service_principals.create(application_id=directory.principals["job"].app_id, display_name="job")
    return WorkspaceClient(host=databricks_url, token="job", auth_type="pat")


@pytest.fixture(scope="session")
def stranger(databricks_url: str) -> WorkspaceClient:
    """Return a principal of the tenant that the workspace does not know."""
    return WorkspaceClient(host=databricks_url, token="stranger", auth_type="pat")


@pytest.fixture
def folder(admin: WorkspaceClient) -> Iterator[str]:
    path = f"/Shared/test-{uuid.uuid4().hex[:8]}"
    admin.workspace.mkdirs(path)
    yield path
    admin.workspace.delete(path, recursive=True)
