"""Folders of notebooks in a workspace, and the unused ones among them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.service.workspace import ObjectType

from mlops import notebooks
from mlops.errors import InvalidError, RemoteError
from mlops.workspace_files import WorkspaceFiles

NOTEBOOK = "feature_engineering"
_EARLIER = "/Shared/AzureMLDeployed"


def clients(admin: WorkspaceClient, folder: str) -> Any:
    files = WorkspaceFiles(admin.config.host, lambda: str(admin.config.token))
    return SimpleNamespace(databricks=admin, workspace_files=files, outputs=SimpleNamespace(notebook_folder=folder))


def pipeline(notebook: str) -> dict[str, Any]:
    """Return the part of a pipeline component's specification that names a notebook."""
    return {"jobs": {"feature_engineering": {"inputs": {"notebook_path": {"value": notebook}}}}}


@pytest.mark.parametrize("folder", [_EARLIER, "/Workspace/Shared/x", "/Shared", "//Shared/x"])
def test_no_notebook_is_uploaded_where_everybody_may_change_it(admin: WorkspaceClient, folder: str) -> None:
    with pytest.raises(InvalidError, match=r"below /Shared, where every user .* may change notebooks: bring the stack"):
        notebooks.upload(clients(admin, folder), NOTEBOOK)


def test_a_refused_upload_names_databricks_code_and_message(admin: WorkspaceClient) -> None:
    files = clients(admin, "").workspace_files

    with pytest.raises(RemoteError, match=r"Databricks refused import of /: 400 [A-Z_]+: "):
        files.upload("/", b"x")
    with pytest.raises(RemoteError, match=r"Databricks refused get-status of /x: 40[13] .+"):
        WorkspaceFiles(admin.config.host, lambda: "nobody-s").exists("/x")


def test_a_folder_without_a_deployment_is_unused_and_that_of_this_checkout_is_kept(admin: WorkspaceClient) -> None:
    notebook_clients = clients(admin, "/dataopsml/notebooks")
    admin.workspace.mkdirs("/dataopsml/notebooks")
    assert notebooks.upload(notebook_clients, NOTEBOOK)
    assert not notebooks.upload(notebook_clients, NOTEBOOK), "it is there"
    folder = f"/dataopsml/notebooks/{notebooks.content_hash(NOTEBOOK)}"
    types = {item.path: item.object_type for item in admin.workspace.list(folder)}
    assert types[f"{folder}/{NOTEBOOK}"] == ObjectType.NOTEBOOK and types[f"{folder}/lib"] == ObjectType.DIRECTORY
    library = (notebooks.FOLDER / "lib/engineering.py").read_bytes()
    assert admin.workspace.download(f"{folder}/lib/engineering.py").read() == library
    named, left, elsewhere = "1" * 16, "2" * 16, "3" * 16
    for path in (
        f"/dataopsml/notebooks/{named}/lib", f"/dataopsml/notebooks/{left}/lib", f"{_EARLIER}/{named}",
        f"{_EARLIER}/{elsewhere}/lib", "/dataopsml/notebooks/somebody-s",
    ):  # fmt: skip
        admin.workspace.mkdirs(path)
    used = [pipeline(f"/dataopsml/notebooks/{named}/feature_engineering"), pipeline(f"{_EARLIER}/{elsewhere}/fe"), None]

    folders = list(notebooks.unused(notebook_clients, used))

    assert folders == [f"/dataopsml/notebooks/{left}", f"{_EARLIER}/{named}"]
    for path in folders:
        notebooks.remove(notebook_clients, path)
        with pytest.raises(NotFound):
            admin.workspace.get_status(path)
    assert list(notebooks.unused(notebook_clients, used)) == []
    assert list(notebooks.unused(clients(admin, "/nowhere"), used)) == []
    for path in ("/dataopsml", _EARLIER):
        admin.workspace.delete(path, recursive=True)
