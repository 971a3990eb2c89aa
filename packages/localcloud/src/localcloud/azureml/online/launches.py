"""Launch of a deployment: its model, code, environment and identity, resolved from its resource.

Source: learn.microsoft.com "Troubleshoot online endpoints" (Authorization error: AcrPull on the workspace's registry
and Storage Blob Data Reader on its storage account for a user-assigned identity; Unable to download user model), and
the text "Endpoint identity does not have pull permission on the registry …", as people quote it of the service.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from localcloud.azureml import paths
from localcloud.azureml.common import workspace_of
from localcloud.azureml.mlflow.models import Models
from localcloud.azureml.online import instance_types
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_PULL = "Microsoft.ContainerRegistry/registries/pull/read"
_READ = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read"
_GUIDE = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg#authorization-error"
_PART_OF_MACHINE = 2
"""A server may have half of this machine's memory, or its instance's if that is less."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A server to run: stored with the deployment's resource, to be run again by the next gateway.

    `model_type` is empty without a model, `code_uri` without a scoring script, `environment` if the environment is
    made from the model. `identity` is the object id of the endpoint's identity.
    """

    workspace: str
    endpoint: str
    deployment: str
    model_name: str = ""
    model_version: str = ""
    model_type: str = ""
    model_uri: str = ""
    code_uri: str = ""
    script: str = ""
    environment: str = ""
    variables: dict[str, str]
    identity: str
    memory: int
    liveness: Json
    readiness: Json

    def to_json(self) -> Json:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Launch:
        return cls(**content)

    @property
    def key(self) -> str:
        """Return a short name of its content."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]


class Launches:
    """Launches of deployments, resolved from their resources."""

    def __init__(self, ctx: Context, models: Models) -> None:
        self._ctx = ctx
        self._models = models

    async def of(self, deployment: Resource) -> Launch:
        """Resolve a deployment. Raises ServiceError 400 or 404 for references that do not exist or may not be read."""
        properties = deployment.properties
        workspace = workspace_of(self._ctx, deployment.id)
        endpoint = self._ctx.resources.get(deployment.id.rsplit("/deployments/", 1)[0])
        if endpoint is None:
            raise ServiceError(404, "ResourceNotFound", f"The endpoint of deployment '{deployment.name}' is gone.")
        principal = self._principal(workspace, endpoint)
        code = properties.get("codeConfiguration") or {}
        model = await self._model(workspace, properties.get("model"), bool(code))
        environment = properties.get("environmentId")
        return Launch(
            workspace=workspace.id, endpoint=endpoint.name, deployment=deployment.name,
            model_name=model.id.split("/")[-3] if model is not None else "",
            model_version=model.name if model is not None else "",
            model_type=str(model.properties["modelType"]) if model is not None else "",
            model_uri=str(model.properties["modelUri"]) if model is not None else "",
            code_uri=self._asset(workspace, code["codeId"], "codes").properties["codeUri"] if code else "",
            script=str(code.get("scoringScript") or ""),
            environment=self._environment(workspace, str(environment)).id if environment else "",
            variables=dict(properties["environmentVariables"]), identity=principal.object_id,
            memory=_memory(properties["instanceType"]),
            liveness=properties["livenessProbe"], readiness=properties["readinessProbe"],
        )  # fmt: skip

    def _principal(self, workspace: Resource, endpoint: Resource) -> Principal:
        """Return the identity with which the service pulls image and model. Raises ServiceError 400 BadArgument."""
        own = str((endpoint.identity or {}).get("principalId") or "")
        allowed = [
            principal
            for principal in self._principals(endpoint)
            if self._has_access(principal, workspace, "containerRegistry", _PULL, system=principal.object_id == own)
        ]
        if not allowed:
            raise ServiceError(
                400,
                "BadArgument",
                "Endpoint identity does not have pull permission on the registry. For System Assigned Identity case "
                "and workspace ACR, platform will wire up the permissions but if user is creating deployment with User "
                "Assigned Identity or if using non-workspace ACR, then User should grant pull permissions to identity "
                f"on the registry. {_GUIDE}",
            )
        for principal in allowed:
            if self._has_access(principal, workspace, "storageAccount", _READ, system=False, data=True):
                return principal
        raise ServiceError(
            400,
            "BadArgument",
            f"Endpoint identity '{allowed[0].object_id}' does not have the permission '{_READ}' on the workspace's "
            f"storage account: give it the role Storage Blob Data Reader. {_GUIDE}",
        )

    def _principals(self, endpoint: Resource) -> list[Principal]:
        identity = endpoint.identity or {}
        ids = [
            str((detail or {}).get("principalId")) for detail in (identity.get("userAssignedIdentities") or {}).values()
        ]
        principals = (self._ctx.identities.by_object_id(id_) for id_ in [*ids, str(identity.get("principalId") or "")])
        return [principal for principal in principals if principal is not None]

    def _has_access(
        self, principal: Principal, workspace: Resource, linked: str, action: str, *, system: bool, data: bool = False
    ) -> bool:
        """Whether an identity may act on a resource that is linked to a workspace.

        A workspace without a registry gets one with its first image. Only the system-assigned identity of an endpoint,
        to which the service gives the role, can pull from it at once.
        """
        target = self._ctx.resources.get(str(workspace.properties.get(linked) or ""))
        if target is None:
            return system
        return self._ctx.authorizer.allows(principal, action, target.id, data=data)

    async def _model(self, workspace: Resource, reference: object, has_code: bool) -> Resource | None:
        if not reference:
            return None
        text = str(reference).removeprefix("azureml:")
        if text.startswith("//registries/") or "/registries/" in text:
            model = self._asset(workspace, str(reference), "models")
        else:
            model = await self._models.resolve(workspace, str(reference))
        kind = model.properties["modelType"]
        if kind != "mlflow_model" and not has_code:
            raise ServiceError(
                400,
                "BadArgument",
                f"The model '{reference}' is of type {kind}: a deployment without a scoring script and an environment "
                "needs a model of type mlflow_model.",
            )
        return model

    def _environment(self, workspace: Resource, reference: str) -> Resource:
        return self._asset(workspace, reference, "environments")

    def _asset(self, workspace: Resource, reference: str, kind: str) -> Resource:
        return paths.resolve_asset(self._ctx, workspace, reference, kind)


def _memory(instance_type: str) -> int:
    instance = int(instance_types.find(instance_type).memory_gb * 1024**3)
    return min(instance, int(psutil.virtual_memory().total) // _PART_OF_MACHINE)
