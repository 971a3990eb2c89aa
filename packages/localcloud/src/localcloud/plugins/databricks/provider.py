"""Check, diff, create, read, update and delete of every resource class."""

from __future__ import annotations

import asyncio
from typing import Any

from pulumi.provider.experimental.provider import (
    CheckFailure,
    CheckRequest,
    CheckResponse,
    ConfigureRequest,
    ConfigureResponse,
    CreateRequest,
    CreateResponse,
    DeleteRequest,
    DiffRequest,
    DiffResponse,
    InvokeRequest,
    InvokeResponse,
    Provider,
    ReadRequest,
    ReadResponse,
    UpdateRequest,
    UpdateResponse,
)

from localcloud.plugins import diffing, refreshing
from localcloud.plugins.databricks import rules
from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.functions import invoke
from localcloud.plugins.databricks.names import snake
from localcloud.plugins.databricks.resource import Resource
from localcloud.plugins.databricks.resources import RESOURCES
from localcloud.plugins.databricks.schema import SCHEMA
from localcloud.plugins.serving import PluginError
from localcloud.plugins.values import INPUTS, UNKNOWN, Plain, conceal, has_unknown, plain_map, reveal, value_map

_SETTINGS = (
    "host", "authType", "azureWorkspaceResourceId", "azureTenantId", "azureClientId", "azureClientSecret",
    "azureEnvironment", "token", "configFile", "profile",
)  # fmt: skip


_DEFAULTS = "__defaults"
"""The names of the inputs beside it that the vendor's plugin filled in."""


class Databricks(Provider):
    """Holds a client and nothing else.

    States have the vendor's form: inputs and what the service shows, and nothing that its plugin does not know.
    """

    def __init__(self) -> None:
        self._api = Api({})

    async def check_config(self, request: CheckRequest) -> CheckResponse:
        return CheckResponse(inputs=request.new_inputs)

    async def diff_config(self, request: DiffRequest) -> DiffResponse:
        """Another host is another workspace, but its resources say so themselves: they are not found there."""
        return DiffResponse(changes=False)

    async def configure(self, request: ConfigureRequest) -> ConfigureResponse:
        settings: dict[str, Any] = reveal(plain_map(request.args))
        known = {key: value for key, value in settings.items() if key in _SETTINGS and value and value is not UNKNOWN}
        self._api = Api(snake(known))
        return ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def cancel(self) -> None:
        """Do nothing: requests are short, and the engine waits for those under way."""

    async def check(self, request: CheckRequest) -> CheckResponse:
        """Refuse inputs that the class does not have, or lacks, or whose values the vendor's provider refuses."""
        token, kind = _token(request.type), _kind(request.type)
        inputs = plain_map(request.new_inputs)
        plain: Plain = reveal(inputs)
        result = [
            *((name, f"missing required property '{name}'") for name in kind.required if inputs.get(name) is None),
            *SCHEMA.failures(token, plain), *rules.failures(token, plain),
        ]  # fmt: skip
        if not result:
            inputs = kind.completed(inputs)
        failures = [CheckFailure(*failure) for failure in dict.fromkeys(result)]
        return CheckResponse(inputs=value_map(inputs), failures=failures)

    async def diff(self, request: DiffRequest) -> DiffResponse:
        kind, old = _kind(request.type), plain_map(request.old_state)
        before = old.get(INPUTS)
        before = _declared(before) if isinstance(before, dict) else old

        def replaces(path: str) -> bool:
            return path.split(".", 1)[0].split("[", 1)[0] in kind.replaces

        return diffing.diff(before, plain_map(request.new_inputs), replaces, delete_first=True)

    async def create(self, request: CreateRequest) -> CreateResponse:
        kind, inputs = _kind(request.type), plain_map(request.properties)
        if request.preview:
            return CreateResponse(properties=value_map(inputs))

        def work() -> CreateResponse:
            id_ = _left_behind(kind, self._api, reveal(inputs)) or kind.create(self._api, reveal(inputs))
            return CreateResponse(resource_id=id_, properties=value_map(_state(kind, self._api, id_, inputs)))

        return await asyncio.to_thread(work)

    async def update(self, request: UpdateRequest) -> UpdateResponse:
        kind, inputs = _kind(request.type), plain_map(request.news)
        if request.preview:
            return UpdateResponse(properties=value_map({**plain_map(request.olds), **inputs}))

        def work() -> UpdateResponse:
            kind.update(self._api, request.resource_id, reveal(inputs))
            return UpdateResponse(properties=value_map(_state(kind, self._api, request.resource_id, inputs)))

        return await asyncio.to_thread(work)

    async def read(self, request: ReadRequest) -> ReadResponse:
        kind = _kind(request.type)
        current = await asyncio.to_thread(kind.read, self._api, request.resource_id)
        if current is None:
            return ReadResponse()
        state = plain_map(request.properties)
        before = _declared(plain_map(request.inputs))
        shown = {**reveal(before), **current}
        inputs = refreshing.refreshed(before, state, shown) if before else kind.imported(current)
        outputs = {**inputs, **conceal(current, inputs)}
        return ReadResponse(request.resource_id, value_map(outputs), value_map(inputs))

    async def delete(self, request: DeleteRequest) -> None:
        kind = _kind(request.type)
        await asyncio.to_thread(kind.delete, self._api, request.resource_id, reveal(plain_map(request.properties)))

    async def invoke(self, request: InvokeRequest) -> InvokeResponse:
        arguments = plain_map(request.args)
        if has_unknown(arguments):
            raise PluginError(f"{request.tok} needs arguments that are known")
        answer = await asyncio.to_thread(invoke, self._api, request.tok, reveal(arguments))
        return InvokeResponse(return_value=value_map(answer))


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
    """One that is there exactly as declared was made by a run that was killed before it could note it down."""
    id_ = kind.existing(api, inputs)
    shown = None if id_ is None else kind.read(api, id_)
    return id_ if shown is not None and refreshing.as_shown(inputs, shown) else None


def _state(kind: Resource, api: Api, id_: str, inputs: Plain) -> Plain:
    """Return the service's view over the inputs. Raises PluginError when the service does not show the resource."""
    current = kind.read(api, id_)
    if current is None:
        raise PluginError(f"'{id_}' was created, but the service does not show it")
    return {**inputs, **conceal(current, inputs)}
