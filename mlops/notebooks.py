"""Notebooks go to a folder named after their content: a published pipeline never changes under its users."""

from __future__ import annotations

import io
from pathlib import Path

from mlops import fingerprints
from mlops.clients import Clients

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
_HASH_LENGTH = 16
_FIRST_LINE = "# Databricks notebook source"


def content_hash() -> str:
    return fingerprints.of_folder(FOLDER)[:_HASH_LENGTH]


def notebook_path(folder: str, name: str) -> str:
    """Where the notebook of this checkout is, or will be: FOLDER/HASH/NAME."""
    return f"{folder}/{content_hash()}/{name}"


def upload(clients: Clients) -> bool:
    """Upload notebooks and their library as workspace files; False when this content is there already.

    The folder gets a mark when it is complete: an upload that was cut off is done again.
    """
    from databricks.sdk.errors import NotFound
    from databricks.sdk.service.workspace import ImportFormat, Language

    workspace = clients.databricks.workspace
    target = f"{clients.outputs.notebook_folder}/{content_hash()}"
    mark = f"{target}/.complete"
    try:
        workspace.get_status(mark)
    except NotFound:
        pass
    else:
        return False
    for file in fingerprints.source_files(FOLDER):
        relative = file.relative_to(FOLDER)
        content = file.read_bytes()
        path = f"{target}/{relative.as_posix()}"
        workspace.mkdirs(path.rsplit("/", 1)[0])
        if content.startswith(_FIRST_LINE.encode()):
            notebook = path.removesuffix(".py")
            source = io.BytesIO(content)
            workspace.upload(notebook, source, format=ImportFormat.SOURCE, language=Language.PYTHON, overwrite=True)
        else:
            workspace.upload(path, io.BytesIO(content), format=ImportFormat.AUTO, overwrite=True)
    workspace.upload(mark, io.BytesIO(b"complete\n"), format=ImportFormat.AUTO, overwrite=True)
    return True
