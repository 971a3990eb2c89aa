"""Proxy of a policy pack: starts it once its stack is known, then forwards every call.

A pack reads its stack's name and configuration from its environment, but the engine sends them only by a call to the
running pack (ConfigureStack). So the engine gets this proxy's port; the pack itself starts when that call, or any call
that does not wait for it (`pulumi policy publish` has no stack), has come.
"""

from __future__ import annotations

import json
import threading
from concurrent import futures
from typing import Any

from localcloud.engine.language_host.protocol import analyzer_pb2, grpc

MESSAGE_SIZES = [
    ("grpc.max_send_message_length", 400 * 1024 * 1024),  # the engine's own limit
    ("grpc.max_receive_message_length", 400 * 1024 * 1024),
]
_SERVICE = "/pulumirpc.Analyzer/"
_START_SECONDS = 120


class PolicyPackProxy:
    """`port` serves the engine. Start the pack with `environment()`, `attach` its port, and in the end `close`."""

    def __init__(self) -> None:
        self._stack_known = threading.Event()
        self._stack: bytes | None = None
        self._attached = threading.Event()
        self._channel: Any = None
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=MESSAGE_SIZES)
        self._server.add_generic_rpc_handlers((_Handler(self),))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def environment(self) -> dict[str, str]:
        """Wait for the stack; return its variables for the SDK's runner, or none without a stack."""
        self._stack_known.wait()
        if self._stack is None:
            return {}
        stack = analyzer_pb2.AnalyzerStackConfigureRequest.FromString(self._stack)
        variables = {
            "PULUMI_ORGANIZATION": stack.organization,
            "PULUMI_PROJECT": stack.project,
            "PULUMI_STACK": stack.stack,
            "PULUMI_DRY_RUN": "true" if stack.dry_run else "false",
            "PULUMI_CONFIG": json.dumps(dict(stack.config)),
        }
        return {name: value for name, value in variables.items() if value}

    def attach(self, port: int) -> None:
        """Tell the pack at `port` its stack, and let the waiting calls go on."""
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=MESSAGE_SIZES)
        grpc.channel_ready_future(self._channel).result(_START_SECONDS)
        if self._stack is not None:
            try:
                self._channel.unary_unary(f"{_SERVICE}ConfigureStack")(self._stack)
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:  # older SDKs have no such call
                    raise
        self._attached.set()

    def close(self) -> None:
        """End the proxy; calls that still wait for the pack fail."""
        self._stack_known.set()
        self._attached.set()
        self._server.stop(grace=None)
        if self._channel is not None:
            self._channel.close()

    def call(self, method: str, request: bytes, context: Any) -> bytes:
        """Answer one call of the engine, as bytes in and bytes out."""
        if method == f"{_SERVICE}Handshake":
            return b""
        if method == f"{_SERVICE}ConfigureStack":
            self._stack = request
            self._stack_known.set()
            return b""
        self._stack_known.set()
        self._attached.wait()
        if self._channel is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the policy pack ended before it served; see its output above")
        try:
            answer: bytes = self._channel.unary_unary(method)(request)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise AssertionError("abort raises") from error
        return answer


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    def __init__(self, proxy: PolicyPackProxy) -> None:
        self._proxy = proxy

    def service(self, call: Any) -> Any:
        method = call.method
        if not method.startswith(_SERVICE):
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self._proxy.call(method, request, context))
