"""Permissions on the experiments of a workspace, for every spelling of a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from localcloud.core.context import Principal
from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.tracking import TrackingServer
from localcloud.databricks import store, workspace_objects
from localcloud.databricks.request import Call, Caller, Workspace
from localcloud.databricks.tracking import service
from mlflow.protos.service_pb2 import SearchRuns
from mlflow.utils.proto_json_utils import parse_dict

EXPERIMENTS = {"1": "/Users/me/mine", "2": "/Users/other/theirs"}
RUNS = {"r1": "1", "r2": "2"}


class Server:
    """Knows the experiments and runs above, and keeps the other requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []

    async def call(
        self, workspace: Any, method: str, path: str, body: Any = None, params: Any = None
    ) -> dict[str, Any]:
        if (method, path) == ("GET", "runs/get") and set(params) == {"run_id"}:
            return {"run": {"info": {"experiment_id": RUNS[params["run_id"]]}}}
        if (method, path) == ("GET", "experiments/get") and set(params) == {"experiment_id"}:
            return {"experiment": {"name": EXPERIMENTS[params["experiment_id"]]}}
        self.requests.append((method, path, body if params is None else params))
        return {}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    database = Database(tmp_path / "localcloud.db")
    store.create_schema(database)
    documents = store.Documents(database, "1@now")
    workspace_objects.ensure_roots(documents)
    for name in ("me", "other"):
        workspace_objects.ensure_home(documents, name)
    yield Workspace("1", "adb-1.1.azuredatabricks.net", "/id", "dbw", documents)
    database.close()


def ask(server: Server, workspace: Workspace, operation: str, **parameters: Any) -> dict[str, Any]:
    context: Any = SimpleNamespace(offered={TrackingServer: server}, resources={"/id": object()})
    services: Any = SimpleNamespace(context=context)
    caller = Caller(Principal("o", "me", "t", "me"), "7", "me", "me", is_admin=False)
    method, path = operation.split(" ")
    return asyncio.run(service.answer(Call(services, workspace, caller, parameters), method, path))


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("POST runs/search", {"experiment_ids": ["2"]}),
        ("POST runs/search", {"experiment_ids": ["2"], "run_id": "r1"}),
        ("POST runs/search", {"experiment_ids": ["1", "2"]}),
        ("POST experiments/delete", {"experiment_id": "2", "run_id": "r1"}),
        ("POST runs/create", {"experiment_id": "2", "experiment_ids": ["1"]}),
        ("POST runs/update", {"run_id": "r1", "run_uuid": "r2"}),
        ("GET runs/get", {"run_id": "r2", "run_uuid": "r1"}),
        ("POST experiments/update", {"experiment_id": "1", "new_name": "/Users/other/taken"}),
    ],
)
def test_others_experiments_are_closed(
    server: Server, workspace: Workspace, operation: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(ServiceError) as caught:
        ask(server, workspace, operation, **parameters)
    assert (caught.value.status, caught.value.code) == (403, "PERMISSION_DENIED")
    assert server.requests == []


def test_a_field_is_not_accepted_by_its_other_name(server: Server, workspace: Workspace) -> None:
    request = SearchRuns()
    parse_dict({"experimentIds": ["2"]}, request)
    assert list(request.experiment_ids) == ["2"], "MLflow reads both"

    with pytest.raises(ServiceError) as caught:
        ask(server, workspace, "POST runs/search", experimentIds=["2"])

    assert caught.value.status == 501 and "the field experimentIds" in caught.value.message
    assert server.requests == []


def test_nothing_is_written_without_an_experiment(server: Server, workspace: Workspace) -> None:
    with pytest.raises(ServiceError) as caught:
        ask(server, workspace, "POST runs/create", run_name="a")
    assert (caught.value.code, caught.value.message) == (
        "INVALID_PARAMETER_VALUE", "Missing required field: experiment_id",
    )  # fmt: skip
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("mine", "INVALID_PARAMETER_VALUE"),
        ("/Users/me", "RESOURCE_ALREADY_EXISTS"),
        ("/Users/me/no/folder", "RESOURCE_DOES_NOT_EXIST"),
    ],
)
def test_an_experiment_is_renamed_where_one_could_be_made(
    server: Server, workspace: Workspace, name: str, code: str
) -> None:
    for operation, field in (("POST experiments/update", "new_name"), ("POST experiments/create", "name")):
        with pytest.raises(ServiceError) as caught:
            ask(server, workspace, operation, experiment_id="1", **{field: name})
        assert caught.value.code == code, operation
    assert server.requests == []


def test_one_s_own_experiment_is_open(server: Server, workspace: Workspace) -> None:
    ask(server, workspace, "POST experiments/update", experiment_id="1", new_name="/Workspace/Users/me/new")
    ask(server, workspace, "POST runs/update", run_id="r1", run_uuid="r1")
    assert server.requests == [
        ("POST", "experiments/update", {"experiment_id": "1", "new_name": "/Users/me/new"}),
        ("POST", "runs/update", {"run_id": "r1", "run_uuid": "r1"}),
    ]
