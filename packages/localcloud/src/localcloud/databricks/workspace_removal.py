"""The removal of a deleted workspace's runs, rows, artifacts and attachment to the region's metastore."""

from __future__ import annotations

import asyncio

from localcloud.core.context import Context
from localcloud.core.resource import Resource
from localcloud.databricks import access, store
from localcloud.databricks.runner import Runner
from localcloud.databricks.tracking.artifacts import Artifacts
from localcloud.databricks.unity import session


class WorkspaceRemoval:
    """The removal that the deletion of a workspace resource calls."""

    def __init__(self, context: Context, runner: Runner, artifacts: Artifacts) -> None:
        self._context, self._runner, self._artifacts = context, runner, artifacts

    async def remove(self, resource: Resource) -> None:
        """Cancel the workspace's active runs and delete its data. The pools' idle drivers exit by themselves."""
        if "workspaceUrl" not in resource.properties:  # it never existed
            return
        workspace = access.workspace_of(self._context, resource)
        await self._runner.end_all(workspace)
        await asyncio.to_thread(self._artifacts.remove, workspace.documents.workspace)
        session.detach(self._context, workspace)
        store.forget_workspace(self._context.database, workspace.documents.workspace)
