"""The stack prod as a rehearsal sees it: its storage, its runs, its alerts, and the clock of alert rules.

Files are written and runs are read by the deployer's identity, by Azure's own interfaces. Only the clock is
localcloud's: rules are evaluated every five minutes, which would be a long wait.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
from azure.core.credentials import TokenCredential
from azure.identity import EnvironmentCredential
from azure.storage.blob import ContainerClient
from pipeline_runner.errors import RunnerError

_ARM, _ARM_SCOPE = "https://management.azure.com", "https://management.azure.com/.default"
_ALERTS = "2019-05-05-preview"
_JOBS = "2024-10-01"
_SUFFIXES = (".csv", ".json")


class Prod(Protocol):
    """The stack, as far as the stages of a life need it."""

    def leave(self, blob: str, content: bytes) -> None:
        """Put a file into the training container, as others leave it."""

    def remove(self, folders: Iterable[str]) -> None:
        """Delete the files below some folders, or with some beginning of their names."""

    def runs(self) -> list[dict[str, Any]]:
        """Return the pipeline runs of the workspace as ARM shows them, the newest first."""

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts of the stack."""

    def move_clock(self, ahead: timedelta | None) -> None:
        """Let alert rules see a later time, their own again if None."""


class LocalProd:
    """The stack in localcloud. `outputs` are the stack's."""

    def __init__(self, outputs: dict[str, Any], credential: TokenCredential) -> None:
        self._outputs, self._credential = outputs, credential
        certificates = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
        self._client = httpx.Client(timeout=120, verify=certificates)
        account = f"https://{outputs['training_account']}.blob.core.windows.net"
        self._blobs = ContainerClient(account, outputs["training_container"], credential=credential)
        gateway = urlsplit(os.environ["ARM_CLOUD_METADATA_URL"])
        self._clock = f"{gateway.scheme}://{gateway.netloc}/_localcloud/clock"

    @property
    def _group(self) -> str:
        return f"/subscriptions/{self._outputs['subscription_id']}/resourceGroups/{self._outputs['resource_group']}"

    def leave(self, blob: str, content: bytes) -> None:
        """Upload a file."""
        self._blobs.upload_blob(blob, content, overwrite=True)

    def remove(self, folders: Iterable[str]) -> None:
        """Delete files."""
        for folder in folders:
            for name in list(self._blobs.list_blob_names(name_starts_with=folder)):
                if name.endswith(_SUFFIXES):  # a folder is listed too where the namespace is hierarchical
                    self._blobs.delete_blob(name)

    def runs(self) -> list[dict[str, Any]]:
        """Return the first page of runs."""
        workspace = f"{self._group}/providers/Microsoft.MachineLearningServices/workspaces"
        path = f"{workspace}/{self._outputs['workspace_name']}/jobs"
        listed: list[dict[str, Any]] = self._get(path, {"api-version": _JOBS, "jobType": "Pipeline"})["value"]
        return listed

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts of the last day."""
        path = f"{self._group}/providers/Microsoft.AlertsManagement/alerts"
        listed: list[dict[str, Any]] = self._get(path, {"api-version": _ALERTS, "timeRange": "1d"})["value"]
        return listed

    def move_clock(self, ahead: timedelta | None) -> None:
        """Move the clock as localcloud's own deployer."""
        token = EnvironmentCredential().get_token(_ARM_SCOPE).token
        headers = {"Authorization": f"Bearer {token}"}
        if ahead is None:
            answer = self._client.delete(self._clock, headers=headers)
        else:
            moment = (datetime.now(UTC) + ahead).isoformat()
            answer = self._client.post(self._clock, headers=headers, json={"now": moment})
        _check(answer)

    def _get(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._credential.get_token(_ARM_SCOPE).token}"}
        answer = self._client.get(f"{_ARM}{path}", params=parameters, headers=headers)
        _check(answer)
        content: dict[str, Any] = answer.json()
        return content


def _check(answer: httpx.Response) -> None:
    if answer.status_code >= 400:
        raise RunnerError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
