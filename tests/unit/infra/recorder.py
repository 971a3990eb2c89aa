"""Runs the program against Pulumi's mocks and records its resources, so that absence can be asserted too.

`deploy` and `deploy_serving` have settings and training pipelines of the tests' own. `deploy_stack` has the
repository's, which users change: a test of it holds for every valid edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pulumi
import pulumi.runtime
from pulumi.runtime.mocks import MockMonitor

from declarations import training_pipelines
from infra import serving
from infra.configuration import read_settings
from infra.platform import Platform
from infra.settings import Settings
from infra.stack_file import stack_settings
from tests import samples

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
DEPLOYER = "33333333-3333-3333-3333-333333333333"
INGESTION = "https://westeurope-5.in.applicationinsights.azure.com/"
PROJECT = "dataopsml"
MINIMAL = {
    "base_name": "dataops",
    "location": "westeurope",
    "owner": "mlops@example.com",
    "cost_center": "research-42",
}

_HOST = "stdataopsdevtr.dfs.core.windows.net"
SPARK_CONF = {
    f"fs.azure.account.auth.type.{_HOST}": "OAuth",
    f"fs.azure.account.oauth.provider.type.{_HOST}": "org.apache.hadoop.fs.azurebfs.oauth2.ClientCredsTokenProvider",
    f"fs.azure.account.oauth2.client.id.{_HOST}": "44444444-4444-4444-4444-444444444444",
    f"fs.azure.account.oauth2.client.secret.{_HOST}": "{{secrets/platform/reader}}",
    f"fs.azure.account.oauth2.client.endpoint.{_HOST}": f"https://login.microsoftonline.com/{TENANT}/oauth2/token",
}
WITHOUT_CATALOG = {
    "unity_catalog": '{"enabled": false}',
    "databricks": json.dumps({"spark_conf": SPARK_CONF}),
}
"""Settings of dev for a region whose workspaces have no metastore."""

# The input by which Azure names a resource of a type.
_NAMED_BY = {
    "ResourceGroup": "resourceGroupName", "StorageAccount": "accountName", "BlobContainer": "containerName",
    "Vault": "vaultName", "Workspace": "workspaceName", "Registry": "registryName", "Compute": "computeName",
    "BatchEndpoint": "endpointName", "OnlineEndpoint": "endpointName",
    "Datastore": "name", "UserAssignedIdentity": "resourceName",
    "Component": "resourceName", "AccessConnector": "connectorName", "VirtualNetwork": "virtualNetworkName",
    "Subnet": "subnetName", "PrivateZone": "privateZoneName", "SystemTopic": "systemTopicName",
    "Workflow": "workflowName",
}  # fmt: skip


@dataclass(frozen=True)
class Registered:
    """A resource that the program registers, with the engine's property names."""

    urn: str
    type: str
    name: str
    inputs: Mapping[str, Any]
    provider: str
    parent: str
    protect: bool
    ignores: Sequence[str]
    depends_on: Sequence[str]
    reads: Mapping[str, Sequence[str]]
    """Input to the URNs of the resources that it was made from."""
    secret_outputs: Sequence[str]
    aliases: Sequence[str]
    deleted_first: bool
    replaced_on: Sequence[str]
    """Inputs whose change makes another resource."""
    replaced_with: Sequence[str]
    deleted_with: str

    @property
    def is_component(self) -> bool:
        return self.type.startswith(f"{PROJECT}:")


@dataclass
class Deployment:
    """The registrations, outputs and invokes of a run of the program."""

    resources: list[Registered] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    invokes: list[str] = field(default_factory=list)

    def of(self, type_: str) -> list[Registered]:
        """Return the resources of a type, named by its end: module:Class, or Class."""
        return [resource for resource in self.resources if resource.type.endswith(f":{type_}")]

    def resource(self, type_: str, name: str | None = None) -> Registered:
        matches = [resource for resource in self.of(type_) if name is None or resource.name == name]
        assert len(matches) == 1, f"expected one {type_} {name or ''}, got {[resource.name for resource in matches]}"
        return matches[0]

    def types(self) -> set[str]:
        return {resource.type for resource in self.resources}

    def __iter__(self) -> Iterator[Registered]:
        return iter(self.resources)


class RecordingMonitor(MockMonitor):
    """Also records the options of each registration."""

    def __init__(self, mocks: pulumi.runtime.Mocks, deployment: Deployment) -> None:
        super().__init__(mocks)
        self._deployment = deployment

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        if request.type != "pulumi:pulumi:Stack":
            self._deployment.resources.append(
                Registered(
                    urn=answer.urn,
                    type=request.type,
                    name=request.name,
                    inputs=pulumi.runtime.rpc.deserialize_properties(request.object),
                    provider=request.provider,
                    parent=request.parent,
                    protect=request.protect,
                    ignores=list(request.ignoreChanges),
                    depends_on=list(request.dependencies),
                    reads={key: list(value.urns) for key, value in request.propertyDependencies.items()},
                    aliases=[str(alias) for alias in request.aliases],
                    secret_outputs=list(request.additionalSecretOutputs),
                    deleted_first=request.deleteBeforeReplace,
                    replaced_on=list(request.replaceOnChanges),
                    replaced_with=list(request.replace_with),
                    deleted_with=request.deletedWith,
                )
            )
        return answer


class _Mocks(pulumi.runtime.Mocks):
    """Answers of Azure."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        outputs = dict(args.inputs) | _computed(args)
        return _id(args, str(outputs.get("name", args.name))), outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        self._deployment.invokes.append(args.token)
        if args.token == "azure-native:authorization:getClientConfig":
            return {
                "subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "objectId": DEPLOYER, "clientId": DEPLOYER,
            }, []  # fmt: skip
        if args.token == "azure-native:logic:listWorkflowTriggerCallbackUrl":
            base = f"https://prod-00.westeurope.logic.azure.com/{args.args['workflowName']}/paths/invoke"
            return {"value": f"{base}?sig=signature", "basePath": base, "method": "POST", "relativePath": ""}, []
        raise AssertionError(f"the program asks for {args.token}, which the tests do not know")


@contextmanager
def pipelines_of(folder: Path = samples.PIPELINES) -> Iterator[None]:
    """Make the program read the specifications below another folder than the repository's."""
    with mock.patch.object(training_pipelines, "FOLDER", folder):
        yield


def deploy(environment: str = "dev", pipelines: Path = samples.PIPELINES, /, **config: str) -> Deployment:
    """Run the platform with the smallest settings and `config`, whose values are text or JSON as Pulumi has them."""
    return _deploy(environment, pipelines, tuple(sorted((MINIMAL | config).items())))


def deploy_serving(pipelines: Mapping[str, str], environment: str = "dev", **config: str) -> Deployment:
    """Run the platform as `deploy` does, for a repository whose `pipelines` serve online: sign-in by name."""
    values = {f"{PROJECT}:{key}": value for key, value in (MINIMAL | config).items()}
    with pipelines_of(), mock.patch.object(serving, "online_pipelines", lambda: dict(pipelines)):
        return _run(read_settings(values, PROJECT, environment))


@cache
def deploy_stack(stack: str) -> Deployment:
    """Run the platform with this repository's `Pulumi.<stack>.yaml` and training pipelines."""
    return _run(stack_settings(stack))


@cache
def _deploy(environment: str, pipelines: Path, config: tuple[tuple[str, str], ...]) -> Deployment:
    with pipelines_of(pipelines):
        return _run(read_settings({f"{PROJECT}:{key}": value for key, value in config}, PROJECT, environment))


def _run(settings: Settings) -> Deployment:
    deployment = Deployment()
    mocks = _Mocks(deployment)
    pulumi.runtime.set_mocks(
        mocks, PROJECT, settings.environment, preview=False, monitor=RecordingMonitor(mocks, deployment)
    )

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[None]:
        platform = Platform("platform", settings)
        return pulumi.Output.all(**platform.outputs).apply(deployment.outputs.update)

    run()
    return deployment


def _computed(args: pulumi.runtime.MockResourceArgs) -> dict[str, Any]:
    inputs, kind = args.inputs, args.typ.rsplit(":", 1)[-1]
    own = _NAMED_BY.get(kind)
    name = str(inputs.get(own, args.name)) if own else args.name
    computed: dict[str, Any] = {} if args.typ.startswith("databricks:") else {"name": name}
    identity = inputs.get("identity")
    if identity:  # a list of ids in the request, a map in the answer
        computed["identity"] = identity | {
            "principalId": f"principal-of-{name}",
            "userAssignedIdentities": {
                id_: {"principalId": "principal", "clientId": "client"}
                for id_ in identity.get("userAssignedIdentities") or []
            },
        }
    if kind == "UserAssignedIdentity":
        client = "44444444-4444-4444-4444-444444444444"
        computed |= {"principalId": f"principal-of-{name}", "clientId": client, "tenantId": TENANT}
    elif kind == "Vault":
        computed["properties"] = dict(inputs["properties"]) | {"vaultUri": f"https://{name}.vault.azure.net/"}
    elif kind == "Component":
        computed["connectionString"] = f"InstrumentationKey={TENANT};IngestionEndpoint={INGESTION}"
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
