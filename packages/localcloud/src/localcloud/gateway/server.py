"""`serve`: everything of one localcloud in one process and two children, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvicorn

from localcloud.core.errors import LocalcloudError
from localcloud.core.private_files import write_private
from localcloud.core.process_marks import write_mark
from localcloud.core.settings import Settings
from localcloud.engine import toolchain
from localcloud.gateway import children, deployer, logs, ports, services, tls
from localcloud.gateway.app import Gateway
from localcloud.gateway.connections import WatchedProtocol
from localcloud.gateway.faults import Faults
from localcloud.gateway.instance import fingerprint, gateway_mark, state_file
from localcloud.gateway.proxy import ConnectProxy
from localcloud.storage.bootstrap import ensure_state

_log = logging.getLogger("localcloud.gateway")
_GRACE_SECONDS = 5


class _Server(uvicorn.Server):
    """Signals are this process's own business: there are two servers in it."""

    def install_signal_handlers(self) -> None:
        return

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def run(settings: Settings) -> None:
    """Serve in the foreground. Raises LocalcloudError when a tool is missing or a port in use."""
    code = fingerprint()  # before the services are imported on demand: running code is not newer than this
    ports.check(settings)
    _keep_scratch_in(settings.scratch)
    logs.configure(settings.logs / "gateway.log")
    asyncio.run(_serve(settings, code))


def _keep_scratch_in(folder: Path) -> None:
    """Give this process and its children a temporary folder that localcloud clears."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(folder)
    tempfile.tempdir = None  # it may have been looked up already


async def _serve(settings: Settings, code: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tools = toolchain.find(settings)
    if tools is None:
        raise LocalcloudError("The tools are not installed: run `python -m localcloud.engine`.")
    started = time.monotonic()
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.logs.mkdir(exist_ok=True)
    write_mark(gateway_mark(settings), os.getpid())
    server_pem = tls.ensure(settings)
    faults = Faults.from_environment()
    built = services.build(settings, faults)
    principal = deployer.ensure(settings, built.directory)
    supervised = children.make(settings, tools, built.storage)
    gateway = _server(Gateway(built.routers, faults), settings.gateway_port)
    gateway.config.load()
    gateway.config.ssl = tls.server_context(server_pem)
    identity = _server(built.identity_app, settings.identity_port)
    proxy = ConnectProxy(settings)
    context = built.context
    context.start_tracking = supervised.start_later
    tasks: list[asyncio.Task[None]] = []
    try:
        supervised.start()
        await proxy.start()
        await ensure_state(built.context, built.arm.arm.resources, principal)
        for hook in context.on_start:
            await hook()
        tasks = [loop.create_task(gateway.serve()), loop.create_task(identity.serve())]
        await _accepting((gateway, identity), tasks)
        if await _unless(stop, supervised.ready()):
            _write_state(settings, code)
            _log.info("localcloud is ready at %s after %.1f s", settings.gateway_url, time.monotonic() - started)
            await _until(stop, tasks)
    finally:
        _log.info("localcloud stops")
        state_file(settings).unlink(missing_ok=True)
        await _close(built.context.tasks.close)
        for hook in reversed(context.on_stop):
            await _close(hook)
        gateway.should_exit = identity.should_exit = True
        await asyncio.wait(tasks, timeout=_GRACE_SECONDS) if tasks else None
        await _close(proxy.close)
        await _close(supervised.close)
        context.database.close()


def _server(app: Any, port: int) -> _Server:
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, http=WatchedProtocol, ws="none", lifespan="off", access_log=False,
        log_config=None, server_header=False, timeout_graceful_shutdown=2, timeout_keep_alive=75, backlog=512,
        proxy_headers=False,
    )  # fmt: skip
    return _Server(config)


async def _accepting(servers: tuple[_Server, ...], tasks: list[asyncio.Task[None]]) -> None:
    while not all(server.started for server in servers):
        for task in tasks:
            if task.done():
                task.result()
                raise LocalcloudError("the gateway ended before it was ready")
        await asyncio.sleep(0.01)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do `work`; False when a signal came first."""
    working, waiting = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait([working, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not working.done():
        working.cancel()
        return False
    working.result()
    return True


async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    waiting = asyncio.ensure_future(stop.wait())
    finished, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    for task in finished - {waiting}:
        task.result()


async def _close(close: Callable[[], Awaitable[None]]) -> None:
    try:
        await close()
    except Exception:
        _log.exception("stopping failed")


def _write_state(settings: Settings, code: str) -> None:
    """Write the process that serves this home: `start` and `status` read it."""
    state = {"pid": os.getpid(), "port": settings.port, "fingerprint": code, "started": time.time()}
    write_private(state_file(settings), json.dumps(state))
