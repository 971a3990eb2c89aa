"""Notebooks, files and folders through the real client."""

from __future__ import annotations

import base64
import json

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    BadRequest,
    InvalidParameterValue,
    NotFound,
    NotImplemented,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
    Unauthenticated,
)  # fmt: skip
from databricks.sdk.service.workspace import ExportFormat, ImportFormat, Language, ObjectType

SOURCE = b"# Databricks notebook source\nprint(1)\n"


def test_a_notebook_is_imported_and_exported_unchanged(admin: WorkspaceClient, folder: str) -> None:
    content = base64.b64encode(SOURCE).decode()
    path = f"{folder}/a"
    admin.workspace.import_(path, content=content, format=ImportFormat.SOURCE, language=Language.PYTHON)
    status = admin.workspace.get_status(path)
    assert (status.object_type, status.language, status.path) == (ObjectType.NOTEBOOK, Language.PYTHON, path)
    assert admin.workspace.export(path, format=ExportFormat.SOURCE).content == content
    assert admin.workspace.download(path).read() == SOURCE
    with pytest.raises(ResourceAlreadyExists, match="Please pass overwrite as true"):
        admin.workspace.import_(path, content=content, format=ImportFormat.SOURCE, language=Language.PYTHON)
    admin.workspace.import_(
        path, content=base64.b64encode(b"x = 2\n").decode(), format=ImportFormat.SOURCE, language=Language.PYTHON,
        overwrite=True,
    )  # fmt: skip
    assert admin.workspace.download(path).read() == b"x = 2\n"
    assert admin.workspace.get_status(path).object_id == status.object_id, "overwriting keeps the object and its ACL"


def test_auto_distinguishes_notebooks_from_files_by_extension_and_header(admin: WorkspaceClient, folder: str) -> None:
    admin.workspace.mkdirs(f"{folder}/lib")
    binary = bytes(range(256)) * 40 + b"\r\n--x\r\n"
    admin.workspace.upload(f"{folder}/nb.py", SOURCE, format=ImportFormat.AUTO)
    admin.workspace.upload(f"{folder}/lib/m.py", b"x = 1\n", format=ImportFormat.AUTO)
    admin.workspace.upload(f"{folder}/lib/data.bin", binary, format=ImportFormat.RAW)
    types = {item.path: item.object_type for item in admin.workspace.list(folder, recursive=True)}
    assert types == {
        f"{folder}/nb": ObjectType.NOTEBOOK,
        f"{folder}/lib/m.py": ObjectType.FILE,
        f"{folder}/lib/data.bin": ObjectType.FILE,
    }
    assert admin.workspace.download(f"{folder}/lib/data.bin").read() == binary
    assert admin.workspace.get_status(f"/Workspace{folder}/lib/m.py").path == f"{folder}/lib/m.py"


def test_a_jupyter_notebook_is_converted_to_databricks_and_back(admin: WorkspaceClient, folder: str) -> None:
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "text"]},
        {"cell_type": "code", "metadata": {}, "source": "x = 1\nprint(x)", "outputs": [{"text": "1"}],
         "execution_count": 1},
        {"cell_type": "code", "metadata": {}, "source": ["%sql\n", "SELECT 1"], "outputs": [], "execution_count": 2},
        {"cell_type": "code", "metadata": {}, "source": "%run ./other", "outputs": [], "execution_count": 3},
    ]  # fmt: skip
    notebook = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
    content = base64.b64encode(json.dumps(notebook).encode()).decode()
    admin.workspace.import_(f"{folder}/j", content=content, format=ImportFormat.JUPYTER)
    assert admin.workspace.get_status(f"{folder}/j").language == Language.PYTHON
    assert admin.workspace.download(f"{folder}/j").read().decode() == (
        "# Databricks notebook source\n"
        "# MAGIC %md\n# MAGIC # Title\n# MAGIC text\n\n# COMMAND ----------\n\n"
        "x = 1\nprint(x)\n\n# COMMAND ----------\n\n"
        "# MAGIC %sql\n# MAGIC SELECT 1\n\n# COMMAND ----------\n\n"
        "# MAGIC %run ./other\n"
    )
    exported = admin.workspace.export(f"{folder}/j", format=ExportFormat.JUPYTER)
    assert exported.file_type == "ipynb" and exported.content is not None
    back = json.loads(base64.b64decode(exported.content))
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in back["cells"]] == [
        ("markdown", "# Title\ntext"), ("code", "x = 1\nprint(x)"), ("code", "%sql SELECT 1"), ("code", "%run ./other"),
    ]  # fmt: skip
    admin.workspace.upload(f"{folder}/k.ipynb", json.dumps(notebook).encode(), format=ImportFormat.AUTO)
    assert admin.workspace.get_status(f"{folder}/k").object_type == ObjectType.NOTEBOOK


CELL: dict[str, object] = {
    "cell_type": "code", "metadata": {}, "source": "1", "outputs": [], "execution_count": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nbformat": 3, "worksheets": []}, "not a Jupyter notebook of format 4: 3"),
        ({"nbformat": 9}, "Unsupported nbformat version 9"),
        ({"cells": 5}, "not a Jupyter notebook"),
        ({"cells": [CELL | {"cell_type": "song"}]}, "not a Jupyter notebook"),
        ({"cells": [CELL | {"source": 5}]}, "not a Jupyter notebook"),
        ({"metadata": None}, "not a Jupyter notebook"),
    ],
)
def test_a_notebook_of_another_form_is_refused(
    admin: WorkspaceClient, folder: str, change: dict[str, object], reason: str
) -> None:
    notebook = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [CELL]} | change
    content = base64.b64encode(json.dumps(notebook).encode()).decode()

    with pytest.raises(InvalidParameterValue, match=reason):
        admin.workspace.import_(f"{folder}/x", content=content, format=ImportFormat.JUPYTER)


@pytest.mark.parametrize(
    ("content_type", "cut", "reason"),
    [
        ("multipart/form-data; boundary=b", 0, ""),
        ('multipart/form-data; boundary="b"', 0, ""),
        ("multipart/form-data; boundary=b", 12, "The multipart body is cut off."),
        ("multipart/form-data", 0, "The multipart body has no boundary."),
        ("multipart/form-data; boundary=c", 0, "The multipart body cannot be parsed"),
    ],
)
def test_forms_are_read_whole_or_refused(
    admin: WorkspaceClient, databricks_url: str, folder: str, content_type: str, cut: int, reason: str
) -> None:
    fields = {"path": f"{folder}/f.bin", "format": "RAW", "overwrite": "true"}
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    content = b"\x00\xff--b\r\n"
    body = "".join(parts).encode() + b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\n' + content
    body += b"\r\n--b--\r\n"

    answer = httpx.post(
        f"{databricks_url}/api/2.0/workspace/import", content=body[: len(body) - cut],
        headers={"Authorization": "Bearer deployer", "Content-Type": content_type},
    )  # fmt: skip

    assert (answer.status_code == 200) == (reason == ""), answer.text
    if reason:
        assert answer.json()["error_code"] == "MALFORMED_REQUEST"
        assert answer.json()["message"].startswith(reason)
    else:
        assert admin.workspace.download(f"{folder}/f.bin").read() == content


def test_refusals_name_the_path_and_the_reason(admin: WorkspaceClient, folder: str) -> None:
    with pytest.raises(ResourceDoesNotExist, match=f"The parent folder \\({folder}/no\\) does not exist"):
        admin.workspace.upload(f"{folder}/no/x.py", SOURCE, format=ImportFormat.AUTO)
    with pytest.raises(ResourceDoesNotExist, match="doesn't exist"):
        admin.workspace.get_status(f"{folder}/no")
    with pytest.raises(InvalidParameterValue, match="language"):
        admin.workspace.import_(f"{folder}/x", content="", format=ImportFormat.SOURCE)
    with pytest.raises(InvalidParameterValue, match="not valid base64"):
        admin.workspace.import_(f"{folder}/x", content="%", format=ImportFormat.AUTO)
    with pytest.raises(InvalidParameterValue, match="doesn't start with '/'"):
        admin.workspace.mkdirs("Shared/x")
    with pytest.raises(InvalidParameterValue, match="not a Jupyter notebook"):
        admin.workspace.import_(f"{folder}/x", content="", format=ImportFormat.JUPYTER)
    with pytest.raises(NotImplemented, match="workspace/import of format DBC"):
        admin.workspace.import_(f"{folder}/x", content="", format=ImportFormat.DBC)
    with pytest.raises(NotImplemented, match=r"GET /api/2.0/dbfs/list"):
        admin.api_client.do("GET", "/api/2.0/dbfs/list", query={"path": "/"})


def test_folders_are_deleted_with_their_contents_only_on_request(admin: WorkspaceClient, folder: str) -> None:
    admin.workspace.mkdirs(f"{folder}/a/b")
    with pytest.raises(BadRequest, match="is not empty"):
        admin.workspace.delete(f"{folder}/a")
    admin.workspace.delete(f"{folder}/a", recursive=True)
    with pytest.raises(NotFound):
        admin.workspace.list(f"{folder}/a").__next__()


def test_strangers_and_bad_tokens_are_kept_out(admin: WorkspaceClient, stranger: WorkspaceClient) -> None:
    with pytest.raises(PermissionDenied, match=r"is not in workspace dbw-test\. Add it as a service principal"):
        stranger.current_user.me()
    bad = WorkspaceClient(host=admin.config.host, token="no-such-token", auth_type="pat")
    with pytest.raises(Unauthenticated, match="Invalid access token"):
        bad.current_user.me()


def test_private_folders_are_closed_and_shared_ones_open(
    admin: WorkspaceClient, member: WorkspaceClient, folder: str
) -> None:
    home = f"/Users/{admin.current_user.me().user_name}"
    admin.workspace.upload(f"{home}/secret.py", SOURCE, format=ImportFormat.AUTO, overwrite=True)
    with pytest.raises(ResourceDoesNotExist):
        member.workspace.get_status(f"{home}/secret")
    with pytest.raises(PermissionDenied, match="CAN_MANAGE"):
        member.workspace.upload(f"{home}/mine.py", SOURCE, format=ImportFormat.AUTO)
    member.workspace.upload(f"{folder}/mine.py", SOURCE, format=ImportFormat.AUTO)  # /Shared is everyone's
    assert admin.workspace.get_status(f"{folder}/mine").object_type == ObjectType.NOTEBOOK
