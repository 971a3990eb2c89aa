"""Resolution of the engine's variables to a stack's state."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import yaml
from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient

from pipelines.state.checkpoints import StateContainer


class BackendError(Exception):
    """The variables or the project do not lead to a state in a blob container."""


def container_of(backend: str, project: str, stack: str) -> StateContainer:
    """Return the container of a backend such as azblob://CONTAINER?storage_account=NAME. Raises BackendError."""
    parts = urlsplit(backend)
    account = parse_qs(parts.query).get("storage_account", [""])[0]
    if parts.scheme != "azblob" or not parts.netloc or not account:
        raise BackendError(f"PULUMI_BACKEND_URL is {backend!r}: it must be azblob://CONTAINER?storage_account=NAME.")
    url = f"https://{account}.blob.core.windows.net"
    return StateContainer(ContainerClient(url, parts.netloc, DefaultAzureCredential()), project, stack)


def project_name(folder: Path = Path()) -> str:
    """Return the name in a folder's Pulumi.yaml. Raises BackendError."""
    try:
        return str(yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BackendError(f"{(folder / 'Pulumi.yaml').resolve()} does not name a project: {error}") from error
