"""Runs the bootstrap's program against Pulumi's mocks and records its resources."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pulumi
import pulumi.runtime

from bootstrap.settings import PROJECT, Settings, read_settings
from bootstrap.stack import Bootstrap
from tests.unit.environments import ENVIRONMENTS
from tests.unit.infra.recorder import Deployment, RecordingMonitor

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
TENANT = "22222222-2222-2222-2222-222222222222"
CALLER = "33333333-3333-3333-3333-333333333333"
ORGANIZATION = "55555555-5555-5555-5555-555555555555"
APPROVER = "66666666-6666-6666-6666-666666666666"
PROD_SUBSCRIPTION = "77777777-7777-7777-7777-777777777777"

_NAMED_BY = {
    "ResourceGroup": "resourceGroupName", "StorageAccount": "accountName", "BlobContainer": "containerName",
    "Vault": "vaultName", "Key": "keyName", "Registry": "registryName", "UserAssignedIdentity": "resourceName",
}  # fmt: skip


def config(*, devops: bool = True, **changes: Any) -> dict[str, str]:
    """Return settings as Pulumi passes them to the program: three environments, prod with an approver."""
    values: dict[str, Any] = {
        "base_name": "dataops", "location": "westeurope", "owner": "mlops@example.com", "cost_center": "platform",
        "environments": [
            {"name": name} | ({"approvers": [APPROVER]} if name == "prod" else {}) for name in ENVIRONMENTS
        ],
        "azure_devops": {
            "enabled": devops, "organization": "contoso", "project": "dataopsml",
            "repository": {"kind": "azure_repos", "name": "dataopsml"},
        },
        **changes,
    }  # fmt: skip
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return {f"{PROJECT}:{key}": text for key, text in texts.items()}


def settings(**changes: Any) -> Settings:
    return read_settings(config(**changes))


class _Mocks(pulumi.runtime.Mocks):
    """Answers as Azure and Azure DevOps would."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        kind = args.typ.rsplit(":", 1)[-1]
        name = str(args.inputs.get(_NAMED_BY.get(kind, ""), args.name))
        outputs = dict(args.inputs)
        if args.typ.startswith("azure-native:"):
            outputs["name"] = name
        if kind == "UserAssignedIdentity":
            outputs |= {"principalId": f"principal-of-{name}", "clientId": f"client-of-{name}"}
        if kind == "Registry":
            outputs["loginServer"] = f"{name}.azurecr.io"
        if kind.startswith("ServiceEndpointAzure"):
            connection = args.inputs["serviceEndpointName"]
            outputs |= {
                "workloadIdentityFederationIssuer": "https://login.microsoftonline.com/tenant/v2.0",
                "workloadIdentityFederationSubject": f"subject-of-{connection}",
            }
        number = str(len(self._deployment.resources) + 1)
        return (number if "azuredevops" in args.typ else f"/{kind}/{name}"), outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        answers = {
            "azure-native:authorization:getClientConfig": {
                "subscriptionId": SUBSCRIPTION, "tenantId": TENANT, "objectId": CALLER, "clientId": CALLER,
            },
            "azuredevops:index/getProject:getProject": {"projectId": "project", "id": "project"},
            "azuredevops:index/getGitRepository:getGitRepository": {"id": "repository"},
        }  # fmt: skip
        self._deployment.invokes.append(args.token)
        return answers[args.token], []


@cache
def _deploy(config_text: str) -> Deployment:
    settings = read_settings(json.loads(config_text))
    deployment = Deployment()
    mocks = _Mocks(deployment)
    pulumi.runtime.set_mocks(mocks, PROJECT, "main", preview=False, monitor=RecordingMonitor(mocks, deployment))

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> pulumi.Output[None]:
        return pulumi.Output.all(**Bootstrap(settings).outputs).apply(deployment.outputs.update)

    run()
    return deployment


def deploy(**changes: Any) -> Deployment:
    """Run the program with `changes` to the settings; `devops=False` switches Azure DevOps off."""
    return _deploy(json.dumps(config(**changes)))
