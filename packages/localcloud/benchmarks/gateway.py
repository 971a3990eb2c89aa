"""The gateway itself: a request, the memory of a localcloud at rest, and the event loop's longest pause."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import requests
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID, TRACKING_PATH, Settings
from localcloud.gateway import deployer, instance

from packages.localcloud.benchmarks.own_cloud import own_cloud
from packages.localcloud.benchmarks.pairs import Comparison, compare

_REQUESTS = 300
_WRITERS = 4
_PROBE_SECONDS = 0.005
_MIB = 1024 * 1024
_GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg-benchmark?api-version=2024-03-01"


class _Client:
    """A persistent connection to the gateway, signed in as the deployer."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.gateway_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(settings.tls / "ca.pem")
        known = deployer.read(settings)
        form = {
            "grant_type": "client_credentials", "client_id": known.client_id,
            "client_secret": known.client_secret, "scope": "https://management.azure.com/.default",
        }  # fmt: skip
        answer = self._session.post(
            f"{self._url}/{TENANT_ID}/oauth2/v2.0/token", form, headers={"Host": "login.microsoftonline.com"}
        )
        self._arm = {"Host": "management.azure.com", "Authorization": f"Bearer {answer.json()['access_token']}"}

    def empty(self) -> None:
        self._session.get(f"{self._url}/_localcloud/ready").raise_for_status()

    def read(self) -> None:
        self._session.get(f"{self._url}{_GROUP}", headers=self._arm).raise_for_status()

    def track(self) -> None:
        """Send a request to MLflow, whose server starts with the first one."""
        address = f"{self._url}{TRACKING_PATH}/api/2.0/mlflow/experiments/get?experiment_id=0"
        self._session.get(address, headers={"Authorization": self._arm["Authorization"]}).raise_for_status()

    def write(self, value: str) -> None:
        body: dict[str, Any] = {"location": "westeurope", "tags": {"value": value}}
        self._session.put(f"{self._url}{_GROUP}", json=body, headers=self._arm).raise_for_status()


def measure_request(pairs: int) -> Comparison:
    """Compare reading a resource with the server's empty route, request after request on one connection."""
    with own_cloud() as (settings, _):
        client = _Client(settings)
        client.write("0")

        def many(request: Callable[[], None]) -> None:
            for _ in range(_REQUESTS):
                request()

        return compare(
            f"{_REQUESTS} reads of a resource",
            lambda: many(client.read),
            "an empty route of the same server",
            lambda: many(client.empty),
            aim=3,
            pairs=pairs,
        )


def measure_memory(pairs: int) -> Comparison:
    """Compare all processes of a localcloud at rest with its Azurite and MLflow alone. `pairs` samples."""
    with own_cloud() as (settings, _):
        current = instance.running(settings)
        assert current is not None
        gateway = psutil.Process(current.pid)
        _Client(settings).track()
        time.sleep(5)  # at rest: the rest of the start is done
        samples = []
        for _ in range(pairs):
            others = sum(process.memory_info().rss for process in gateway.children(recursive=True))
            samples.append((gateway.memory_info().rss + others, others))
            time.sleep(1)
        return Comparison(
            "memory at rest", "Azurite and MLflow alone", 1.3, [all_ / _MIB for all_, _ in samples],
            [others / _MIB for _, others in samples], unit="MiB",
        )  # fmt: skip


def measure_pause(pairs: int) -> Comparison:
    """Compare the slowest answer of the empty route during writes with the slowest one without."""
    with own_cloud() as (settings, _):
        probe, writers = _Client(settings), [_Client(settings) for _ in range(_WRITERS)]

        def slowest(seconds: float) -> float:
            end, result = time.perf_counter() + seconds, 0.0
            while time.perf_counter() < end:
                began = time.perf_counter()
                probe.empty()
                result = max(result, time.perf_counter() - began)
                time.sleep(_PROBE_SECONDS)
            return result * 1000

        def busy() -> float:
            stop = threading.Event()

            def work(client: _Client, number: int) -> None:
                count = 0
                while not stop.is_set():
                    client.write(f"{number}-{count}")
                    count += 1

            threads = [threading.Thread(target=work, args=(client, number)) for number, client in enumerate(writers)]
            for thread in threads:
                thread.start()
            try:
                return slowest(5)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()

        measured = [(busy(), slowest(5)) for _ in range(pairs)]
    return Comparison(
        f"longest pause, {_WRITERS} writers", "at rest", None, [a for a, _ in measured], [b for _, b in measured],
        unit="ms",
    )  # fmt: skip
