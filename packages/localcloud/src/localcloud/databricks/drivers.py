"""A Spark driver process, seen from the gateway. It executes one run; killing it kills its whole process group."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.databricks import launch

_log = logging.getLogger("localcloud.databricks")
_LINE_LIMIT = 64 * 1024 * 1024
_TAIL = 4000

OnCall = Callable[[str, dict[str, str]], Any]
"""Handler of a notebook's requests to its workspace (method, arguments). Raises ServiceError to refuse."""


async def rehearse(tools: launch.SparkTools, conf: dict[str, str], environment: dict[str, str], folder: Path) -> int:
    """Start Spark, run a notebook's usual operations, and stop it in order. Returns the exit code."""
    file = folder / "launch.json"
    launch.write(file, conf, warm_up=True)
    with (folder / "driver.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *launch.command(tools, "warm_up", str(file)),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment,
            start_new_session=True,
        )  # fmt: skip
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the process group and reap the process. Safe to repeat."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            _log.debug("driver %s had already ended", process.pid)
    await process.wait()


class DriverProcess:
    """Started by `start`. `folder` is its own: launch file, log, scratch space."""

    def __init__(self, process: asyncio.subprocess.Process, events: asyncio.StreamReader, folder: Path) -> None:
        self._process = process
        self._events = events
        self.folder = folder
        self.started_at = time.monotonic()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._exercised = asyncio.Event()
        self._run_events: asyncio.Queue[Json | None] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read(), name=f"driver {process.pid} events")

    @classmethod
    async def start(
        cls, tools: launch.SparkTools, conf: dict[str, str], environment: dict[str, str], folder: Path, *, warm_up: bool
    ) -> DriverProcess:
        file = folder / "launch.json"
        launch.write(file, conf, warm_up=warm_up)
        read_end, write_end = os.pipe()
        try:
            with (folder / "driver.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *launch.command(tools, "driver", str(file), str(write_end)),
                    stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log, pass_fds=(write_end,), cwd=folder,
                    env=environment, start_new_session=True,
                )  # fmt: skip
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        reader, pipe = asyncio.StreamReader(limit=_LINE_LIMIT), os.fdopen(read_end, "rb")
        try:
            await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
        except BaseException:
            # A cancelled caller has no driver that it could kill.
            pipe.close()
            await _kill(process)
            raise
        return cls(process, reader, folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def exercise(self) -> None:
        """Have the ready driver run the usual work of notebooks. Returns when it has, or has ended.

        A run that comes meanwhile starts after the current step, which takes a second or two.
        """
        self._send({"exercise": True})
        await self._exercised.wait()

    async def run(self, assignment: Json, on_call: OnCall, on_started: Callable[[], None]) -> Json:
        """Start its run. Returns {"result": SUCCESS | FAILED | INTERNAL_ERROR, "value" | "error", "error_trace"}.

        Raises RuntimeError when the driver did not start.
        """
        await asyncio.shield(self.ready)
        self._send({"run": assignment})
        while (event := await self._run_events.get()) is not None:
            if "result" in event:
                return event
            if "started" in event:
                on_started()
            elif "call" in event:
                try:
                    self._send({"reply": event["call"], "value": on_call(event["method"], event["arguments"])})
                except ServiceError as error:
                    self._send({"reply": event["call"], "error": f"{error.code}: {error.message}"})
        return {"result": "INTERNAL_ERROR", "error": f"The Spark driver has stopped unexpectedly. {self.log_tail()}"}

    async def kill(self) -> None:
        """End the process group at once and reap it. Safe to repeat."""
        self._reader.cancel()
        await _kill(self._process)

    def log_tail(self) -> str:
        try:
            return (self.folder / "driver.log").read_text(errors="replace")[-_TAIL:]
        except FileNotFoundError:
            return ""

    async def _read(self) -> None:
        """Sort the driver's events. At their end, waiting callers go on."""
        try:
            while line := await self._events.readline():
                event: Json = json.loads(line)
                if "ready" in event:
                    _log.info("driver %s is ready after %s s", self.pid, event["seconds"])
                    self.ready.set_result(None)
                elif "exercised" in event:
                    _log.info("driver %s: %s steps of exercise in %s s", self.pid, event["exercised"], event["seconds"])
                    self._exercised.set()
                else:
                    self._run_events.put_nowait(event)
            if not self.ready.done():
                _log.error("driver %s did not start; see %s", self.pid, self.folder / "driver.log")
        finally:
            if not self.ready.done():
                self.ready.set_exception(RuntimeError(f"The Spark driver did not start. {self.log_tail()}"))
                self.ready.exception()  # it may be unused yet; a failed warm driver is only logged
            self._exercised.set()
            self._run_events.put_nowait(None)

    def _send(self, message: Json) -> None:
        assert self._process.stdin is not None, "started with a pipe"
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
