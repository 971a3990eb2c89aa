"""Online scoring: a request to an online endpoint, against the same model under `mlflow models serve`.

Both servers run throughout, and their requests alternate pair by pair. A client of the endpoint speaks TLS with the
gateway, which signs it in by its key and counts it; a client of MLflow's server speaks plain HTTP with it alone.
"""

from __future__ import annotations

import http.client
import json
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import jwt
import pytest
from azure.ai.ml.entities import ManagedOnlineEndpoint, OnlineRequestSettings
from azure.identity import ClientSecretCredential
from localcloud.core.settings import SUBSCRIPTION_ID, Settings
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.cloud import free_port
from localcloud.testing.online_session import FRAME, deployment, register, save
from localcloud.testing.workspace_session import make_workspace

from packages.localcloud.benchmarks.own_cloud import own_cloud
from packages.localcloud.benchmarks.pairs import Comparison

_REQUESTS = 300
_STARTS_SECONDS = 120
_HEADERS = {"Content-Type": "application/json"}
Connect = Callable[[], http.client.HTTPConnection]


def measure(clients: int, percentile: int) -> Callable[[int], Comparison]:
    """Return a benchmark of so many clients, each with a persistent connection."""

    def run(pairs: int) -> Comparison:
        endpoint_times, floor_times = [], []
        with TemporaryDirectory() as folder, _both(save(Path(folder))) as (endpoint, mlflow):
            for send in (endpoint, mlflow):
                send(clients)  # the first requests of each import and connect
            for _ in range(pairs):
                endpoint_times.append(_percentile(endpoint(clients), percentile))
                floor_times.append(_percentile(mlflow(clients), percentile))
        return Comparison(
            f"online request, p{percentile} of {clients} clients", "mlflow models serve", 1.1, endpoint_times,
            floor_times, unit="ms",
        )  # fmt: skip

    return run


Send = Callable[[int], list[float]]


@contextmanager
def _both(model: Path) -> Iterator[tuple[Send, Send]]:
    """Serve a model both ways. Yield functions that send requests by so many clients and return each one's ms."""
    with own_cloud() as (settings, environment), pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        host, key = _deploy(environment, model)
        context = ssl.create_default_context(cafile=str(settings.tls / "ca.pem"))
        context.check_hostname = False  # the gateway is at localhost, and distinguishes services by the Host header
        body = json.dumps({"input_data": FRAME})
        headers = _HEADERS | {"Host": host, "Authorization": f"Bearer {key}"}
        with _mlflow(model) as port:
            yield (
                lambda clients: _send(lambda: _gateway(settings, context), "/score", body, headers, clients),
                lambda clients: _send(
                    lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=60), "/invocations",
                    json.dumps({"dataframe_split": FRAME}), _HEADERS, clients,
                ),
            )  # fmt: skip


def _gateway(settings: Settings, context: ssl.SSLContext) -> http.client.HTTPConnection:
    return http.client.HTTPSConnection("localhost", settings.gateway_port, timeout=60, context=context)


def _deploy(environment: dict[str, str], model: Path) -> tuple[str, str]:
    """Deploy a model; return the scoring host and a key."""
    credential = ClientSecretCredential(
        environment["AZURE_TENANT_ID"], environment["AZURE_CLIENT_ID"], environment["AZURE_CLIENT_SECRET"]
    )
    token = credential.get_token("https://management.azure.com/.default").token
    claims = jwt.decode(token, options={"verify_signature": False})
    ml = make_workspace(AzureSession(credential, SUBSCRIPTION_ID, claims["tid"], claims["oid"]), unique("aml-"))
    name = unique("oep")
    endpoint = ml.client.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name=name, auth_mode="key")
    ).result()
    many = OnlineRequestSettings(request_timeout_ms=60_000, max_concurrent_requests_per_instance=64)
    blue = deployment(name, "blue", register(ml, model), request_settings=many)
    ml.client.online_deployments.begin_create_or_update(blue).result()
    endpoint.traffic = {"blue": 100}
    ml.client.online_endpoints.begin_create_or_update(endpoint).result()
    return f"{name}.westeurope.inference.ml.azure.com", ml.client.online_endpoints.get_keys(name).primary_key


@contextmanager
def _mlflow(model: Path) -> Iterator[int]:
    """Run `mlflow models serve` with its one worker. Yield its port."""
    port = free_port()
    command = [
        sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model), "--port", str(port),
        "--host", "127.0.0.1", "--env-manager", "local", "--workers", "1",
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        deadline = time.monotonic() + _STARTS_SECONDS
        while not _pings(port):
            assert server.poll() is None and time.monotonic() < deadline, "mlflow models serve does not start"
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait()


def _pings(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _send(connect: Connect, path: str, body: str, headers: dict[str, str], clients: int) -> list[float]:
    """Send _REQUESTS requests by so many clients at once; return the milliseconds of each."""
    times: list[float] = []

    def work() -> None:
        connection = connect()
        for _ in range(max(1, _REQUESTS // clients)):
            began = time.perf_counter()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            assert answer.status == 200, content
            times.append((time.perf_counter() - began) * 1000)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == clients * max(1, _REQUESTS // clients), "a client failed"
    return times


def _percentile(times: list[float], percentile: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[percentile - 1]
