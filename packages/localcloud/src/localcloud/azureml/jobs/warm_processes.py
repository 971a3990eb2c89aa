"""Python programs of jobs in processes that have imported an environment's large packages already.

A process of localcloud for each environment (localcloud/azureml/jobs/fork_server.py) imports them once, when the first
step of a pipeline needs the environment, and forks itself for each program. It exits after a while without programs,
with the gateway, and when the environment's packages have changed. docs/adr/0051 has the reasons and the limits.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from localcloud.azureml.jobs import fork_server
from localcloud.azureml.jobs.process import CommandProcess, signal_group

IDLE_SECONDS = 20 * 60.0
MODULES = (
    "numpy", "pandas", "pyarrow.parquet", "pyarrow.dataset", "pydantic", "yaml", "jinja2", "cloudpickle", "mlflow",
    "mlflow.models", "mlflow.pyfunc", "mlflow.sklearn", "scipy.stats", "sklearn.pipeline", "sklearn.preprocessing",
    "sklearn.linear_model", "sklearn.ensemble", "sklearn.inspection", "sklearn.calibration", "sklearn.metrics",
    "sklearn.model_selection", "azure.identity", "azure.storage.blob", "azureml.mlflow", "databricks.sdk",
)  # fmt: skip
"""Modules that take a tenth of a second and more, of packages that jobs on Azure ML commonly have."""
_WORTH_IT = ("mlflow", "numpy", "databricks")
"""Folders of packages of which one takes long enough to import."""
_WORD = r"[A-Za-z0-9_./:=@%+,-]+"
_PROGRAM = re.compile(rf"\s*python\s+(?!-)({_WORD}(?:\s+{_WORD})*)\s*")
"""A command without anything that a shell would replace: bash replaces itself by this one program, too."""
_NO_HOME = "/nonexistent"
"""Debian's name for it."""
_MOST_BYTES = 1 << 16
_log = logging.getLogger("localcloud.azureml")


def arguments_of(command: str) -> list[str] | None:
    """Return the arguments of a command that runs one Python file, None for any other command."""
    match = _PROGRAM.fullmatch(command)
    return match[1].split() if match else None


class WarmProcesses:
    """The fork servers of one localcloud, by environment."""

    def __init__(self, log: Path, idle_seconds: float = IDLE_SECONDS, modules: Sequence[str] = MODULES) -> None:
        self._log = log
        self._idle_seconds = idle_seconds
        self._modules = modules
        self._servers: dict[Path, _Server] = {}

    def begin(self, home: Path, variables: Mapping[str, str]) -> None:
        """Start a server for an environment that is worth one and has none, and do not wait for it.

        `variables` are common to all jobs in the environment.
        """
        server = self._servers.get(home)
        if server is not None and server.stamp == _stamp(home) and (server.failed or not server.ended):
            return
        if server is not None:
            self._drop(home)
        if any((folder / name).is_dir() for folder in _site(home) for name in _WORTH_IT):
            self._servers[home] = server = _Server(home, self._idle_seconds)
            server.start(self._log, variables, self._modules)

    async def start(
        self, home: Path, command: str, folder: Path, variables: Mapping[str, str], log: Path
    ) -> CommandProcess | None:
        """Start a command in a forked process; None where it needs a fresh Python, or no server is ready."""
        arguments, server = arguments_of(command), self._servers.get(home)
        if arguments is None or server is None:
            return None
        if server.ended or server.stamp != _stamp(home):
            return None
        # A shell adds these for the program that replaces it, and PWD.
        shell = {"SHLVL": "0", "_": str(home / "bin" / "python")}
        program = {"arguments": arguments, "folder": str(folder), "variables": {**shell, **variables}}
        forking = asyncio.create_task(server.fork(program, log))
        try:
            return await asyncio.shield(forking)
        except asyncio.CancelledError:
            forking.add_done_callback(_kill)
            raise
        except (OSError, ValueError) as error:
            _log.warning("the fork server of %s is given up: %r", home.name, error)
            server.retire()
            return None

    async def close(self) -> None:
        """End all servers, and their programs."""
        servers = list(self._servers.values())
        self._servers.clear()
        for server in servers:
            server.close()
        await asyncio.gather(*(server.exited for server in servers), return_exceptions=True)

    def _drop(self, home: Path) -> None:
        self._servers.pop(home).retire()


def _kill(forking: asyncio.Task[CommandProcess | None]) -> None:
    """Kill a program that was started for a job which was cancelled meanwhile."""
    if not forking.cancelled() and forking.exception() is None and (process := forking.result()) is not None:
        signal_group(process.pid, signal.SIGKILL)


class _Server:
    """A fork server, and its programs that have not exited."""

    def __init__(self, home: Path, idle_seconds: float) -> None:
        self._home = home
        self._idle_seconds = idle_seconds
        self.stamp = _stamp(home)
        self.ended = False
        self.failed = False
        """It has exited without having imported the packages, and another one would."""
        self._ready = self._imported = self._retired = False
        self._process: asyncio.subprocess.Process | None = None
        self._codes: dict[int, asyncio.Future[int]] = {}
        """Exit codes by process id; the message of an exit may come before the answer with the id."""
        self._programs = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._control, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setblocking(False)

    def start(self, log: Path, variables: Mapping[str, str], modules: Sequence[str]) -> None:
        self.exited = self._loop.create_task(self._run(log, variables, modules), name=f"fork server {self._home.name}")
        self._loop.add_reader(self._control, self._on_message)

    async def _run(self, log: Path, variables: Mapping[str, str], modules: Sequence[str]) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._theirs, log.open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    self._home / "bin" / "python", fork_server.__file__, str(self._theirs.fileno()), *modules,
                    cwd="/", env={**variables, "HOME": _NO_HOME}, stdin=asyncio.subprocess.DEVNULL, stdout=output,
                    stderr=output, pass_fds=[self._theirs.fileno()], start_new_session=True,
                )  # fmt: skip
            if self._retired:
                self._process.terminate()
            await self._process.wait()
        except OSError as error:
            _log.warning("no fork server for %s: %s", self._home.name, error)
        finally:
            self.failed = not self._imported and not self._retired
            self._end()

    async def fork(self, program: Mapping[str, object], log: Path) -> CommandProcess | None:
        """Start a program; None while the packages are being imported, and for one that needs a fresh Python.

        Raises OSError when the server is gone, ValueError for an answer that is none.
        """
        if not self._ready:
            return None
        self._programs += 1
        self._wait()
        try:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                with log.open("ab") as output:
                    socket.send_fds(self._control, [fork_server.FORK], [theirs.fileno(), output.fileno()])
                theirs.close()
                await self._loop.sock_sendall(ours, json.dumps(program).encode())
                ours.shutdown(socket.SHUT_WR)
                answer = json.loads(await self._loop.sock_recv(ours, _MOST_BYTES) or b"null")
            if not isinstance(answer, dict):
                raise ConnectionResetError("no answer")
            pid = int(answer["pid"])
            code = self._codes.setdefault(pid, self._loop.create_future())
        except BaseException:
            self._leave()
            raise
        code.add_done_callback(lambda _: self._forget(pid))
        if answer["refusal"] is None:
            return CommandProcess(pid, code)
        _log.info("a fresh Python runs the program in %s: %s", program["folder"], answer["refusal"])
        return None

    def retire(self) -> None:
        """Fork no more programs, and exit when the last one has."""
        self._ready, self._retired = False, True
        if not self._programs:
            self.close()

    def _on_message(self) -> None:
        try:
            message = self._control.recv(_MOST_BYTES)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._end()
        elif message == fork_server.READY:
            self._imported, self._ready = True, not self._retired
            self._wait()
        else:
            pid, code = map(int, message.split())
            self._codes.setdefault(pid, self._loop.create_future()).set_result(code)

    def _forget(self, pid: int) -> None:
        self._codes.pop(pid, None)
        self._leave()

    def _leave(self) -> None:
        self._programs -= 1
        self._wait()
        if self._retired and not self._programs:
            self.close()

    def _wait(self) -> None:
        """Retire after a time without programs."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._programs and not self.ended:
            self._timer = self._loop.call_later(self._idle_seconds, self.retire)

    def close(self) -> None:
        """End the server. Its programs count as killed."""
        self._retired = True
        self._end()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    def _end(self) -> None:
        """Note that the server forks no more, and close the socket."""
        if self.ended:
            return
        self.ended, self._ready = True, False
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._control)
        self._control.close()
        for pid, code in list(self._codes.items()):
            if not code.done():
                signal_group(pid, signal.SIGKILL)
                code.set_result(-9)


def _site(home: Path) -> list[Path]:
    return list(home.glob("lib/python*/site-packages"))


def _stamp(home: Path) -> list[tuple[int, int]]:
    """Return marks of the environment's folder of packages: another one after a build or an installation."""
    return [(stat.st_ino, stat.st_mtime_ns) for stat in (folder.stat() for folder in _site(home))]
