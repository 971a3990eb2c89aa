"""Requests of the engine to a provider, and the answers, as plain Python.

The module resembles `pulumi.provider.experimental.provider` of the SDK, whose import takes a plugin twice as long as
the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from localcloud.plugins.values import Plain

Failure = tuple[str, str]
"""A property's path, and its fault."""


@dataclass(frozen=True, kw_only=True)
class ResourceRequest:
    """About one resource. `urn` is urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME."""

    urn: str

    @property
    def type(self) -> str:
        return self.urn.split("::")[2]

    @property
    def name(self) -> str:
        return self.urn.split("::", 3)[3]


@dataclass(frozen=True, kw_only=True)
class CheckRequest(ResourceRequest):
    """Request to check a resource's inputs."""

    old_inputs: Plain
    new_inputs: Plain
    random_seed: bytes


@dataclass(frozen=True, kw_only=True)
class DiffRequest(ResourceRequest):
    """`old_state` has the old inputs under values.INPUTS."""

    old_state: Plain
    new_inputs: Plain


@dataclass(frozen=True, kw_only=True)
class CreateRequest(ResourceRequest):
    """Request to create a resource."""

    properties: Plain
    preview: bool


@dataclass(frozen=True, kw_only=True)
class ReadRequest(ResourceRequest):
    """An import has neither properties nor inputs."""

    resource_id: str
    properties: Plain
    inputs: Plain


@dataclass(frozen=True, kw_only=True)
class UpdateRequest(ResourceRequest):
    """Request to update a resource."""

    resource_id: str
    olds: Plain
    news: Plain
    preview: bool


@dataclass(frozen=True, kw_only=True)
class DeleteRequest(ResourceRequest):
    """Request to delete a resource."""

    resource_id: str
    properties: Plain


@dataclass(frozen=True, kw_only=True)
class CheckResponse:
    """Checked inputs with the failures among them."""

    inputs: Plain
    failures: Sequence[Failure] = ()


class Change(Enum):
    """Names are from `PropertyDiff.Kind` in Pulumi's protocol."""

    ADD = "ADD"
    ADD_REPLACE = "ADD_REPLACE"
    DELETE = "DELETE"
    DELETE_REPLACE = "DELETE_REPLACE"
    UPDATE = "UPDATE"
    UPDATE_REPLACE = "UPDATE_REPLACE"


@dataclass(frozen=True, kw_only=True)
class DiffResponse:
    """`changes` by path; `replaces` and `changed` name top-level inputs."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    replaces: Sequence[str] = ()
    changed: Sequence[str] = ()
    delete_before_replace: bool = False


@dataclass(frozen=True, kw_only=True)
class ResourceState:
    """A resource as the service shows it. `inputs` are needed after a read alone."""

    resource_id: str
    properties: Plain
    inputs: Plain = field(default_factory=dict)


class Provider(Protocol):
    """Interface of a provider for serving.py. Refusals are raised as errors.PluginError."""

    def configure(self, variables: Mapping[str, str], arguments: Plain) -> None: ...
    def cancel(self) -> None: ...
    def check(self, request: CheckRequest) -> CheckResponse: ...
    def diff(self, request: DiffRequest) -> DiffResponse: ...
    async def create(self, request: CreateRequest) -> ResourceState: ...
    async def read(self, request: ReadRequest) -> ResourceState | None: ...
    async def update(self, request: UpdateRequest) -> Plain: ...
    async def delete(self, request: DeleteRequest) -> None: ...
    async def invoke(self, token: str, arguments: Plain) -> Plain: ...
