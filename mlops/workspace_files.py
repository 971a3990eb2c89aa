"""Files of a Databricks workspace without databricks-sdk, whose import takes longer than a publication's uploads.

Paths and bodies are the SDK's: `WorkspaceAPI.get_status`, `mkdirs` and `import_` of its service/workspace.py.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from azure.core import PipelineClient
from azure.core.pipeline.policies import RetryPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

from mlops.errors import RemoteError

_RETRIES = 5
_MISSING = "RESOURCE_DOES_NOT_EXIST"


class WorkspaceFiles:
    """Notebooks, files and folders by path; `token` returns a valid token for Databricks."""

    def __init__(self, host: str, token: Callable[[], str]) -> None:
        self._host, self._token = host.rstrip("/"), token
        policies = [UserAgentPolicy("dataopsml"), RetryPolicy(retry_total=_RETRIES)]
        self._client: PipelineClient[Any, Any] = PipelineClient(self._host, policies=policies)

    def exists(self, path: str) -> bool:
        """Whether there is an object at the path. Raises RemoteError, and azure.core's exceptions."""
        answer = self._send("GET", "get-status", path, params={"path": path}, accepted=_MISSING)
        return bool(answer.status_code < HTTPStatus.BAD_REQUEST)

    def make_folder(self, path: str) -> None:
        """Make a folder and its missing parents. Raises the errors of `exists`."""
        self._send("POST", "mkdirs", path, json={"path": path})

    def upload(self, path: str, content: bytes, *, notebook: bool = False) -> None:
        """Write a file, or a notebook of Python, in place of the object at the path. Raises the errors of `exists`."""
        kind = {"format": "SOURCE", "language": "PYTHON"} if notebook else {"format": "AUTO"}
        encoded = base64.b64encode(content).decode()
        self._send("POST", "import", path, json={"path": path, "content": encoded, "overwrite": True, **kind})

    def _send(self, method: str, operation: str, path: str, *, accepted: str = "", **request: Any) -> Any:
        answer = self._client.send_request(
            HttpRequest(
                method,
                f"{self._host}/api/2.0/workspace/{operation}",
                headers={"Authorization": f"Bearer {self._token()}"},
                **request,
            )
        )
        if answer.status_code >= HTTPStatus.BAD_REQUEST:
            code, text = _error(answer)
            if not accepted or code != accepted:
                raise RemoteError(f"Databricks refused {operation} of {path}: {answer.status_code} {code}: {text}")
        return answer


def _error(answer: Any) -> tuple[str, str]:
    try:
        content = answer.json()
        return str(content["error_code"]), str(content.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError):  # a gateway in between answers otherwise
        return str(answer.reason), answer.text()[:200]
