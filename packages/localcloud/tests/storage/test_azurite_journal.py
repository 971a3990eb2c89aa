"""Azurite as localcloud runs it keeps every answered change, however its process ends."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from localcloud import storage
from localcloud.core.settings import load_settings
from localcloud.engine import provision
from localcloud.gateway.children import azurite_package
from localcloud.testing.cloud import free_port
from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

_KEY = base64.b64encode(b"a key of this test").decode()


class Azurite:
    """A process that can be killed and started again on the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        accounts = folder / "accounts.json"
        accounts.write_text(json.dumps({"secret": "00", "accounts": {"account": [_KEY, _KEY]}}))
        tools = provision.ensure(load_settings())
        self._command = [
            str(tools.node), str(Path(storage.__file__).with_name("azurite.js")), str(azurite_package(tools)),
            str(accounts),
            "--blobHost", "127.0.0.1", "--blobPort", str(self.port), "--location", str(folder), "--silent",
            "--skipApiVersionCheck", "--disableTelemetry",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "azurite.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._answer()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=30)

    def client(self) -> BlobServiceClient:
        url = f"http://127.0.0.1:{self.port}/account"
        return BlobServiceClient(url, credential=_KEY, retry_total=0)

    def journals(self) -> list[Path]:
        return sorted(self.folder.glob("*.journal"))

    @retry(retry=retry_if_exception_type(requests.ConnectionError), wait=wait_fixed(0.05), stop=stop_after_delay(60))
    def _answer(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "azurite.log").read_text()
        requests.get(f"http://127.0.0.1:{self.port}/account", timeout=10)


@pytest.fixture
def azurite(tmp_path: Path) -> Iterator[Azurite]:
    azurite = Azurite(tmp_path)
    azurite.start()
    yield azurite
    azurite.kill()


def content(container: ContainerClient) -> dict[str, bytes]:
    return {blob.name: container.download_blob(blob.name).readall() for blob in container.list_blobs()}


@pytest.mark.fault_kind("kill of Azurite right after answers")
def test_every_kind_of_change_survives_a_kill(azurite: Azurite) -> None:
    service = azurite.client()
    kept, deleted = service.create_container("kept"), service.create_container("gone")
    kept.upload_blob("replaced", b"old")
    kept.upload_blob("replaced", b"new", overwrite=True)
    kept.upload_blob("deleted", b"x")
    kept.delete_blob("deleted")
    kept.upload_blob("described", b"y")
    kept.get_blob_client("described").set_blob_metadata({"a": "b"})
    kept.upload_blob("blocks", b"z" * 9_000_000, max_concurrency=2)
    snapshot = kept.get_blob_client("replaced").create_snapshot()
    deleted.upload_blob("one", b"1")
    deleted.upload_blob("two", b"2")
    service.delete_container("gone")

    azurite.kill()
    azurite.start()

    service = azurite.client()
    kept = service.get_container_client("kept")
    assert [container.name for container in service.list_containers()] == ["kept"]
    assert content(kept) == {"blocks": b"z" * 9_000_000, "described": b"y", "replaced": b"new"}
    assert kept.get_blob_client("described").get_blob_properties().metadata == {"a": "b"}
    assert kept.get_blob_client("replaced", snapshot=str(snapshot["snapshot"])).exists()
    again = service.create_container("gone")
    assert content(again) == {}, "no blob of the deleted container comes back"


@pytest.mark.nightly
@pytest.mark.fault_kind("kill of Azurite right after answers")
def test_acknowledged_writes_survive_kills_at_any_moment(azurite: Azurite) -> None:
    azurite.client().create_container("data")
    acknowledged: dict[str, bytes] = {}
    for round_, more in enumerate((1, 7, 30, 60, 120)):
        expected = len(acknowledged) + more
        writer = threading.Thread(target=_write_until_refused, args=(azurite.client(), round_, acknowledged))
        writer.start()
        _wait_for(lambda: len(acknowledged) >= expected)  # noqa: B023 - called before the next round
        azurite.kill()
        writer.join(timeout=60)
        azurite.start()

        blobs = content(azurite.client().get_container_client("data"))
        lost = {name for name, text in acknowledged.items() if blobs.get(name) not in {text, text + b"!"}}
        assert not lost, f"{len(lost)} of {len(acknowledged)} are lost or old"


@retry(retry=retry_if_result(lambda answer: not answer), wait=wait_fixed(0.001), stop=stop_after_delay(60))
def _wait_for(condition: Callable[[], bool]) -> bool:
    return condition()


def _write_until_refused(service: BlobServiceClient, round_: int, acknowledged: dict[str, bytes]) -> None:
    """Write new blobs, and every other of them twice. A second write may be on disk without its answer."""
    container = service.get_container_client("data")
    with contextlib.suppress(AzureError):
        for number in range(10_000):
            name = f"{round_}/{number}"
            text = os.urandom(8).hex().encode()
            container.upload_blob(name, text)
            acknowledged[name] = text
            if number % 2:
                container.upload_blob(name, text + b"!", overwrite=True)
                acknowledged[name] = text + b"!"


@pytest.mark.fault_kind("kill of Azurite right after answers")
def test_a_line_cut_off_by_a_kill_is_ignored_and_the_rest_counts(azurite: Azurite) -> None:
    container = azurite.client().create_container("data")
    container.upload_blob("whole", b"1")
    azurite.kill()
    journal = next(file for file in azurite.journals() if "extent" not in file.name and file.stat().st_size)
    with journal.open("a") as stream:
        stream.write('[["$BLOBS_COLLECTION$",99,{"name":"half","acc')

    azurite.start()

    assert content(azurite.client().get_container_client("data")) == {"whole": b"1"}
    with pytest.raises(ResourceNotFoundError):
        azurite.client().get_blob_client("data", "half").download_blob()


def test_a_stop_leaves_one_file_without_a_journal(azurite: Azurite) -> None:
    azurite.client().create_container("data").upload_blob("a", b"1")

    azurite.stop()

    assert [file for file in azurite.journals() if file.stat().st_size] == []
    azurite.start()
    assert content(azurite.client().get_container_client("data")) == {"a": b"1"}
    azurite.client().get_container_client("data").upload_blob("b", b"2")
    azurite.kill()
    azurite.start()
    assert content(azurite.client().get_container_client("data")) == {"a": b"1", "b": b"2"}
