"""Deployment of a template: each resource by its own PUT, as the caller, after its dependencies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from localcloud.arm import ids
from localcloud.arm.deployments.expressions import invalid
from localcloud.arm.deployments.scope import NeededError
from localcloud.arm.deployments.template import Planned, Template
from localcloud.arm.resource_types import Call
from localcloud.arm.resources import Resources
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import now

Keep = Callable[[list[Json]], None]


class Run:
    """A run of a template. `keep` receives the operations at every change of one."""

    def __init__(self, resources: Resources, template: Template, call: Call, keep: Keep) -> None:
        self._resources = resources
        self._template = template
        self._call = call
        self._keep = keep
        self._resolved: dict[tuple[str, ...], Any] = {}
        self._done: set[str] = set()
        self._under_way: list[str] = []
        self._operations: list[Json] = []

    async def all(self) -> Json:
        """Deploy all and return the outputs. Raises ServiceError DeploymentFailed at the first resource that fails."""
        for planned in self._template.resources:
            await self._deploy(planned)
        outputs: Json = await self._evaluated(lambda: self._template.outputs(self._resolved))
        return outputs

    async def _deploy(self, planned: Planned) -> None:
        if planned.id.lower() in self._done:
            return
        if planned.id.lower() in self._under_way:
            cycle = "' -> '".join([*self._under_way, planned.id])
            raise invalid(f"Circular dependency detected on resource: '{cycle}'")
        self._under_way.append(planned.id.lower())
        for reference in planned.waits_for:
            for other in self._template.resources:
                if other.is_called(reference):
                    await self._deploy(other)
        body = await self._evaluated(lambda: planned.body(self._resolved))
        await self._put(planned, body)
        self._under_way.pop()
        self._done.add(planned.id.lower())

    async def _put(self, planned: Planned, body: Json) -> None:
        operation = self._begun(planned)
        rid = ids.parse(planned.id)
        if rid is None:
            raise invalid(f"The resource '{planned.id}' cannot be deployed here")
        call = Call(self._call.principal, planned.api_version, self._call.base_url)
        try:
            answer = await self._resources.put(rid, body, call)
            await self._finished(answer)
        except ServiceError as error:
            self._ended(operation, error)
            raise _failed(planned, error) from error
        self._ended(operation, None, "Created" if answer.status_code in {201, 202} else "OK")

    async def _finished(self, answer: Response) -> None:
        """Wait for the operation of an answer. Raises ServiceError when it fails."""
        url = answer.headers.get("Azure-AsyncOperation") or answer.headers.get("Location")
        if url is None:
            return
        id_ = url.split("?", 1)[0].rsplit("/", 1)[-1]
        while (operation := await self._resources.operations.wait(id_)).status == "InProgress":
            continue
        if operation.error is not None:
            error = operation.error
            raise ServiceError(
                operation.error_status or 500, error["code"], error["message"], details=error.get("details") or ()
            )

    async def _evaluated(self, evaluate: Callable[[], Any]) -> Any:
        """Return the result of `evaluate`, reading the resources that it refers to first."""
        while True:
            try:
                return evaluate()
            except NeededError as needed:
                self._resolved[needed.key] = await self._look_up(*needed.key)

    async def _look_up(self, kind: str, target: str, *more: str) -> Any:
        named = [candidate for candidate in self._template.resources if candidate.is_called(target)]
        for planned in named:
            await self._deploy(planned)
        rid = ids.parse(named[0].id if named else self._template.existing.get(target.lower(), target))
        if rid is None:
            raise invalid(f"The resource '{target}' is not defined in the template")
        if kind == "reference":
            call = Call(self._call.principal, self._version(rid), self._call.base_url)
            return _json(await self._resources.get(rid, call))
        action, version = more
        call = Call(self._call.principal, version, self._call.base_url)
        return _json(await self._resources.action(rid, action, {}, call))

    def _version(self, rid: ids.ResourceId) -> str:
        return self._resources.type_of(rid, "GET").api_versions[-1]

    def _begun(self, planned: Planned) -> Json:
        operation: Json = {
            "operationId": uuid.uuid4().hex[:16].upper(),
            "properties": {
                "provisioningOperation": "Create", "provisioningState": "Running", "timestamp": now(),
                "duration": "PT0S", "trackingId": str(uuid.uuid4()),
                "targetResource": {
                    "id": planned.id, "resourceType": planned.type, "resourceName": planned.name,
                },
            },
        }  # fmt: skip
        self._operations.append(operation)
        self._keep(self._operations)
        return operation

    def _ended(self, operation: Json, error: ServiceError | None, status: str = "OK") -> None:
        operation["properties"] |= {
            "provisioningState": "Succeeded" if error is None else "Failed",
            "timestamp": now(),
            "statusCode": status if error is None else str(error.status),
        }
        if error is not None:
            operation["properties"]["statusMessage"] = {"error": {"code": error.code, "message": error.message}}
        self._keep(self._operations)


def _failed(planned: Planned, error: ServiceError) -> ServiceError:
    return ServiceError(
        409,
        "DeploymentFailed",
        "At least one resource deployment operation failed. Please list deployment operations for details. Please see "
        "https://aka.ms/arm-deployment-operations for usage details.",
        details=[{"code": error.code, "message": error.message, "target": planned.id, "details": list(error.details)}],
    )


def _json(answer: Response) -> Any:
    return json.loads(bytes(answer.body)) if answer.body else {}
