"""A provider as a plugin process: gRPC on the loopback, errors as one message, a silent exit on SIGINT and SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import grpc  # type: ignore[import-untyped]
import grpc.aio  # type: ignore[import-untyped]

from localcloud.plugins import launcher
from localcloud.plugins.errors import PluginError
from localcloud.plugins.requests import Provider
from localcloud.plugins.servicer import Servicer, stubs

_ORPHAN_CHECK_SECONDS = 1.0
# Pulumi's engine and SDKs agree on these: states and programs exceed gRPC's 4 MB, and a busy event loop may take long
# to begin with a request (pulumi/runtime/_grpc_settings.py of the Python SDK).
_OPTIONS = [
    ("grpc.max_receive_message_length", 400 * 1024 * 1024),
    ("grpc.server_max_unrequested_time_in_server", 30 * 60),
]


class _Requests(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Counts the requests that are being answered, and shows users a PluginError without a Python traceback."""

    def __init__(self) -> None:
        self.under_way = 0

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        handler = await continuation(details)
        if handler is None or handler.unary_unary is None:
            return handler

        async def answer(request: Any, context: Any) -> Any:
            return await self._answer(handler.unary_unary, request, context)

        return grpc.unary_unary_rpc_method_handler(
            answer, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )

    async def _answer(self, method: Callable[[Any, Any], Awaitable[Any]], request: Any, context: Any) -> Any:
        self.under_way += 1
        try:
            return await method(request, context)
        except PluginError as error:
            message = str(error)
        finally:
            self.under_way -= 1
        # It comes last: a reader of the refusal may end the plugin at once, and an active request would delay that.
        return await context.abort(grpc.StatusCode.UNKNOWN, message)


def serve(provider: Provider, version: str, connection: socket.socket | None = None) -> None:
    """Print the port, then answer the engine until it ends the process.

    `connection` leads to the launcher that the engine has started instead of this process (localcloud/plugins/host.py).
    """
    asyncio.run(_serve(provider, version, connection))


async def _serve(provider: Provider, version: str, connection: socket.socket | None) -> None:
    requests = _Requests()
    server = grpc.aio.server(interceptors=(requests,), options=_OPTIONS)
    stubs.add_ResourceProviderServicer_to_server(Servicer(provider, version), server)
    stop = asyncio.Event()
    parent = os.getppid()
    loop = asyncio.get_running_loop()
    # The engine ends an idle plugin by SIGINT. A user's Ctrl-C reaches the whole process group: then an active
    # request goes on, and the engine cancels it in its own time.

    def interrupt() -> None:
        if not requests.under_way:
            stop.set()

    def passed_on() -> None:
        message = _read(connection) if connection else b""
        if message == launcher.INTERRUPT:
            interrupt()
        else:  # SIGTERM, or the launcher is gone
            stop.set()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if connection is not None:
        connection.setblocking(False)
        loop.add_reader(connection, passed_on)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    # A killed engine cannot end its plugins, and their answers would have no reader.
    while os.getppid() == parent:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _ORPHAN_CHECK_SECONDS)
            break
    await server.stop(None)
    # It is done here, since asyncio.run waits for threads: a thread that pauses before it repeats a request would
    # send it minutes after its engine is gone, into the next update.
    sys.stdout.flush()
    if connection is not None:
        with contextlib.suppress(OSError):  # the launcher is gone
            connection.send(launcher.ENDED)
    os._exit(0)


def _read(connection: socket.socket) -> bytes:
    """Return the launcher's last message, nothing if it is gone."""
    try:
        return connection.recv(1024)[-1:]
    except OSError:
        return b""
