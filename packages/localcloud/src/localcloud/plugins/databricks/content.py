"""Folders, notebooks and files of a workspace."""

from __future__ import annotations

from typing import Any

from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.resource import Resource
from localcloud.plugins.errors import PluginError
from localcloud.plugins.values import Plain, has_unknown, reveal


class Directory(Resource):
    """databricks:Directory."""

    replaces = ("path",)
    required = ("path",)

    def create(self, api: Api, inputs: Plain) -> str:
        api.call("POST", "/api/2.0/workspace/mkdirs", body={"path": inputs["path"]})
        return str(inputs["path"])

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", "/api/2.0/workspace/get-status", query={"path": id_})
        if current is None or current.get("object_type") != "DIRECTORY":
            return None
        return {"path": id_, "objectId": current["object_id"], "workspacePath": f"/Workspace{id_}"}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        """Update nothing: the only other input is deleteRecursive, a mark in the state."""

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        body = {"path": id_, "recursive": bool(state.get("deleteRecursive"))}
        api.find("POST", "/api/2.0/workspace/delete", body=body)

    def imported(self, state: Plain) -> Plain:
        return {"path": state["path"]}


class _Content(Resource):
    """`md5` is an input of its own, so that a file's new content is a difference."""

    def completed(self, inputs: Plain) -> Plain:
        import hashlib

        if has_unknown(inputs):
            return inputs
        digest = hashlib.md5(_content(reveal(inputs)).encode(), usedforsecurity=False).hexdigest()
        return inputs | {"md5": digest}


class Notebook(_Content):
    """databricks:Notebook."""

    replaces = ("path",)
    required = ("path",)
    unsent = ("path",)

    def create(self, api: Api, inputs: Plain) -> str:
        parent = str(inputs["path"]).rsplit("/", 1)[0]
        if parent:
            api.call("POST", "/api/2.0/workspace/mkdirs", body={"path": parent})
        self.update(api, str(inputs["path"]), inputs)
        return str(inputs["path"])

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", "/api/2.0/workspace/get-status", query={"path": id_})
        if current is None or current.get("object_type") != "NOTEBOOK":
            return None
        return {"path": id_, "language": current.get("language"), "objectId": current["object_id"],
                "objectType": "NOTEBOOK", "workspacePath": f"/Workspace{id_}"}  # fmt: skip

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        body = {"path": id_, "content": _content(inputs), "language": inputs.get("language", "PYTHON"),
                "format": inputs.get("format", "SOURCE"), "overwrite": True}  # fmt: skip
        api.call("POST", "/api/2.0/workspace/import", body=body)

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/workspace/delete", body={"path": id_})

    def imported(self, state: Plain) -> Plain:
        return {"path": state["path"], "language": state["language"]}


class WorkspaceFile(_Content):
    """databricks:WorkspaceFile."""

    replaces = ("path",)
    required = ("path",)

    def create(self, api: Api, inputs: Plain) -> str:
        parent = str(inputs["path"]).rsplit("/", 1)[0]
        if parent:
            api.call("POST", "/api/2.0/workspace/mkdirs", body={"path": parent})
        self.update(api, str(inputs["path"]), inputs)
        return str(inputs["path"])

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", "/api/2.0/workspace/get-status", query={"path": id_})
        if current is None or current.get("object_type") != "FILE":
            return None
        return {"path": id_, "objectId": current["object_id"], "workspacePath": f"/Workspace{id_}"}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        """Upload in one request of several parts, like the vendor's client: the limit of JSON is 10 MB."""
        import base64

        parts: dict[str, Any] = {"path": id_, "format": "RAW", "overwrite": "true"}
        api.call("POST", "/api/2.0/workspace/import", data=parts, files={"content": base64.b64decode(_content(inputs))})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/workspace/delete", body={"path": id_})

    def imported(self, state: Plain) -> Plain:
        return {"path": state["path"]}


def _content(inputs: Plain) -> str:
    """Base64. Raises PluginError without a readable source."""
    import base64
    from pathlib import Path

    if inputs.get("contentBase64"):
        return str(inputs["contentBase64"])
    try:
        return base64.b64encode(Path(str(inputs.get("source"))).read_bytes()).decode()
    except OSError as error:
        raise PluginError(f"source '{inputs.get('source')}' cannot be read: {error.strerror}") from error
