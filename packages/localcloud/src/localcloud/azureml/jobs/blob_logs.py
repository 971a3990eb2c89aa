"""Logs of runs as append blobs in the run's artifacts, which grow while the run does."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from azure.storage.blob import ContentSettings

from localcloud.core.context import Context
from localcloud.core.resource import Resource

STD_LOG = "user_logs/std_log.txt"
IMAGE_BUILD_LOG = "azureml-logs/20_image_build_log.txt"
"""Log of jobs that waited for a build (learn.microsoft.com "Monitor and view ML run logs and metrics")."""
EXECUTION_LOG = "logs/azureml/executionlogs.txt"
_BLOCK = 4 * 1024 * 1024
_TEXT = ContentSettings(content_type="text/plain; charset=utf-8")
_STEPS = ((60.0, 0.5), (600.0, 2.0), (3600.0, 10.0))
"""(age of the log in seconds, seconds between appends): an append blob has at most 50,000 blocks."""


def folder(run_id: str) -> str:
    """Return the path of a run's artifacts in the container of workspaceartifactstore."""
    return f"ExperimentRun/dcid.{run_id}"


def artifact_store(ctx: Context, workspace: Resource) -> tuple[str, str]:
    """(storage account, container) of a workspace's artifacts. Raises KeyError when the datastore is gone."""
    store = ctx.resources.get(f"{workspace.id}/datastores/workspaceartifactstore")
    if store is None:
        raise KeyError(f"{workspace.id} has no workspaceartifactstore")
    return str(store.properties["accountName"]), str(store.properties["containerName"])


class BlobLog:
    """An append blob. `append` blocks; `write` is for a log whose lines are made here."""

    def __init__(self, ctx: Context, workspace: Resource, run_id: str, name: str) -> None:
        account, container = artifact_store(ctx, workspace)
        self._blob: Any = ctx.storage.service_client(account).get_blob_client(container, f"{folder(run_id)}/{name}")
        self._created = False

    def append(self, content: bytes) -> None:
        if not self._created:
            self._blob.create_append_blob(content_settings=_TEXT)
            self._created = True
        for start in range(0, len(content), _BLOCK):
            self._blob.append_block(content[start : start + _BLOCK])


class FileFollower:
    """Copy of a process's log file to its blob, until it is stopped."""

    def __init__(self, file: Path, log: BlobLog) -> None:
        self._file = file
        self._log = log
        self._sent = 0
        self._started = time.monotonic()
        self._end = asyncio.Event()

    async def run(self) -> None:
        """Follow the file to its end. Raises AzureError when storage refuses."""
        await asyncio.to_thread(self._log.append, b"")
        while not self._end.is_set():
            try:
                await asyncio.wait_for(self._end.wait(), self._pause())
            except TimeoutError:
                await self._send()
        await self._send()

    def stop(self) -> None:
        """Send the rest of the complete file and end."""
        self._end.set()

    def _pause(self) -> float:
        age = time.monotonic() - self._started
        return next((pause for limit, pause in _STEPS if age < limit), 30.0)

    async def _send(self) -> None:
        if self._file.exists() and self._file.stat().st_size > self._sent:
            await asyncio.to_thread(self._send_new)

    def _send_new(self) -> None:
        with self._file.open("rb") as content:
            content.seek(self._sent)
            while block := content.read(_BLOCK):
                self._log.append(block)
                self._sent += len(block)


class LineLog:
    """Lines of the scheduler, sent in order without keeping it waiting."""

    def __init__(self, log: BlobLog) -> None:
        self._log = log
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()

    def line(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._lines.put_nowait(f"[{stamp}] {text}\n")

    def close(self) -> None:
        self._lines.put_nowait(None)

    async def run(self) -> None:
        """Until closed. Raises AzureError when storage refuses."""
        open_ = True
        while open_:
            batch = [await self._lines.get()]
            while not self._lines.empty():
                batch.append(self._lines.get_nowait())
            open_ = None not in batch
            content = "".join(line for line in batch if line is not None).encode()
            if content:
                await asyncio.to_thread(self._log.append, content)
