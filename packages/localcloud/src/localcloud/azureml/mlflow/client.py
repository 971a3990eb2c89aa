"""localcloud's own calls to the MLflow server, each in the MLflow workspace of an Azure ML workspace."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import httpx

from localcloud.azureml.common import WORKSPACE
from localcloud.azureml.mlflow import gateway_key, workspaces
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource

_START_SECONDS = 120
_log = logging.getLogger("localcloud.azureml")


class MlflowError(ServiceError):
    """MLflow's refusal: `code` is its error_code, such as RESOURCE_DOES_NOT_EXIST."""


class Mlflow:
    """Safe to use while the server still starts: calls wait for it."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._client = httpx.AsyncClient(
            base_url=ctx.settings.mlflow_url, timeout=httpx.Timeout(300, connect=10), trust_env=False,
            headers={gateway_key.HEADER: gateway_key.gateway_key(ctx.settings.home)},
            # MLflow's server closes a connection that was idle for five seconds, in which a request may be on its way.
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=2),
        )  # fmt: skip
        self._created: set[str] = set()
        self._experiments: dict[tuple[str, str], str] = {}
        ctx.database.script(workspaces.SCHEMA)
        ctx.on_stop.append(self._client.aclose)

    async def workspace(self, workspace: Resource) -> str:
        """Return MLflow's workspace of an Azure ML workspace, made on first use."""
        name = workspaces.name_of(self._ctx.database, workspace)
        if name is None:
            await self.forget_deleted()
            name = workspaces.claim(self._ctx.database, workspace)
        if name not in self._created and name != workspaces.DEFAULT:
            try:
                await self.request("POST", "/api/3.0/mlflow/workspaces", body={"name": name})
            except MlflowError as error:
                if error.code != "RESOURCE_ALREADY_EXISTS":
                    raise
        self._created.add(name)
        return name

    async def claim_default(self) -> None:
        """Give MLflow's default workspace to the oldest Azure ML workspace that has none, if it is free.

        MLflow's plain client uses it, perhaps before the first job; its artifacts need an Azure ML workspace.
        """
        owner = workspaces.workspace_id_of(self._ctx.database, workspaces.DEFAULT)
        if owner is not None and self._ctx.resources.get(owner) is not None:
            return
        unclaimed = [
            workspace
            for workspace in self._ctx.resources.list(WORKSPACE)
            if workspaces.name_of(self._ctx.database, workspace) is None
        ]
        if unclaimed:
            await self.workspace(
                min(unclaimed, key=lambda workspace: str((workspace.system_data or {}).get("createdAt")))
            )

    async def call(
        self, workspace: Resource, method: str, path: str, body: Json | None = None, params: Json | None = None
    ) -> Json:
        """Send a REST call: `path` such as "runs/create", below /api/2.0/mlflow. Raises MlflowError."""
        name = await self.workspace(workspace)
        full = path if path.startswith("/") else f"/api/2.0/mlflow/{path}"
        return await self.request(method, full, body=body, params=params, workspace=name)

    async def request(
        self, method: str, path: str, *, body: Json | None = None, params: Json | None = None, workspace: str = ""
    ) -> Json:
        """Call MLflow as `call` does, in an MLflow workspace by name."""
        headers = {workspaces.WORKSPACE_HEADER: workspace} if workspace else {}
        request = self._client.build_request(method, path, json=body, params=params, headers=headers)
        answer = await self.send(request)
        await answer.aread()
        content = answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else {}
        if answer.status_code >= 400:
            message = str(content.get("message") or answer.text or f"MLflow answered {answer.status_code}")
            raise MlflowError(answer.status_code, str(content.get("error_code") or "INTERNAL_ERROR"), message)
        result: Json = content
        return result

    def build(self, method: str, path: str, **options: Any) -> httpx.Request:
        return self._client.build_request(method, path, **options)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send and stream the answer; while nothing listens yet, try again. Raises ServiceError 503."""
        self._ctx.start_tracking()
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return await self._client.send(request, stream=True)
            except httpx.ConnectError as error:
                if time.monotonic() > deadline:
                    text = f"The MLflow server does not answer: see {self._ctx.settings.logs / 'mlflow.log'}."
                    raise ServiceError(503, "TEMPORARILY_UNAVAILABLE", text, {"Retry-After": "2"}) from error
                await asyncio.sleep(0.1)
            except httpx.TransportError as error:
                raise ServiceError(
                    503, "TEMPORARILY_UNAVAILABLE", f"The MLflow server broke off: {error!r}", {"Retry-After": "2"}
                ) from error

    async def experiment(self, workspace: Resource, name: str) -> str:
        """Return the id of an experiment, which is made or restored if needed."""
        key = (workspace.id.lower(), name)
        if key in self._experiments:
            return self._experiments[key]
        try:
            created = await self.call(workspace, "POST", "experiments/create", {"name": name})
            self._experiments[key] = str(created["experiment_id"])
        except MlflowError as error:
            if error.code != "RESOURCE_ALREADY_EXISTS":
                raise
            answer = await self.call(workspace, "GET", "experiments/get-by-name", params={"experiment_name": name})
            experiment = answer["experiment"]
            if experiment.get("lifecycle_stage") == "deleted":
                await self.call(
                    workspace, "POST", "experiments/restore", {"experiment_id": experiment["experiment_id"]}
                )
            self._experiments[key] = str(experiment["experiment_id"])
        return self._experiments[key]

    def forget_experiment(self, workspace: Resource, name: str) -> None:
        """Its id is looked up again: someone may have deleted it."""
        self._experiments.pop((workspace.id.lower(), name), None)

    async def forget_deleted(self) -> None:
        """Drop MLflow's data of deleted Azure ML workspaces."""
        for name, id_, guid in workspaces.all_of(self._ctx.database):
            existing = self._ctx.resources.get(id_)
            if existing is not None and workspaces.identity_of(existing) == guid:
                continue
            _log.info("workspace %s is gone: MLflow forgets it", id_)
            if name == workspaces.DEFAULT:
                await self.request("DELETE", "/_localcloud/default", workspace=name)
            else:
                try:
                    await self.request("DELETE", f"/api/3.0/mlflow/workspaces/{name}", params={"mode": "CASCADE"})
                except MlflowError as error:
                    if error.code != "RESOURCE_DOES_NOT_EXIST":
                        raise
            workspaces.release(self._ctx.database, name)
            self._created.discard(name)
            self._experiments = {key: value for key, value in self._experiments.items() if key[0] != id_.lower()}


def _created(workspace: Resource) -> str:
    return str((workspace.system_data or {}).get("createdAt"))
