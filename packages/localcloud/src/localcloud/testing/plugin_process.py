"""A plugin as the engine has it: its own process, spoken to over gRPC."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import grpc  # type: ignore[import-untyped]
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from localcloud.plugins.values import from_struct, to_struct

Plain = dict[str, Any]


class Refused(Exception):
    """The plugin's error, as the user reads it."""


@dataclass(frozen=True)
class ResourceState:
    """A resource in the state's form: its outputs, and the inputs that made them. Secrets are values.Secret."""

    id: str
    outputs: Plain
    inputs: Plain = field(default_factory=dict)


class Plugin:
    """`module` is such as azure_native. Arguments and results of its methods are plain Python, as in values.py."""

    def __init__(self, module: str, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", f"localcloud.plugins.{module}", "127.0.0.1:0"],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        port = self.process.stdout.readline().strip()
        assert port.isdigit(), self.process.stderr and self.process.stderr.read()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub: Any = provider_pb2_grpc.ResourceProviderStub(self._channel)

    def configure(self, **settings: Any) -> None:
        self.call("Configure", pb.ConfigureRequest(args=to_struct(settings), acceptSecrets=True))

    def check(self, token: str, inputs: Plain, old: Plain | None = None) -> tuple[Plain, list[tuple[str, str]]]:
        """Return the completed inputs, and (path, reason) of each refusal."""
        request = pb.CheckRequest(
            urn=_urn(token), news=to_struct(inputs), olds=to_struct(old or {}), randomSeed=os.urandom(16)
        )
        answer = self.call("Check", request)
        return from_struct(answer.inputs), [(failure.property, failure.reason) for failure in answer.failures]

    def create(self, token: str, inputs: Plain, *, preview: bool = False) -> ResourceState:
        answer = self.call(
            "Create", pb.CreateRequest(urn=_urn(token), properties=to_struct(inputs), preview=preview, timeout=120)
        )
        return ResourceState(answer.id, from_struct(answer.properties), inputs)

    def diff(self, token: str, resource: ResourceState, inputs: Plain) -> Any:
        return self.call(
            "Diff",
            pb.DiffRequest(
                urn=_urn(token), id=resource.id, olds=to_struct(resource.outputs), news=to_struct(inputs),
                old_inputs=to_struct(resource.inputs),
            ),
        )  # fmt: skip

    def update(self, token: str, resource: ResourceState, inputs: Plain) -> ResourceState:
        request = pb.UpdateRequest(
            urn=_urn(token), id=resource.id, olds=to_struct(resource.outputs), news=to_struct(inputs), timeout=120
        )
        return ResourceState(resource.id, from_struct(self.call("Update", request).properties), inputs)

    def read(self, token: str, id_: str, resource: ResourceState | None = None) -> tuple[ResourceState | None, Plain]:
        """Return the resource or None, and its inputs; without `resource` as `pulumi import` reads it."""
        outputs, known = (resource.outputs, resource.inputs) if resource else ({}, {})
        request = pb.ReadRequest(
            urn=_urn(token), id=id_, properties=to_struct(outputs), inputs=to_struct(outputs.get("__inputs") or known)
        )
        answer = self.call("Read", request)
        inputs = from_struct(answer.inputs)
        return (ResourceState(answer.id, from_struct(answer.properties), inputs) if answer.id else None), inputs

    def delete(self, token: str, resource: ResourceState) -> None:
        self.call(
            "Delete",
            pb.DeleteRequest(urn=_urn(token), id=resource.id, properties=to_struct(resource.outputs), timeout=120),
        )

    def invoke(self, token: str, **arguments: Any) -> Plain:
        return from_struct(
            getattr(self.call("Invoke", pb.InvokeRequest(tok=token, args=to_struct(arguments))), "return")
        )

    def call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=150)
        except grpc.RpcError as error:
            raise Refused(error.details()) from error

    def stop(self) -> str:
        """End it as the engine does; return its error stream."""
        self._channel.close()
        self.process.send_signal(signal.SIGINT)
        _, stderr = self.process.communicate(timeout=30)
        return stderr


def _urn(token: str) -> str:
    return f"urn:pulumi:local::tests::{token}::thing"
