"""The calls of `pulumirpc.ResourceProvider`: translation between the engine's messages and requests.py."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2  # type: ignore[import-untyped]

from localcloud.core.pulumi_protocol import protocol_modules
from localcloud.plugins.requests import (
    CheckRequest,
    CreateRequest,
    DeleteRequest,
    DiffRequest,
    Provider,
    ReadRequest,
    UpdateRequest,
)
from localcloud.plugins.values import INPUTS, from_struct, to_struct

plugin_messages, messages, stubs = protocol_modules("plugin_pb2", "provider_pb2", "provider_pb2_grpc")
_Base: Any = stubs.ResourceProviderServicer


class Servicer(_Base):  # type: ignore[misc]  # generated code has no types
    """Servicer of the provider protocol; methods that it lacks answer UNIMPLEMENTED, which the engine understands."""

    def __init__(self, provider: Provider, version: str) -> None:
        self._provider = provider
        self._version = version

    async def Handshake(self, request: Any, context: Any) -> Any:
        return messages.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=False)

    async def Attach(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_messages.PluginInfo(version=self._version)

    async def Cancel(self, request: Any, context: Any) -> Any:
        self._provider.cancel()
        return empty_pb2.Empty()

    async def CheckConfig(self, request: Any, context: Any) -> Any:
        return messages.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Any) -> Any:
        """Another host is another workspace, but its resources show that themselves: they are not in it."""
        return messages.DiffResponse(hasDetailedDiff=True)

    async def Configure(self, request: Any, context: Any) -> Any:
        self._provider.configure(dict(request.variables), from_struct(request.args))
        return messages.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    async def Check(self, request: Any, context: Any) -> Any:
        answer = self._provider.check(
            CheckRequest(
                urn=request.urn,
                old_inputs=from_struct(request.olds),
                new_inputs=from_struct(request.news),
                random_seed=request.randomSeed,
            )
        )
        failures = [messages.CheckFailure(property=path, reason=reason) for path, reason in answer.failures]
        return messages.CheckResponse(inputs=to_struct(answer.inputs), failures=failures)

    async def Diff(self, request: Any, context: Any) -> Any:
        old = from_struct(request.olds)
        if INPUTS not in old and request.HasField("old_inputs"):
            old[INPUTS] = from_struct(request.old_inputs)
        answer = self._provider.diff(DiffRequest(urn=request.urn, old_state=old, new_inputs=from_struct(request.news)))
        kinds = messages.PropertyDiff.Kind
        return messages.DiffResponse(
            replaces=answer.replaces,
            deleteBeforeReplace=answer.delete_before_replace,
            changes=messages.DiffResponse.DIFF_SOME if answer.changes else messages.DiffResponse.DIFF_NONE,
            diffs=answer.changed,
            detailedDiff={
                path: messages.PropertyDiff(kind=kinds.Value(change.value), inputDiff=True)
                for path, change in answer.changes.items()
            },
            hasDetailedDiff=True,
        )

    async def Create(self, request: Any, context: Any) -> Any:
        resource = await self._provider.create(
            CreateRequest(urn=request.urn, properties=from_struct(request.properties), preview=request.preview)
        )
        return messages.CreateResponse(id=resource.resource_id, properties=to_struct(resource.properties))

    async def Read(self, request: Any, context: Any) -> Any:
        resource = await self._provider.read(
            ReadRequest(
                urn=request.urn,
                resource_id=request.id,
                properties=from_struct(request.properties),
                inputs=from_struct(request.inputs),
            )
        )
        if resource is None:
            return messages.ReadResponse()
        return messages.ReadResponse(
            id=resource.resource_id, properties=to_struct(resource.properties), inputs=to_struct(resource.inputs)
        )

    async def Update(self, request: Any, context: Any) -> Any:
        outputs = await self._provider.update(
            UpdateRequest(
                urn=request.urn,
                resource_id=request.id,
                olds=from_struct(request.olds),
                news=from_struct(request.news),
                preview=request.preview,
            )
        )
        return messages.UpdateResponse(properties=to_struct(outputs))

    async def Delete(self, request: Any, context: Any) -> Any:
        await self._provider.delete(
            DeleteRequest(urn=request.urn, resource_id=request.id, properties=from_struct(request.properties))
        )
        return empty_pb2.Empty()

    async def Invoke(self, request: Any, context: Any) -> Any:
        answer = await self._provider.invoke(request.tok, from_struct(request.args))
        return messages.InvokeResponse(**{"return": to_struct(answer)})
