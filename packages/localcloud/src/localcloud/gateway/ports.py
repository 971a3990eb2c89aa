"""The five ports of a localcloud, and other programs that hold them."""

from __future__ import annotations

import socket

import psutil

from localcloud.core.errors import ConfigurationError
from localcloud.core.settings import Settings


def names(settings: Settings) -> dict[int, str]:
    """Return the purpose of each port."""
    return {
        settings.gateway_port: "the gateway", settings.proxy_port: "the proxy", settings.azurite_port: "Azurite",
        settings.mlflow_port: "MLflow", settings.identity_port: "the identity endpoint",
    }  # fmt: skip


def check(settings: Settings) -> None:
    """Check the ports. Raises ConfigurationError naming each port in use, its process, and how to choose others."""
    purposes = names(settings)
    occupied = [port for port in purposes if _in_use(port)]
    if not occupied:
        return
    holders = _holders(set(occupied))
    lines = [
        f"  {port} (for {purposes[port]}) by {holders.get(port, 'a process of another user')}" for port in occupied
    ]
    raise ConfigurationError(
        "\n".join(
            [
                f"localcloud cannot start: {'a port is' if len(occupied) == 1 else 'ports are'} in use:",
                *lines,
                "Stop their programs, or choose the first of five other ports in a row with LOCALCLOUD_PORT, such as "
                f"LOCALCLOUD_PORT={_suggestion(settings.port)}.",
            ]
        )
    )


def _suggestion(port: int) -> int:
    """Return the first of five free ports after `port`, which the message proposes."""
    for first in range(port + 100, 65000, 100):
        if not any(_in_use(first + offset) for offset in range(5)):
            return first
    return port + 100


def _in_use(port: int) -> bool:
    with socket.socket() as probe:
        # The check is the servers' own: connections that are closing down do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _holders(ports: set[int]) -> dict[int, str]:
    holders: dict[int, str] = {}
    for process in psutil.process_iter(["pid", "name"]):
        try:
            for connection in process.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports:
                    holders[connection.laddr.port] = f"process {process.pid} ({process.info['name']})"
        except psutil.Error:
            continue  # it has exited, or is another user's
    return holders
