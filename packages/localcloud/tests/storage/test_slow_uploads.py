"""An upload takes as long as its client needs: Node, which Azurite runs on, ends requests after five minutes."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from localcloud import storage
from localcloud.core.settings import load_settings
from localcloud.engine import provision
from localcloud.gateway.children import azurite_package
from localcloud.testing.cloud import free_port
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

_IMPATIENT_NODE = """
const http = require("http");
const { createServer } = http;
http.createServer = (options, ...rest) => {
  const server = createServer({ ...options, connectionsCheckingInterval: 50 }, ...rest);
  server.requestTimeout = server.headersTimeout = 300;
  return server;
};
"""
"""Node with five minutes as 0.3 seconds."""


@retry(retry=retry_if_exception_type(ConnectionRefusedError), wait=wait_fixed(0.05), stop=stop_after_delay(60))
def _connected(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.connect()
    return connection


@pytest.fixture
def azurite(tmp_path: Path) -> Iterator[http.client.HTTPConnection]:
    accounts, preload, port = tmp_path / "accounts.json", tmp_path / "impatient.js", free_port()
    accounts.write_text(json.dumps({"secret": "00", "accounts": {"account": ["YQ==", "YQ=="]}}))
    preload.write_text(_IMPATIENT_NODE)
    tools = provision.ensure(load_settings())
    command = [
        str(tools.node), "--require", str(preload), str(Path(storage.__file__).with_name("azurite.js")),
        str(azurite_package(tools)), str(accounts), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location",
        str(tmp_path), "--silent", "--skipApiVersionCheck", "--disableTelemetry",
    ]  # fmt: skip
    with subprocess.Popen(command) as process:
        connection = _connected(port)
        yield connection
        connection.close()
        process.kill()


def test_an_upload_outlasts_nodes_time_for_a_request(azurite: http.client.HTTPConnection) -> None:
    headers = {"x-localcloud-front": "00", "x-ms-version": "2024-11-04"}
    azurite.request("PUT", "/account/data?restype=container", headers=headers)
    response = azurite.getresponse()
    assert response.status == 201, response.read()
    response.read()

    azurite.putrequest("PUT", "/account/data/slow")
    for name, value in {**headers, "x-ms-blob-type": "BlockBlob", "content-length": "10"}.items():
        azurite.putheader(name, value)
    azurite.endheaders()
    for _ in range(10):
        time.sleep(0.1)
        azurite.send(b"x")
    assert azurite.getresponse().status == 201
