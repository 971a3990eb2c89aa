"""An operation that cannot be started leaves its resource unchanged, and free."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from localcloud.arm.exclusive import Exclusive
from localcloud.arm.operations import Operations
from localcloud.arm.resource_types import Call
from localcloud.arm.resources import Resources
from localcloud.arm.store import ResourceStore
from localcloud.core.context import Context, Principal
from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource

ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/account"
CALL = Call(Principal("o", "a", "t", "someone"), "2024-01-01", "https://management.azure.com")


class Broken(Operations):
    """Operations that cannot be stored."""

    def start(self, *arguments: Any, **options: Any) -> Any:
        raise OSError("the disk is full")


@pytest.mark.parametrize("exists", [True, False])
def test_a_failed_start_leaves_the_resource_unchanged_and_free(tmp_path: Path, exists: bool) -> None:
    database = Database(tmp_path / "state.db")
    store = ResourceStore(database)
    context = cast(Context, SimpleNamespace(database=database, resources=store))
    resources = Resources(context, Broken(context))
    account = Resource(ID, "Microsoft.Storage/storageAccounts", "account")
    if exists:
        store.put(account)
    exclusive = Exclusive()
    claim = exclusive.claim(account, account)
    with pytest.raises(ServiceError, match="requires exclusive access"):
        exclusive.claim(account, account)

    async def work() -> None:
        raise AssertionError("the operation was not started")

    with pytest.raises(OSError, match="the disk is full"):
        resources._start("put", account.copy(), "Updating" if exists else "Creating", work, CALL, claim)

    left = store.get(ID)
    assert (left and left.state) == ("Succeeded" if exists else None)
    exclusive.claim(account, account)


def test_a_claim_released_twice_does_not_free_the_next_one() -> None:
    exclusive, account = Exclusive(), Resource(ID, "Microsoft.Storage/storageAccounts", "account")
    first = exclusive.claim(account, account)
    first.release()
    exclusive.claim(account, account)

    first.release()

    with pytest.raises(ServiceError, match="requires exclusive access") as refusal:
        exclusive.claim(account, account)
    assert (refusal.value.status, refusal.value.code) == (409, "StorageAccountOperationInProgress")
