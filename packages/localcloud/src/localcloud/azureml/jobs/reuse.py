"""Reuse of steps: a step that would repeat an earlier one gets the earlier outputs, and does not run.

Source: learn.microsoft.com "How to debug pipeline reuse issues" (MicrosoftDocs/azure-docs
articles/machine-learning/how-to-debug-pipeline-reuse-issues.md): the same component, environment, inputs, parameters,
outputs' and run's settings, `is_deterministic`, and neither job with `force_rerun`; the earlier step's status, outputs,
logs and metrics are shown. The marks are azure-ai-ml's (`constants/_job/pipeline.py`, REUSED_FLAG_FIELD) and
Azure/azureml-assets'.

Azure ML compares addresses; here content counts too. An input that changed in its place is another input, and outputs
that were changed or deleted since, by a lifecycle rule for instance, are not handed on. A step reuses only steps that
ran in its workspace as its identity, as long as that identity may still read its inputs and write its outputs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from dataclasses import dataclass

from azure.core.exceptions import AzureError, ResourceNotFoundError

from localcloud.azureml import paths
from localcloud.azureml.jobs.runs import Run, RunStore
from localcloud.azureml.jobs.specification import ComponentSpec
from localcloud.azureml.jobs.transfer import Transfer
from localcloud.core.context import Context, Principal
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

FLAG, RUN_ID, PIPELINE_RUN_ID = "azureml.isreused", "azureml.reusedrunid", "azureml.reusedpipelinerunid"
"""Properties of a reused step."""
_PROMISE = "reuse"
_COMPARED = ("command", "code", "environment", "variables", "data_principal", "identity", "timeout_seconds", "optional")
_CHANGED_BY_STEP = "rw_mount"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS azureml_reusable_steps (
    workspace_key TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    run TEXT NOT NULL,
    outputs TEXT NOT NULL,
    PRIMARY KEY (workspace_key, fingerprint)
);
"""
_log = logging.getLogger("localcloud.azureml")


def promise(run: Run, component: ComponentSpec | None, places: dict[str, str | None], *, force_rerun: bool) -> None:
    """Note in a planned step the values that decide on its reuse, if it may be reused at all.

    `places` are the specified addresses of the outputs. An output that becomes an asset is made by each run anew.
    """
    registers = any(output.get("asset_name") for output in run.outputs.values())
    if component is None or not component.is_deterministic or force_rerun or registers:
        return
    outputs = {name: [output["type"], output["mode"], places.get(name) or None] for name, output in run.outputs.items()}
    run.spec[_PROMISE] = {"component": run.spec.get("component"), "compute": run.compute, "outputs": outputs}


@dataclass(frozen=True)
class Reuse:
    """Steps of one localcloud that can be reused, by fingerprint. Blocking work is done in threads."""

    ctx: Context
    store: RunStore
    transfer: Transfer

    def __post_init__(self) -> None:
        self.ctx.database.script(_SCHEMA)

    async def fingerprint(self, workspace: Resource, run: Run) -> str | None:
        """Return the key of a step that can be reused; None when it cannot be, or an input is not readable."""
        settings = run.spec.get(_PROMISE)
        if settings is None:
            return None
        inputs: Json = {}
        for name, value in run.inputs.items():
            if value["type"] == "literal":
                inputs[name] = value["value"]
                continue
            state = await self._state(workspace, run, str(value["uri"]))
            if state is None or value.get("mode") == _CHANGED_BY_STEP:
                return None
            inputs[name] = [value["type"], value.get("mode"), value["uri"], state]
        content = {
            "workspace": workspace.properties["workspaceId"], "settings": settings, "inputs": inputs,
            "work": {name: run.spec.get(name) for name in _COMPARED},
        }  # fmt: skip
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    async def find(self, workspace: Resource, run: Run, fingerprint: str) -> Run | None:
        """Return the step whose outputs are still as it left them, and which `run` could have written."""
        row = self.ctx.database.row(
            "SELECT run, outputs FROM azureml_reusable_steps WHERE workspace_key = ? AND fingerprint = ?",
            (_key(workspace), fingerprint),
        )
        if row is None:
            return None
        earlier = self.store.get(workspace.id, row["run"])
        if earlier is not None and not self._may_write(workspace, run, earlier):
            return None
        if earlier is None or await self._outputs(workspace, earlier) != json.loads(row["outputs"]):
            self.ctx.database.execute(
                "DELETE FROM azureml_reusable_steps WHERE workspace_key = ? AND run = ?", (_key(workspace), row["run"])
            )
            return None
        return earlier

    async def keep(self, workspace: Resource, run: Run, fingerprint: str) -> None:
        """Let later steps reuse a completed one."""
        outputs = await self._outputs(workspace, run)
        if None in outputs.values():
            return
        self.ctx.database.execute(
            "INSERT OR REPLACE INTO azureml_reusable_steps (workspace_key, fingerprint, run, outputs)"
            " VALUES (?, ?, ?, ?)",
            (_key(workspace), fingerprint, run.id, json.dumps(outputs)),
        )

    async def _outputs(self, workspace: Resource, run: Run) -> dict[str, str | None]:
        return {name: await self._state(workspace, run, str(output["uri"])) for name, output in run.outputs.items()}

    def _may_write(self, workspace: Resource, run: Run, earlier: Run) -> bool:
        principal = self._principal(run.spec.get("data_principal"))
        try:
            for output in earlier.outputs.values():
                self.transfer.reach(workspace, principal, str(output["uri"]), write=True)
        except ServiceError:
            return False
        return True

    def _principal(self, object_id: str | None) -> Principal | None:
        return self.ctx.identities.by_object_id(object_id) if object_id else None

    async def _state(self, workspace: Resource, run: Run, uri: str) -> str | None:
        """Return a hash of the blobs' names and ETags; None when the run finds none there, or may not read them."""
        principal, submitter = self._principal(run.spec.get("data_principal")), self._principal(run.submitter)
        try:
            place = self.transfer.reach(workspace, principal, uri, submitter=submitter)
            return await asyncio.to_thread(self._listed, place)
        except (ServiceError, ResourceNotFoundError):
            return None
        except AzureError as error:
            _log.warning("steps with %s are not reused: %s", uri, error)
            return None

    def _listed(self, place: paths.BlobPath) -> str | None:
        path = place.path.strip("/")
        container = self.ctx.storage.service_client(place.account).get_container_client(place.container)
        blobs = {
            blob.name: str(blob.etag)
            for blob in container.list_blobs(name_starts_with=path or None, include=["metadata"])
            if not path or blob.name == path or blob.name.startswith(f"{path}/")
            if "hdi_isfolder" not in {name.lower() for name in blob.metadata or {}}
        }
        return hashlib.sha256(json.dumps(blobs, sort_keys=True).encode()).hexdigest() if blobs else None


def take(run: Run, earlier: Run) -> dict[str, str]:
    """Let a step have an earlier one's results. Return the earlier outputs' addresses by the planned ones."""
    addresses = {str(run.outputs[name]["uri"]): str(output["uri"]) for name, output in earlier.outputs.items()}
    run.outputs = {name: output | {"uri": earlier.outputs[name]["uri"]} for name, output in run.outputs.items()}
    run.properties |= {FLAG: "true", RUN_ID: earlier.id, PIPELINE_RUN_ID: earlier.root}
    run.reused = earlier.id
    run.logs, run.mlflow_run_id = list(earlier.logs), earlier.mlflow_run_id
    run.spec["mlflow_experiment"] = earlier.spec.get("mlflow_experiment")
    run.move("Running")
    run.move("Completed")
    return addresses


def rebind(run: Run, addresses: dict[str, str]) -> bool:
    """Let a run that is planned with a reused step's outputs have the earlier ones; whether it has any."""
    changed = False
    for port in (*run.inputs.values(), *run.outputs.values()):
        if port.get("uri") in addresses:
            port["uri"] = addresses[port["uri"]]
            changed = True
    return changed


def _key(workspace: Resource) -> str:
    return workspace.id.strip("/").lower()
