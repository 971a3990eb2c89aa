"""Stacks with the parts that mlops' verbs read after a publication: workspace, endpoint, runs, data, registry.

Plain requests make the results of `pulumi up`, `mlops publish` and a training run, so that a test takes seconds; the
step of the pipeline trains nothing.
"""

from __future__ import annotations

import copy
import json
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.ai.ml.entities import BatchEndpoint, Model
from azure.storage.blob import BlobServiceClient
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.workspace_session import ML, MlWorkspace, make_workspace

from contract.outputs import PlatformOutputs
from mlops import jobs, publish, specifications
from mlops.clients import Clients
from tests import samples

Json = dict[str, Any]

PIPELINE = specifications.load("diabetes", samples.PIPELINES)
INPUTS = ("data_uri", "data_version", "code_version", "reuse_key")
STATE = "azblob://state-{}?storage_account=stlocalcloudstate"
_REGISTRY_USER = "1823dd4f-9b8c-4ab6-ab4e-7397a3684615"
_SPACE = "https://stlocalcloudstate.blob.core.windows.net"


@dataclass(frozen=True)
class Stack:
    """`clients` are mlops' clients for its outputs."""

    workspace: MlWorkspace
    clients: Clients
    step: str

    @property
    def default(self) -> str:
        endpoint = self.workspace.client.batch_endpoints.get(self.clients.endpoint)
        return str(endpoint.defaults.deployment_name)

    def models(self) -> dict[str, Json]:
        """Tags by version."""
        listed = self.workspace.client.models.list(name=self.clients.pipeline.model)
        return {str(model.version): dict(model.tags) for model in listed}

    def publish(self, version: str, commit: str, *, keep_default: bool = False, notebook: str | None = None) -> None:
        """Make the resources of `mlops publish`: the pipeline component, maybe with a notebook, and a deployment."""
        azure, id_, endpoint = self.workspace.azure, self.workspace.id, self.clients.endpoint
        component = f"{id_}/components/{self.clients.pipeline.component}/versions/{version}"
        fingerprint = publish.plan(self.clients, version).fingerprint
        spec: Json = {
            "type": "pipeline",
            "inputs": {name: {"type": "string"} for name in INPUTS}
            | {"code_version": {"type": "string", "default": version}},
            "outputs": {},
            "jobs": {"train": {"type": "command", "componentId": self.step, "inputs": {}}},
        }
        if notebook is not None:
            spec["jobs"]["train"]["inputs"] = {"notebook_path": {"job_input_type": "literal", "value": notebook}}
        azure.put(component, ML, {"properties": {"componentSpec": spec}})
        body: Json = {
            "location": "westeurope",
            "tags": {"code_version": version, "commit": commit, "fingerprint": fingerprint},
            "properties": {
                "deploymentConfiguration": {
                    "deploymentConfigurationType": "PipelineComponent",
                    "componentId": {"assetId": component, "referenceType": "Id"},
                    "settings": {"default_compute": self.workspace.compute},
                }
            },
        }
        azure.finish(azure.arm("PUT", f"{id_}/batchEndpoints/{endpoint}/deployments/v-{version}", ML, body))
        self._publish_scoring(version, body)
        if not keep_default:
            publish.make_default(self.clients, f"v-{version}")

    def _publish_scoring(self, version: str, training: Json) -> None:
        """Add the scoring deployment, beside the training deployment. Its step writes nothing."""
        azure, id_, endpoint = self.workspace.azure, self.workspace.id, self.clients.endpoint
        component = f"{id_}/components/{self.clients.pipeline.scoring_component}/versions/{version}"
        names = (
            "source", "file_uri", "file_version", "file_name", "model_version", "attempt", "output_folder", "reuse_key",
        )  # fmt: skip
        spec: Json = {
            "type": "pipeline",
            "inputs": {name: {"type": "string", "default": "none"} for name in names},
            "outputs": {},
            "jobs": {"score": {"type": "command", "componentId": self.step, "inputs": {}}},
        }
        azure.put(component, ML, {"properties": {"componentSpec": spec}})
        body = copy.deepcopy(training)
        body["tags"]["purpose"] = "scoring"
        body["properties"]["deploymentConfiguration"]["componentId"]["assetId"] = component
        azure.finish(azure.arm("PUT", f"{id_}/batchEndpoints/{endpoint}/deployments/s-{version}", ML, body))

    def train(self, version: str, commit: str, folder: Path) -> str:
        """Run the published version, register its model in its place, and return the model's version."""
        job = jobs.start(self.clients, f"v-{version}", run_inputs(version, f"data-of-{version}"))
        assert self.workspace.finished(job.name).status == "Completed"
        weights = folder / f"{self.clients.pipeline.model}-{version}"
        weights.mkdir()
        (weights / "MLmodel").write_text(f"model_uuid: of-{version}\n")
        lineage = {
            "commit": commit, "code_version": version, "data_version": f"data-of-{version}",
            "training_run": f"{job.name}-train", "pipeline_run": job.name, "metric.mse": "0.5",
        }  # fmt: skip
        model = Model(name=self.clients.pipeline.model, path=str(weights), type="mlflow_model", tags=lineage)
        return str(self.workspace.client.models.create_or_update(model).version)


def run_inputs(version: str, data: str) -> dict[str, str]:
    """Return the inputs of a run of a published version."""
    return {"data_uri": "abfss://none", "data_version": data, "code_version": version, "reuse_key": "none"}


def make_stack(azure: AzureSession, environment: str, registry: str | None, command: str = "true") -> Stack:
    """`command` is the pipeline's only step."""
    workspace = make_workspace(azure, unique(f"aml-{environment}-"))
    workspace.blobs().create_container("trainingdata")
    endpoint = unique("bep")
    workspace.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=endpoint)).result()
    step = f"{workspace.id}/components/train/versions/1"
    spec = {"type": "command", "command": command, "environment": workspace.environment, "inputs": {}, "outputs": {}}
    azure.put(step, ML, {"properties": {"componentSpec": spec}})
    outputs = PlatformOutputs(
        environment=environment, location="westeurope", tenant_id=azure.tenant_id,
        subscription_id=azure.subscription_id, resource_group=workspace.group.rsplit("/", 1)[-1],
        workspace_name=workspace.name, compute_name=workspace.compute, identity_id=workspace.identity_id,
        identity_client_id=workspace.identity["clientId"], training_account=workspace.account,
        training_container="trainingdata", training_datastore="trainingdata", container_registry="none.azurecr.io",
        key_vault_uri="https://none.vault.azure.net", databricks_workspace_id=workspace.id,
        databricks_host="https://adb-1.1.azuredatabricks.net", instance_pool_id="none", cluster_policy_id="none",
        spark_version="none", notebook_folder="/dataopsml/notebooks", batch_endpoint=endpoint, pipeline_endpoints={},
        model_registry=registry,
    )  # fmt: skip
    return Stack(workspace, Clients(outputs, PIPELINE), step)


def beside(stack: Stack, name: str) -> Stack:
    """Return the same stack for another training pipeline, with an endpoint of its own."""
    endpoint = unique("bep")
    stack.workspace.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=endpoint)).result()
    outputs = stack.clients.outputs.model_copy(update={"pipeline_endpoints": {name: endpoint}})
    return Stack(stack.workspace, Clients(outputs, specifications.load(name, samples.PIPELINES)), stack.step)


def remove_stack(stack: Stack) -> None:
    azure, workspace = stack.workspace.azure, stack.workspace
    azure.finish(azure.arm("DELETE", workspace.id, ML, forceToPurge="true"))
    azure.finish(azure.arm("DELETE", workspace.group, "2024-03-01"))


def make_registry(azure: AzureSession, group: str, name: str) -> str:
    """Its id."""
    region = {
        "location": "westeurope",
        "storageAccountDetails": [{"systemCreatedStorageAccount": {"storageAccountType": "Standard_LRS"}}],
        "acrDetails": [{"systemCreatedAcrAccount": {"acrAccountSku": "Premium"}}],
    }
    id_ = f"{group}/providers/Microsoft.MachineLearningServices/registries/{name}"
    body = {"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {"regionDetails": [region]}}
    azure.put(id_, ML, body)
    return id_


def grant_registry(azure: AzureSession, registry: str, object_id: str) -> None:
    """AzureML Registry User, as the stack that makes the registry gives it to its `users`."""
    role = f"{azure.subscription}/providers/Microsoft.Authorization/roleDefinitions/{_REGISTRY_USER}"
    properties = {"principalId": object_id, "principalType": "ServicePrincipal", "roleDefinitionId": role}
    name = f"{registry}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    azure.put(name, "2022-04-01", {"properties": properties})


def write_state(stack: Stack, project: Path, environment: dict[str, str]) -> None:
    """Write the stack's outputs as a state into its environment's container. `project` has Pulumi.yaml."""
    name = stack.clients.outputs.environment
    containers = BlobServiceClient(_SPACE, credential=stack.workspace.azure.credential)
    if not containers.get_container_client(f"state-{name}").exists():
        containers.create_container(f"state-{name}")
    resource = {
        "urn": f"urn:pulumi:{name}::dataopsml::pulumi:pulumi:Stack::dataopsml-{name}",
        "type": "pulumi:pulumi:Stack",
        "custom": False,
        "outputs": stack.clients.outputs.model_dump(),
    }
    backend = environment | {"PULUMI_BACKEND_URL": STATE.format(name)}

    def pulumi(*words: str, stdin: str | None = None) -> str:
        command = ["pulumi", "--non-interactive", "stack", *words]
        completed = subprocess.run(
            command, cwd=project, env=backend, input=stdin, capture_output=True, text=True, check=False
        )
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    pulumi("select", name, "--create")
    state = json.loads(pulumi("export", "--stack", name))
    state["deployment"]["resources"] = [resource]
    pulumi("import", "--stack", name, stdin=json.dumps(state))
