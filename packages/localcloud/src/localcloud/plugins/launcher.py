"""Program that the engine starts for a plugin: it requests a process from the plugin host and represents it.

Importing a plugin's needs takes most of a second, forking a process that has imported them a few milliseconds. The
first launcher of a PULUMI_HOME starts the host (localcloud/plugins/host.py), which forks a process for each engine and
exits without requests for some time. Without a host, the launcher becomes the plugin itself.

    python -I -S -c '...main()' PULUMI_HOME azure_native [arguments of the engine]

Imports the standard library alone, and little of it: that is the point.

The host's socket is a file of the user's own folder that only the user may open. The requests hold the environment, in
which there are secrets: they go to the forked process, never to the host.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Sequence

STARTED, ENDED = b"+", b"."
"""Answers of a forked plugin: it has the request; it has exited in order."""
INTERRUPT, TERMINATE = b"I", b"T"
"""Signals that are passed on. A launcher that is gone is a signal too."""
END_HOST = b"end"
"""Instead of a plugin's name: the host is to exit."""
_CODE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120 - quicker
SOCKET = "plugin-host.sock"
LENGTH_BYTES = 16
_LOCK, _LOG = "plugin-host.lock", "plugin-host.log"
_ORPHAN_CHECK_SECONDS = 1.0
_START_SECONDS = 60
_LISTENER = 10
"""The descriptor under which the host gets its socket: higher than the launcher's open ones."""
_HOST = "import sys; sys.path[0] = {code!r}; from localcloud.plugins.host import main; main({descriptor}, {folder!r})"
_PLUGIN = (
    "import sys, runpy; sys.path[0] = {code!r}; "
    "runpy.run_module('localcloud.plugins.{module}', run_name='__main__', alter_sys=True)"
)
_HOST_VARIABLES = ("HOME", "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR")
"""Variables that the host inherits from the launcher that starts it: none of the engine's own."""


def main() -> None:
    """Run the plugin that the second argument names, until it or the engine exits."""
    folder, module, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    connection = _forked(folder, module)
    if connection is None:
        start = _PLUGIN.format(code=_CODE, module=module)
        os.execv(sys.executable, [sys.executable, "-u", "-c", start, *arguments])  # noqa: S606 - no shell is wanted
    sys.exit(_represent(connection))


def end_host(folder: str) -> bool:
    """Stop the host of a PULUMI_HOME, if there is one. Its forked plugins go on. Return whether there was one."""
    connection = _connected(folder)
    if connection is None:
        return False
    with connection:
        try:
            _send(connection, END_HOST, [])
            connection.recv(1)  # no answer, when it has exited
        except OSError:
            return False
    return True


def _forked(folder: str, module: str) -> socket.socket | None:
    """Return the connection to a plugin forked for this process, None if there is no host that forks one."""
    # A host whose code has changed exits instead of answering: the second one is new.
    for _ in range(2):
        try:
            connection = _connected(folder) or _started(folder)
        except OSError:
            return None
        try:
            connection.settimeout(_START_SECONDS)
            environment = [b"%b=%b" % pair for pair in os.environb.items()]
            _send(connection, module.encode(), [os.getcwdb(), *environment])  # noqa: PTH109 - pathlib takes long
            if connection.recv(1) == STARTED:
                return connection
        except OSError:
            pass
        connection.close()
    return None


def _address(descriptor: int) -> str:
    """Return the path of the host's socket by an open descriptor of its folder: an address has at most 107 bytes."""
    return f"/proc/self/fd/{descriptor}/{SOCKET}"


def _connected(folder: str) -> socket.socket | None:
    """Return a connection to the host that listens, None if none does. Raises OSError."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(_address(descriptor))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        return None
    finally:
        os.close(descriptor)
    if not is_own_user(connection):
        connection.close()
        raise PermissionError(f"{folder}/{SOCKET} is another user's")
    return connection


def is_own_user(connection: socket.socket) -> bool:
    """Whether the process at the other end is of this user."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)  # struct ucred: pid, uid, gid
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.getuid()


def _started(folder: str) -> socket.socket:
    """Start a host, unless another launcher just did. Return the connection, which it accepts when it is ready."""
    lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # noqa: PTH118
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        connection = _connected(folder)
        if connection is None:
            _start(folder)
            connection = _connected(folder)
    finally:
        os.close(lock)
    if connection is None:
        raise ConnectionRefusedError(folder)
    return connection


def _start(folder: str) -> None:
    """Start the host and listen for it: it inherits the listening socket."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    log = os.open(os.path.join(folder, _LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)  # noqa: PTH118
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX)
    try:
        path = _address(descriptor)
        if os.path.lexists(path):
            os.unlink(path)  # noqa: PTH108
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(128)
        streams = ((null, 0), (log, 1), (log, 2), (listener.fileno(), _LISTENER))
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", _HOST.format(code=_CODE, descriptor=_LISTENER, folder=folder)],
            {name: os.environ[name] for name in _HOST_VARIABLES if name in os.environ},
            file_actions=[(os.POSIX_SPAWN_DUP2, source, target) for source, target in streams],
            setsid=True,
        )
    finally:
        listener.close()
        for opened in (descriptor, log, null):
            os.close(opened)


def _send(connection: socket.socket, name: bytes, fields: Sequence[bytes]) -> None:
    """Send a request: its length, its fields with zero bytes between, and where the plugin is to write."""
    content = b"\0".join((name, *fields))
    socket.send_fds(connection, [b"%0*d" % (LENGTH_BYTES, len(content))], [1, 2])
    connection.sendall(content)


def _represent(connection: socket.socket) -> int:
    """Pass signals on until the plugin has exited, or until the engine is gone. Return the exit code."""
    engine = os.getppid()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a host that this process has started and that exits first
    signal.signal(signal.SIGINT, lambda *_: _pass(connection, INTERRUPT))
    signal.signal(signal.SIGTERM, lambda *_: _pass(connection, TERMINATE))
    connection.settimeout(_ORPHAN_CHECK_SECONDS)
    # The plugin has them: their reader has to see its exit.
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    last = b""
    while os.getppid() == engine:
        try:
            received = connection.recv(16)
        except TimeoutError:
            continue
        except OSError:
            break
        if not received:
            break
        last = received[-1:]
    return 0 if last == ENDED else 1


def _pass(connection: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):  # it has exited, which is noticed where its answers are read
        connection.send(message)
