"""A task of a run on its driver: its notebooks, settings and credentials, and their removal."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.settings import Settings
from localcloud.databricks import permissions, secrets_api, workspace_objects
from localcloud.databricks.drivers import DriverProcess
from localcloud.databricks.request import Caller, Workspace
from localcloud.databricks.run_states import Outcome
from localcloud.databricks.run_storage import RunStorage
from localcloud.databricks.runs import Run, TaskRun
from localcloud.databricks.store import Documents
from localcloud.databricks.tokens import RunTokens

_SECRET = re.compile(r"\{\{secrets/([^/{}]+)/([^/{}]+)\}\}")


@dataclass(frozen=True, kw_only=True)
class NotebookRun:
    """A task, as the identity that it runs as. `save` stores the run after each change of a state."""

    settings: Settings
    storage: RunStorage
    tokens: RunTokens
    workspace: Workspace
    run: Run
    task: TaskRun
    caller: Caller
    save: Callable[[], None]

    @property
    def folder(self) -> Path:
        """The folder that keeps the task's output and log."""
        return self.settings.runs / f"databricks-{self.task.run_id}"

    async def on(self, driver: DriverProcess) -> Outcome:
        """Run the notebook on a driver, which exits with it. Each step of the removal is done even after a failure."""
        async with AsyncExitStack() as cleanup:
            tree = self.folder / "Workspace"
            cleanup.push_async_callback(_remove, tree)
            cleanup.push_async_callback(_remove, driver.folder)
            cleanup.callback(self._keep_log, driver)
            cleanup.push_async_callback(driver.kill)
            self.folder.mkdir(parents=True, exist_ok=True)
            secret = self.storage.open(self.workspace, self.caller)
            cleanup.callback(self.storage.close, secret)
            token = self.tokens.grant(self.workspace.documents.workspace, self.caller.id)
            cleanup.callback(self.tokens.revoke, token)
            readable = permissions.readable(self.workspace.documents, self.caller)
            await asyncio.to_thread(workspace_objects.materialize, self.workspace.documents, tree, readable)
            try:
                assignment = self._assignment(tree, secret, token, readable)
            except ServiceError as error:  # a secret that its configuration names
                message = f"Cluster could not be launched: {error.message}"
                return Outcome.internal_error(message, "INVALID_CLUSTER_REQUEST")
            answer = partial(_answer, self.workspace.documents, self.caller)
            try:
                return Outcome.of_driver(await driver.run(assignment, answer, self._started))
            except RuntimeError as error:
                return Outcome.internal_error(str(error), "DRIVER_ERROR")

    def _assignment(self, tree: Path, secret: str, token: str, readable: Callable[[Json], bool]) -> Json:
        documents, launch = self.workspace.documents, self.task.launch
        notebooks = [item for item in documents.all("object") if item["object_type"] == "NOTEBOOK" and readable(item)]
        spark_conf = self._resolved(launch.spark_conf)
        storage = self.storage.spark_conf(self.workspace, self.caller, secret, launch.security_mode, spark_conf)
        return {
            "notebook_path": workspace_objects.normalize(self.task.notebook["notebook_path"]),
            "parameters": self.task.notebook.get("base_parameters") or {},
            "tree": str(tree),
            "notebooks": {item["path"]: item["language"] for item in notebooks},
            "notebook_ids": {item["path"]: str(item["object_id"]) for item in notebooks},
            "output": str(self.folder / "output.jsonl"),
            "conf": storage | spark_conf,
            "environment": self._resolved(launch.environment),
            "context": {
                "browserHostName": self.workspace.host,
                "apiUrl": f"https://{self.workspace.host}",
                "apiToken": token,
                "workspaceId": self.workspace.id,
                "clusterId": self.task.cluster_id,
                "jobId": str(self.run.job_id),
                "currentRunId": str(self.task.run_id),
                "userName": self.caller.name,
            },
        }

    def _resolved(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return settings with the secrets of `{{secrets/SCOPE/KEY}}` in spark_conf and spark_env_vars."""
        return {key: _resolve(self.workspace.documents, self.caller, value) for key, value in values.items()}

    def _started(self) -> None:
        self.task.lifecycle.move("RUNNING", "In run")
        if self.run.lifecycle.state == "PENDING":
            self.run.lifecycle.move("RUNNING")
        self.save()

    def _keep_log(self, driver: DriverProcess) -> None:
        log = driver.folder / "driver.log"
        if log.exists():
            shutil.copyfile(log, self.folder / "driver.log")


async def _remove(folder: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def _resolve(documents: Documents, caller: Caller, value: str) -> str:
    match = _SECRET.fullmatch(value.strip())
    if match is None:
        return value
    return base64.b64decode(secrets_api.read(documents, caller, match.group(1), match.group(2))).decode()


def _answer(documents: Documents, caller: Caller, method: str, arguments: dict[str, str]) -> Any:
    """Answer a notebook's request to its workspace, as the run's identity."""
    if method == "secrets.get":
        return secrets_api.read(documents, caller, arguments["scope"], arguments["key"])
    if method == "secrets.list":
        return secrets_api.listed(documents, caller, arguments["scope"])
    if method == "secrets.scopes":
        return secrets_api.visible_scopes(documents, caller)
    raise ServiceError(501, "NOT_IMPLEMENTED", f"localcloud does not emulate {method}.")
