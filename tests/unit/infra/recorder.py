"""Pulumi's mocks as a recorder: what the program registers and invokes, so that absence can be asserted too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi.runtime

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
DEPLOYER = "33333333-3333-3333-3333-333333333333"


@dataclass(frozen=True)
class Registered:
    """One resource as the program asked for it; property names as the engine sees them."""

    type: str
    name: str
    inputs: Mapping[str, Any]
    custom: bool
    provider: str


@dataclass
class Recorder(pulumi.runtime.Mocks):
    """Answers as Azure would, and remembers."""

    resources: list[Registered] = field(default_factory=list)
    invokes: list[str] = field(default_factory=list)

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(Registered(args.typ, args.name, args.inputs, bool(args.custom), args.provider or ""))
        outputs = dict(args.inputs) | _computed(args)
        return _id(args, str(outputs.get("name", args.name))), outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        self.invokes.append(args.token)
        if args.token == "azure-native:authorization:getClientConfig":
            return {"subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "objectId": DEPLOYER, "clientId": DEPLOYER}
        raise AssertionError(f"the program asks for {args.token}, which the tests do not know")

    def of(self, type_: str) -> list[Registered]:
        """Resources of a type, written as module:Class, in the order of their registration."""
        return [each for each in self.resources if each.type.endswith(f":{type_}")]

    def one(self, type_: str, name: str | None = None) -> Registered:
        found = [each for each in self.of(type_) if name is None or each.name == name]
        assert len(found) == 1, f"expected one {type_} {name or ''}, got {[each.name for each in found]}"
        return found[0]

    def __iter__(self) -> Iterator[Registered]:
        return iter(self.resources)


def _computed(args: pulumi.runtime.MockResourceArgs) -> dict[str, Any]:
    inputs, kind = args.inputs, args.typ.rsplit(":", 1)[-1]
    own = {
        "ResourceGroup": "resourceGroupName", "StorageAccount": "accountName", "BlobContainer": "containerName",
        "Vault": "vaultName", "Workspace": "workspaceName", "Registry": "registryName", "Compute": "computeName",
        "BatchEndpoint": "endpointName", "Datastore": "name", "UserAssignedIdentity": "resourceName",
        "Component": "resourceName", "AccessConnector": "connectorName",
    }.get(kind)  # fmt: skip
    name = str(inputs.get(own, args.name)) if own else args.name
    computed: dict[str, Any] = {} if args.typ.startswith("databricks:") else {"name": name}
    identity = inputs.get("identity")
    if identity:  # given as a list of ids, answered as a map
        computed["identity"] = identity | {
            "userAssignedIdentities": {
                each: {"principalId": "principal", "clientId": "client"}
                for each in identity.get("userAssignedIdentities") or []
            }
        }
    if kind == "UserAssignedIdentity":
        computed |= {"principalId": f"principal-of-{name}", "clientId": f"client-of-{name}", "tenantId": TENANT}
    elif kind == "Vault":
        computed["properties"] = dict(inputs["properties"]) | {"vaultUri": f"https://{name}.vault.azure.net/"}
    elif kind == "Registry":
        computed["loginServer"] = f"{name}.azurecr.io"
    elif args.typ == "azure-native:databricks:Workspace":
        computed["workspaceUrl"] = "adb-1234567890123456.7.azuredatabricks.net"
    return computed


def _id(args: pulumi.runtime.MockResourceArgs, name: str) -> str:
    if not args.typ.startswith("azure-native:"):
        return f"{args.name}-id"
    _, module, kind = args.typ.split(":")
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.{module}/{kind}/{name}"
