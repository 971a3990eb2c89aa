"""A run's artifacts for a browser. A job wrote them: they are shown without rights, see gateway/page_headers.py.

HTML is a page; text is text, even of another format; everything else is a download.
"""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from localcloud.azureml.jobs import blob_logs
from localcloud.azureml.jobs.arm import page_url
from localcloud.azureml.jobs.runs import Run, RunStore
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.storage.addresses import Target, check_name

PATH = "/_localcloud/azureml/runs/{run}/artifacts/{path:path}"
_MOST_LISTED = 200
_TEXT = frozenset({".json", ".txt", ".md", ".log", ".csv", ".yaml", ".yml"})
_LOGS = ("user_logs/", "logs/", "azureml-logs/", "system_logs/")
"""The run's page shows them itself."""


class Artifacts:
    """The files that a run logged."""

    def __init__(self, ctx: Context, store: RunStore) -> None:
        self._ctx = ctx
        self._store = store

    def names(self, workspace: Resource, run: Run) -> list[str]:
        """Return the paths of a run's artifacts without its logs, pages first."""
        account, container = blob_logs.artifact_store(self._ctx, workspace)
        prefix = f"{blob_logs.folder(run.id)}/"
        client = self._ctx.storage.service_client(account).get_container_client(container)
        paths = (str(name)[len(prefix) :] for name in client.list_blob_names(name_starts_with=prefix))
        files = [path for path in paths if not path.startswith(_LOGS)]
        return sorted(files, key=lambda path: (not is_page(path), path))[:_MOST_LISTED]

    def address(self, workspace: Resource, run: Run, path: str) -> str:
        """Return the address of an artifact's page."""
        page, _, query = page_url(self._ctx, workspace, run.id).partition("?")
        return f"{page}/artifacts/{quote(path)}?{query}"

    async def serve(self, request: Request) -> Response:
        """Answer with an artifact; 404 for anything that is none."""
        workspace = self._ctx.resources.get(request.query_params.get("wsid", "/"))
        run = self._store.get(workspace.id, request.path_params["run"]) if workspace is not None else None
        if workspace is None or run is None:
            return Response("There is no such run.", 404, media_type="text/plain")
        path = str(request.path_params["path"])
        try:
            content = await asyncio.to_thread(self._content, workspace, run, path)
        except ServiceError as error:
            return Response(error.message, error.status, media_type="text/plain")
        if content is None:
            return Response("There is no such artifact.", 404, media_type="text/plain")
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
        if is_page(path):
            return Response(content, media_type="text/html; charset=utf-8", headers=headers)
        if PurePosixPath(path).suffix.lower() in _TEXT:
            return Response(content, media_type="text/plain; charset=utf-8", headers=headers)
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(PurePosixPath(path).name, safe='')}"
        return Response(content, media_type="application/octet-stream", headers=headers)

    def _content(self, workspace: Resource, run: Run, path: str) -> bytes | None:
        account, container = blob_logs.artifact_store(self._ctx, workspace)
        name = f"{blob_logs.folder(run.id)}/{path}"
        check_name(Target(container, name))
        blob = self._ctx.storage.service_client(account).get_blob_client(container, name)
        return bytes(blob.download_blob().readall()) if path and blob.exists() else None


def is_page(path: str) -> bool:
    """Whether an artifact is shown as a page."""
    return PurePosixPath(path).suffix.lower() in {".html", ".htm"}
