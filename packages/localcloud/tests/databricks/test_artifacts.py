"""The signed URLs of MLflow's artifacts, by MLflow's own client for Azure Blob Storage."""

from __future__ import annotations

import base64
import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.settings import Settings
from localcloud.databricks import store
from localcloud.databricks.request import Workspace
from localcloud.databricks.tracking.artifacts import ROUTE, Artifacts
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(Settings(home=tmp_path, cache=tmp_path / "cache"))


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    database = Database(tmp_path / "localcloud.db")
    store.create_schema(database)
    yield Workspace("1", "adb-1.1.azuredatabricks.net", "/id", "dbw", store.Documents(database, "1@now"))
    database.close()


@pytest.fixture
def client(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """Return a client of the route, which MLflow's own functions use."""
    route = Route(ROUTE + "/{name}", artifacts.answer, methods=["GET", "HEAD", "PUT"])
    client = TestClient(Starlette(routes=[route]), base_url="https://adb-1.1.azuredatabricks.net")

    def request(method: str, url: str, **options: Any) -> Any:
        return contextlib.nullcontext(
            client.request(method, url, content=options.get("data"), headers=options.get("headers"))
        )

    monkeypatch.setattr("mlflow.utils.rest_utils.cloud_storage_http_request", request)
    return client


def test_a_file_is_put_in_blocks_and_read_back(artifacts: Artifacts, workspace: Workspace, client: TestClient) -> None:
    from mlflow.azure.client import put_block, put_block_list

    url = artifacts.credential(workspace, "7/run", "deep/model.bin", "w")["signed_uri"]
    blocks = [base64.b64encode(uuid.uuid4().hex.encode()).decode() for _ in range(2)]
    for block, data in zip(blocks, (b"first ", b"second"), strict=True):
        put_block(url, block, data, {})
    put_block_list(url, blocks, {})
    answer = client.get(artifacts.credential(workspace, "7/run", "deep/model.bin", "r")["signed_uri"])
    assert (answer.status_code, answer.content) == (200, b"first second")
    assert artifacts.listed(workspace, "7/run", "") == [{"path": "deep", "is_dir": True}]
    assert artifacts.listed(workspace, "7/run", "deep") == [
        {"path": "deep/model.bin", "is_dir": False, "file_size": 12}
    ]
    artifacts.forget({"another"})
    assert artifacts.listed(workspace, "7/run", "") == []


def test_a_url_opens_only_its_own_file_for_its_own_operation(
    artifacts: Artifacts, workspace: Workspace, client: TestClient
) -> None:
    reading = artifacts.credential(workspace, "7/run", "a", "r")["signed_uri"]
    other = artifacts.credential(workspace, "7/run", "b", "r")["signed_uri"]
    assert client.get(reading).status_code == 404
    for method, url in (
        ("PUT", reading),
        ("PUT", reading.replace("sp=r", "sp=w")),
        ("GET", reading.replace("se=", "se=9")),
        ("GET", other.split("?")[0] + "?" + reading.split("?")[1]),
        ("GET", reading.split("?")[0]),
    ):
        answer = client.request(method, url, content=b"x")
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED"), (method, url)


def test_a_request_beyond_its_url_is_refused(artifacts: Artifacts, workspace: Workspace, client: TestClient) -> None:
    writing = artifacts.credential(workspace, "7/run", "a", "w")["signed_uri"]
    reading = artifacts.credential(workspace, "7/run", "a", "r")["signed_uri"]
    place, query = reading.split("?")
    for url in (
        f"{ROUTE}/a?{query}", f"{ROUTE}/%C3%A9?{query}", f"{ROUTE}/_w==?{query}", f"{place}?se=9&sp=r&sig=%C3%A9",
    ):  # fmt: skip
        answer = client.get(url)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED"), url
    for method, url in (("PUT", writing), ("GET", reading)):
        answer = client.request(method, f"{url}&comp=metadata")
        assert (answer.status_code, answer.json()["error_code"]) == (501, "NOT_IMPLEMENTED"), method
        assert f"{method} with comp=metadata" in answer.json()["message"]
    assert client.get(reading).status_code == 404, "nothing was written"


def test_a_file_replaces_no_folder_and_leaves_nothing_behind(
    artifacts: Artifacts, workspace: Workspace, client: TestClient, tmp_path: Path
) -> None:
    def put(path: str) -> Any:
        return client.put(artifacts.credential(workspace, "7/run", path, "w")["signed_uri"], content=b"text")

    assert put("a/b").status_code == 201
    for path in ("a", "a/b/c"):
        assert (put(path).status_code, put(path).text) == (409, "ResourceTypeMismatch"), path
    assert artifacts.listed(workspace, "7/run", "") == [{"path": "a", "is_dir": True}]
    assert [file.name for file in tmp_path.glob("databricks-artifacts/**/*") if file.is_file()] == ["b"]


def test_an_interrupted_upload_leaves_nothing(artifacts: Artifacts, workspace: Workspace, client: TestClient) -> None:
    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionResetError("the client is gone")

    url = artifacts.credential(workspace, "7/run", "model.bin", "w")["signed_uri"]
    with pytest.raises(ConnectionResetError):
        client.put(url, content=broken())
    assert artifacts.listed(workspace, "7/run", "") == []


@pytest.mark.parametrize("path", ["", "..", "../other/a", "a//b", "/etc/passwd", "a/./b", "é" * 128])
def test_a_path_out_of_the_artifacts_is_refused(artifacts: Artifacts, workspace: Workspace, path: str) -> None:
    with pytest.raises(ServiceError) as caught:
        artifacts.credential(workspace, "7/run", path, "w")
    assert (caught.value.status, caught.value.code) == (400, "INVALID_PARAMETER_VALUE")
