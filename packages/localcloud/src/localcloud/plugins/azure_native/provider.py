"""Check, diff, create, read, update and delete of every type in the table."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

from localcloud.plugins import diffing, refreshing
from localcloud.plugins.azure_native import invokes, schema, shape, sign_in
from localcloud.plugins.azure_native.arm import Arm
from localcloud.plugins.azure_native.types import AzureType, find
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
from localcloud.plugins.values import INPUTS, Plain, has_unknown, reveal

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_ENDPOINT = "https://management.azure.com"
_VAULT_AUDIENCE, _VAULT_VERSION = "https://vault.azure.net", "7.4"


class AzureNative:
    """Holds a client and nothing else."""

    def __init__(self) -> None:
        self._settings = sign_in.settings({})
        self._arm: Arm | None = None
        self._signed_in: TokenCredential | None = None
        self._lock = threading.RLock()

    def configure(self, variables: Mapping[str, str], arguments: Plain) -> None:
        values = {key.rsplit(":", 1)[-1]: value for key, value in variables.items()}
        values |= {key: value for key, value in reveal(arguments).items() if isinstance(value, str)}
        self._settings = sign_in.settings(values)
        self._signed_in = None

    def cancel(self) -> None:
        if self._arm is not None:
            self._arm.stop()

    def check(self, request: CheckRequest) -> CheckResponse:
        """Fill in the name when it is left out; refuse inputs that the type does not have, or lacks."""
        type_, _ = _type(request.type)
        inputs, old = dict(request.new_inputs), request.old_inputs
        if type_.name and not inputs.get(type_.name) and type_.name not in type_.fixed:
            inputs[type_.name] = old.get(type_.name) or _name(type_, request.name, request.random_seed)
        return CheckResponse(inputs=inputs, failures=schema.SCHEMA.failures(type_.token, inputs))

    def diff(self, request: DiffRequest) -> DiffResponse:
        type_, _ = _type(request.type)
        old = request.old_state
        before = old.get(INPUTS)
        if not isinstance(before, dict):
            before = {key: value for key, value in old.items() if key != INPUTS}
        after = request.new_inputs
        if "location" in before and refreshing.same(before["location"], after.get("location")):
            before = before | {"location": after["location"]}
        return diffing.diff(before, after, type_.replacing, delete_first=True)

    async def create(self, request: CreateRequest) -> ResourceState:
        type_, version = _type(request.type)
        inputs = request.properties
        if request.preview:
            return ResourceState(resource_id="", properties=shape.expected(inputs) | {"azureApiVersion": version})
        return await asyncio.to_thread(self._create, type_, version, inputs)

    def _create(self, type_: AzureType, version: str, inputs: Plain) -> ResourceState:
        arm, plain = self._client(), reveal(inputs)
        path = shape.path_of(type_, plain, self._subscription(plain))
        there = None if type_.permanent else arm.settled(path, version)
        if there is not None and not shape.as_declared(type_, inputs, shape.outputs_of(type_, there, {}, version)):
            raise PluginError(f"cannot create already existing resource '{path}'")
        # An existing resource with the declared inputs was made by a run that was killed before it could note it
        # down.
        answer = there if _is_made(there) else arm.put(path, version, shape.body_of(type_, plain))
        outputs = shape.outputs_of(type_, answer, inputs, version)
        return ResourceState(resource_id=str(answer.get("id") or path), properties=outputs)

    async def update(self, request: UpdateRequest) -> Plain:
        type_, version = _type(request.type)
        inputs = request.news
        if request.preview:
            return {**request.olds, **shape.expected(inputs), INPUTS: inputs}

        def work() -> Plain:
            answer = self._client().put(request.resource_id, version, shape.body_of(type_, reveal(inputs)))
            return shape.outputs_of(type_, answer, inputs, version)

        return await asyncio.to_thread(work)

    async def read(self, request: ReadRequest) -> ResourceState | None:
        type_, version = _type(request.type)
        shape.path_inputs(type_, request.resource_id)  # refuses an id of another type
        answer = await asyncio.to_thread(lambda: self._client().get(request.resource_id, version))
        if answer is None:
            return None
        state = request.properties
        before = state.get(INPUTS) or request.inputs
        outputs = shape.outputs_of(type_, answer, before, version)
        if before:
            inputs = refreshing.refreshed(before, state, outputs)
        else:
            inputs = shape.imported(type_, request.resource_id, outputs)
        outputs[INPUTS] = inputs
        return ResourceState(
            resource_id=str(answer.get("id") or request.resource_id), properties=outputs, inputs=inputs
        )

    async def delete(self, request: DeleteRequest) -> None:
        type_, version = _type(request.type)
        if type_.deleted_at:
            await asyncio.to_thread(self._delete_elsewhere, type_, request.resource_id)
        elif not type_.permanent:
            await asyncio.to_thread(self._client().delete, request.resource_id, version, dict(type_.query))

    def _delete_elsewhere(self, type_: AzureType, resource_id: str) -> None:
        """Delete keys as the vendor's provider does: by the vault itself, for permitted callers."""
        address = type_.deleted_at.format_map(shape.path_inputs(type_, resource_id))
        endpoint, _, path = address.removeprefix("https://").partition("/")
        vault = Arm(f"https://{endpoint}", self._credential(), _VAULT_AUDIENCE)
        vault.delete(f"/{path}", _VAULT_VERSION, {})

    async def invoke(self, token: str, arguments: Plain) -> Plain:
        if has_unknown(arguments):
            raise PluginError(f"{token} needs arguments that are known")
        return await asyncio.to_thread(
            invokes.call, token, reveal(arguments), self._settings, self._client, self._credential
        )

    def _client(self) -> Arm:
        with self._lock:
            if self._arm is None:
                self._arm = Arm(os.environ.get("ARM_ENDPOINT") or _ENDPOINT, self._credential())
            return self._arm

    def _credential(self) -> TokenCredential:
        """Return the sign-in, which keeps its tokens for all requests."""
        with self._lock:
            if self._signed_in is None:
                self._signed_in = sign_in.credential(self._settings)
            return self._signed_in

    def _subscription(self, inputs: Plain) -> str:
        return str(inputs.get("subscriptionId") or sign_in.subscription(self._settings))


def _is_made(resource: Plain | None) -> TypeGuard[Plain]:
    properties = (resource or {}).get("properties") or {}
    return resource is not None and properties.get("provisioningState", "Succeeded") == "Succeeded"


def _type(token: str) -> tuple[AzureType, str]:
    try:
        return find(token.rsplit("$", 1)[-1])  # a component's child comes with its parents' types
    except (KeyError, ValueError) as error:
        raise PluginError(f"the resource type '{token}' is not in this provider's table") from error


def _name(type_: AzureType, logical: str, seed: bytes) -> str:
    """Return a name as azure-native does: the logical name and eight random hex digits, or a GUID."""
    source = random.Random(seed)  # noqa: S311
    if type_.guid:
        return str(uuid.UUID(int=source.getrandbits(128), version=4))
    return f"{logical}{source.getrandbits(32):08x}"
