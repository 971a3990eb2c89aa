"""The deployed stack: its outputs, its clients, and whether it may be changed."""

from __future__ import annotations

import base64
import json
from functools import cached_property
from typing import Any

from azure.mgmt.resource.resources import ResourceManagementClient

from contract.outputs import PlatformOutputs
from mlops import specifications
from mlops.clients import Clients
from mlops.history import History

Json = dict[str, Any]

MACHINE_LEARNING = "2024-10-01"
_LOCKS = "2020-05-01"
_ARM = "https://management.azure.com/.default"


class Target:
    """A stack, and the credentials of the signed-in caller."""

    def __init__(self, outputs: PlatformOutputs) -> None:
        self.outputs = outputs
        self.clients = Clients(outputs, specifications.load(None))

    @property
    def subscription(self) -> str:
        return f"/subscriptions/{self.outputs.subscription_id}"

    @property
    def group(self) -> str:
        """ARM id of the resource group."""
        return f"{self.subscription}/resourceGroups/{self.outputs.resource_group}"

    @property
    def workspace(self) -> str:
        """ARM id of the ML workspace."""
        return self.clients.workspace_id

    @property
    def training_account(self) -> str:
        """ARM id of the training data's account."""
        return f"{self.group}/providers/Microsoft.Storage/storageAccounts/{self.outputs.training_account}"

    @cached_property
    def management(self) -> ResourceManagementClient:
        return ResourceManagementClient(self.clients.credential, self.outputs.subscription_id)

    @cached_property
    def history(self) -> History:
        return History(self.clients)

    def get(self, id_: str, version: str = MACHINE_LEARNING) -> Json:
        """Return a resource that has to exist. Raises LookupError."""
        resource = self.clients.arm.get(id_, version)
        if resource is None:
            raise LookupError(f"{id_} is not there")
        return resource

    def put(self, id_: str, body: Json, version: str = MACHINE_LEARNING) -> None:
        """Create or update a resource and wait. Raises azure.core's exceptions."""
        resources: Any = self.management.resources
        resources.begin_create_or_update_by_id(id_.lstrip("/"), body, api_version=version).result()

    def delete(self, id_: str, version: str = MACHINE_LEARNING) -> None:
        """Delete a resource and wait. Raises azure.core's exceptions."""
        resources: Any = self.management.resources
        resources.begin_delete_by_id(id_.lstrip("/"), api_version=version).result()

    @cached_property
    def caller(self) -> str:
        """Object id of the signed-in caller, from the token."""
        claims = self.clients.credential.get_token(_ARM).token.split(".")[1]
        content: Json = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return str(content["oid"])

    def guarded(self) -> str:
        """Say why the stack must not be changed; empty when it may be."""
        if self.outputs.environment == "prod":
            return "it is prod"
        locks = list(self.clients.arm.list(f"{self.group}/providers/Microsoft.Authorization/locks", _LOCKS))
        return f"it is locked ({locks[0]['id']})" if locks else ""
