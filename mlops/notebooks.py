"""Notebooks go to a folder named after their content: a published pipeline never changes under its users.

A folder stays as long as a deployment names it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mlops import fingerprints, notebook_sources, specifications
from mlops.clients import Clients
from mlops.errors import InvalidError

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
_HASH_LENGTH = 16
_FIRST_LINE = "# Databricks notebook source"
_EARLIER_FOLDER = "/Shared/AzureMLDeployed"
"""Folder for the notebooks of earlier deployments in stacks older than 2026-11-29."""
_CONTENT = re.compile(r"[0-9a-f]{16}")


def content_hash(notebook: str) -> str:
    """Return the hash of a notebook with the modules that it imports."""
    return fingerprints.of_files(FOLDER, notebook_sources.files(FOLDER, notebook))[:_HASH_LENGTH]


def notebook_path(folder: str, notebook: str) -> str:
    """Return where the notebook of this checkout is, or will be: FOLDER/HASH/NAME."""
    return f"{folder}/{content_hash(notebook)}/{notebook}"


def upload(clients: Clients, notebook: str) -> bool:
    """Upload a notebook and the modules that it imports as workspace files; False when this content is there already.

    The folder gets a mark when it is complete: an upload that was cut off is done again. Raises InvalidError for a
    folder below /Shared, in which every user of the workspace may change the notebooks of a published pipeline.
    """
    check_folder(clients.outputs.notebook_folder)
    workspace = clients.workspace_files
    target = f"{clients.outputs.notebook_folder}/{content_hash(notebook)}"
    mark = f"{target}/.complete"
    if workspace.exists(mark):
        return False
    for file in notebook_sources.files(FOLDER, notebook):
        relative = file.relative_to(FOLDER)
        content = file.read_bytes()
        path = f"{target}/{relative.as_posix()}"
        workspace.make_folder(path.rsplit("/", 1)[0])
        if content.startswith(_FIRST_LINE.encode()):
            workspace.upload(path.removesuffix(".py"), content, notebook=True)
        else:
            workspace.upload(path, content)
    workspace.upload(mark, b"complete\n")
    return True


def check_folder(folder: str) -> None:
    """Raise InvalidError unless the platform's own permissions decide in this folder."""
    parts = [part for part in folder.split("/") if part]
    if parts[:1] == ["Workspace"]:  # a prefix that Databricks accepts and removes
        parts = parts[1:]
    if parts[:1] == ["Shared"]:
        raise InvalidError(
            f"The notebook folder {folder} is below /Shared, where every user of the Databricks workspace may change "
            "notebooks: bring the stack up with `pulumi up`, which makes a folder of the platform's own."
        )


def unused(clients: Clients, pipelines: Iterable[Any]) -> Iterator[str]:
    """Yield the notebook folders that no pipeline component names and that are not this checkout's.

    `pipelines` are the specifications of the pipeline components of all deployments, of every pipeline.
    """
    named = " ".join(json.dumps(pipeline) for pipeline in pipelines)
    own = [notebook for name in specifications.names() for notebook in specifications.load(name).notebooks]
    current = {f"{clients.outputs.notebook_folder}/{content_hash(notebook)}" for notebook in own}
    for folder in dict.fromkeys((clients.outputs.notebook_folder, _EARLIER_FOLDER)):
        for path in _subfolders(clients, folder):
            content = path.rsplit("/", 1)[-1]
            if _CONTENT.fullmatch(content) and path not in current and path not in named:
                yield path


def exists(clients: Clients, folder: str) -> bool:
    """Whether the folder exists in Databricks."""
    from databricks.sdk.errors import NotFound

    try:
        clients.databricks.workspace.get_status(folder)
    except NotFound:
        return False
    return True


def remove(clients: Clients, folder: str) -> None:
    clients.databricks.workspace.delete(folder, recursive=True)


def _subfolders(clients: Clients, folder: str) -> list[str]:
    from databricks.sdk.errors import NotFound
    from databricks.sdk.service.workspace import ObjectType

    try:
        listed = list(clients.databricks.workspace.list(folder))
    except NotFound:
        return []
    return sorted(str(item.path) for item in listed if item.object_type == ObjectType.DIRECTORY)
