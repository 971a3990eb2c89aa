"""Forks plugins for launchers (localcloud/plugins/launcher.py): one process that has imported both plugins' needs.

Each engine has a process for each of its providers, forked for it, with its environment, its working folder and its
streams, which exits with it. The host itself has no environment of an engine, reads no request and calls no service.

It exits without requests for a while, when its socket is no longer its folder's, and when its code or the installed
packages have changed since it was started.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from localcloud.plugins import launcher
from localcloud.plugins.azure_native.provider import AzureNative
from localcloud.plugins.databricks.provider import Databricks
from localcloud.plugins.serving import serve

_IDLE_SECONDS = 20 * 60
_CHECK_SECONDS = 5.0
_PACKAGE = Path(__file__).resolve().parents[1]
_Factory = tuple[Callable[[], AzureNative | Databricks], str]
_PLUGINS: Mapping[str, _Factory] = {
    "azure_native": (AzureNative, version("pulumi-azure-native")),
    "databricks": (Databricks, version("pulumi-databricks")),
}


def main(descriptor: int, folder: str) -> None:
    """Fork a plugin for each connection to the listening socket `descriptor`. `folder` is PULUMI_HOME."""
    _close_others(descriptor)
    stamp = _stamp()
    _import_for_later()
    if threading.active_count() > 1 or len(list(Path("/proc/self/task").iterdir())) > 1:
        sys.exit("An import has started a thread, whose locks a forked process would wait for.")
    gc.collect()
    gc.freeze()  # a collection in a forked process would copy every page that the host has filled
    listener = socket.socket(fileno=descriptor)
    place = Path(folder) / launcher.SOCKET
    mark = _mark(place)

    def leave() -> None:
        # Before it stops listening: a launcher that is refused puts a new socket there.
        if _mark(place) == mark:
            with contextlib.suppress(FileNotFoundError):
                place.unlink()
        os._exit(0)

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the plugins
    signal.signal(signal.SIGTERM, lambda *_: leave())
    listener.settimeout(_CHECK_SECONDS)
    last_request = time.monotonic()
    while time.monotonic() - last_request < _IDLE_SECONDS and _mark(place) == mark:
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        if _stamp() != stamp:
            break
        last_request = time.monotonic()
        if launcher.is_own_user(connection) and os.fork() == 0:
            listener.close()
            _answer(connection)
        connection.close()
    leave()


def _close_others(descriptor: int) -> None:
    """Close the launcher's inherited files: the pipe of a shell, whose reader would wait for this process."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - the numbers alone
        if int(name) > 2 and int(name) != descriptor:
            with contextlib.suppress(OSError):  # the descriptor of this listing
                os.close(int(name))


def _import_for_later() -> None:
    """Import the modules that plugins import when they sign in."""
    import jwt
    from azure import identity
    from azure.mgmt import core
    from databricks.sdk import core as databricks_core
    from databricks.sdk.errors import platform

    from localcloud.plugins.databricks import sign_in

    _ = (jwt, identity, core, databricks_core, platform, sign_in)


def _mark(file: Path) -> tuple[int, int] | None:
    """Return a mark that distinguishes a file from another one of the same name, None if it is gone."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_ino, stat.st_ctime_ns


def _stamp() -> list[tuple[str, int, int]]:
    """Return the times and sizes of this code, and the time of the last installation of a package."""
    files = [Path(sysconfig.get_path("purelib"))]
    for folder in (_PACKAGE / "plugins", _PACKAGE / "core"):
        files += [file for file in folder.rglob("*") if file.suffix in {".py", ".json"}]
    stats = ((file, file.stat()) for file in sorted(files))
    return [(str(file), stat.st_mtime_ns, stat.st_size) for file, stat in stats]


def _answer(connection: socket.socket) -> None:
    """Become the plugin that the launcher requests. It runs in a process of its own, and ends it."""
    code = 1
    try:
        host = os.getppid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
        name, fields, streams = _received(connection)
        if name == launcher.END_HOST:
            os.kill(host, signal.SIGTERM)
            while os.getppid() == host:
                time.sleep(0.01)
        elif name.decode() in _PLUGINS:
            _become(fields, streams)
            connection.sendall(launcher.STARTED)
            provider, version_ = _PLUGINS[name.decode()]
            serve(provider(), version_, connection)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # The interpreter's exit handlers are left out: they are the host's.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _received(connection: socket.socket) -> tuple[bytes, list[bytes], list[int]]:
    """Return the request's name and fields, and the descriptors of the engine's streams."""
    length, streams, _, _ = socket.recv_fds(connection, launcher.LENGTH_BYTES, 2)
    content = bytearray()
    while len(content) < int(length):
        part = connection.recv(int(length) - len(content))
        if not part:
            raise ConnectionError("The launcher is gone.")
        content += part
    name, *fields = bytes(content).split(b"\0")
    return name, fields, streams


def _become(fields: list[bytes], streams: list[int]) -> None:
    """Take over the launcher's working folder, variables and streams."""
    for source, target in zip(streams, (1, 2), strict=True):
        os.dup2(source, target)
        os.close(source)
    folder, *variables = fields
    os.chdir(folder)
    os.environ.clear()
    for variable in variables:
        variable_name, _, value = variable.partition(b"=")
        os.environb[variable_name] = value
    time.tzset()
