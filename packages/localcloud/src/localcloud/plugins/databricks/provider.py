"""Check, diff, create, read, update and delete of every resource class."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from localcloud.plugins import diffing, refreshing
from localcloud.plugins.databricks import rules
from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.functions import invoke
from localcloud.plugins.databricks.names import snake
from localcloud.plugins.databricks.resource import Resource
from localcloud.plugins.databricks.resources import RESOURCES
from localcloud.plugins.databricks.schema import SCHEMA
from localcloud.plugins.errors import PluginError
from localcloud.plugins.requests import (
    CheckRequest,
    CheckResponse,
    CreateRequest,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    ReadRequest,
    ResourceState,
    UpdateRequest,
)  # fmt: skip
from localcloud.plugins.values import INPUTS, UNKNOWN, Plain, conceal, has_unknown, reveal

_SETTINGS = (
    "host", "authType", "azureWorkspaceResourceId", "azureTenantId", "azureClientId", "azureClientSecret",
    "azureEnvironment", "token", "configFile", "profile",
)  # fmt: skip


_DEFAULTS = "__defaults"
"""The names of the inputs beside it that the vendor's plugin filled in."""


class Databricks:
    """Holds a client and nothing else.

    States have the vendor's form: inputs and the service's answer, and nothing that its plugin does not know.
    """

    def __init__(self) -> None:
        self._api = Api({})

    def configure(self, variables: Mapping[str, str], arguments: Plain) -> None:
        settings: dict[str, Any] = reveal(arguments)
        known = {key: value for key, value in settings.items() if key in _SETTINGS and value and value is not UNKNOWN}
        self._api = Api(snake(known))

    def cancel(self) -> None:
        """Do nothing: requests are short, and the engine waits for active ones."""

    def check(self, request: CheckRequest) -> CheckResponse:
        """Refuse inputs that the class does not have, or lacks, or whose values the vendor's provider refuses."""
        token, kind = _token(request.type), _kind(request.type)
        inputs = request.new_inputs
        plain: Plain = reveal(inputs)
        result = [
            *((name, f"missing required property '{name}'") for name in kind.required if inputs.get(name) is None),
            *SCHEMA.failures(token, plain), *rules.failures(token, plain),
        ]  # fmt: skip
        if not result:
            inputs = kind.completed(inputs)
        return CheckResponse(inputs=inputs, failures=list(dict.fromkeys(result)))

    def diff(self, request: DiffRequest) -> DiffResponse:
        kind, old = _kind(request.type), request.old_state
        before = old.get(INPUTS)
        before = kind.comparable(_declared(before) if isinstance(before, dict) else old)

        def replaces(path: str) -> bool:
            return path.split(".", 1)[0].split("[", 1)[0] in kind.replaces

        return diffing.diff(before, request.new_inputs, replaces, delete_first=True)

    async def create(self, request: CreateRequest) -> ResourceState:
        kind, inputs = _kind(request.type), request.properties
        if request.preview:
            return ResourceState(resource_id="", properties=inputs)

        def work() -> ResourceState:
            id_ = _left_behind(kind, self._api, reveal(inputs)) or kind.create(self._api, reveal(inputs))
            return ResourceState(resource_id=id_, properties=_state(kind, self._api, id_, inputs))

        return await asyncio.to_thread(work)

    async def update(self, request: UpdateRequest) -> Plain:
        kind, inputs = _kind(request.type), request.news
        if request.preview:
            return {**request.olds, **inputs}

        def work() -> Plain:
            kind.update(self._api, request.resource_id, reveal(inputs))
            return _state(kind, self._api, request.resource_id, inputs)

        return await asyncio.to_thread(work)

    async def read(self, request: ReadRequest) -> ResourceState | None:
        kind = _kind(request.type)
        current = await asyncio.to_thread(kind.read, self._api, request.resource_id)
        if current is None:
            return None
        state, before = request.properties, _declared(request.inputs)
        merged = {**reveal(before), **current}
        inputs = refreshing.refreshed(before, state, merged) if before else kind.imported(current)
        outputs = {**inputs, **conceal(current, inputs)}
        return ResourceState(resource_id=request.resource_id, properties=outputs, inputs=inputs)

    async def delete(self, request: DeleteRequest) -> None:
        kind = _kind(request.type)
        await asyncio.to_thread(kind.delete, self._api, request.resource_id, reveal(request.properties))

    async def invoke(self, token: str, arguments: Plain) -> Plain:
        if has_unknown(arguments):
            raise PluginError(f"{token} needs arguments that are known")
        return await asyncio.to_thread(invoke, self._api, token, reveal(arguments))


def _declared(inputs: Any) -> Any:
    """Return the inputs that a program stated, of a state that the vendor's plugin wrote.

    Its bridge fills in defaults, and lists their names (applyDefaults of pulumi-terraform-bridge's schema.go).
    """
    if isinstance(inputs, dict):
        filled_in = {_DEFAULTS, *inputs.get(_DEFAULTS, ())}
        return {key: _declared(value) for key, value in inputs.items() if key not in filled_in}
    return [_declared(item) for item in inputs] if isinstance(inputs, list) else inputs


def _token(qualified: str) -> str:
    return qualified.rsplit("$", 1)[-1]  # a component's child comes with its parents' types


def _kind(qualified: str) -> Resource:
    token = _token(qualified)
    if token not in RESOURCES:
        raise PluginError(f"the resource type '{token}' is not in this provider's table")
    return RESOURCES[token]


def _left_behind(kind: Resource, api: Api, inputs: Plain) -> str | None:
    """Return the id of a resource that exists as declared: a run made it and ended without noting it down.

    A creation that ended after its first request is finished.
    """
    id_ = kind.existing(api, inputs)
    state = None if id_ is None else kind.read(api, id_)
    if id_ is None or state is None:
        return None
    if refreshing.as_shown(inputs, state):
        return id_
    if kind.begun(api, inputs, state):
        kind.finish(api, id_, inputs)
        return id_
    return None


def _state(kind: Resource, api: Api, id_: str, inputs: Plain) -> Plain:
    """Return the service's view over the inputs. Raises PluginError when the service does not show the resource."""
    current = kind.read(api, id_)
    if current is None:
        raise PluginError(f"'{id_}' was created, but the service does not show it")
    return {**inputs, **conceal(current, inputs)}
