"""`python -m localcloud.engine.stale_locks --stack NAME`: remove the state lock of an engine that was killed.

The engine writes a JSON blob {"pid", "username", "hostname", "timestamp"} below .pulumi/locks and deletes it at its
end; a killed engine leaves it, which blocks deployments. A lock is stale when its process, on this machine, is no
more. Exit code 0 when locks were removed and none is left, 1 otherwise; the engine's own message then names the holder
of the stack. Source: pulumi/pulumi pkg/backend/diy/lock.go.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import psutil
import typer
import yaml
from azure.core.exceptions import AzureError
from azure.identity import EnvironmentCredential
from azure.storage.blob import ContainerClient


def is_stale(lock: dict[str, object]) -> bool:
    """Whether the process that wrote the lock ran here and has exited."""
    pid = lock.get("pid")
    if lock.get("hostname") != socket.gethostname() or not isinstance(pid, int):
        return False
    try:
        process = psutil.Process(pid)
        # A killed engine keeps its number and its name until its parent, or the machine's first process, has waited
        # for it.
        return process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) or "pulumi" not in process.name()
    except psutil.NoSuchProcess:
        return True


def container_of(backend: str) -> ContainerClient:
    """Return the container in azblob://CONTAINER?storage_account=NAME. Raises ValueError for another URL."""
    parts = urlsplit(backend)
    account = parse_qs(parts.query).get("storage_account", [""])[0]
    if parts.scheme != "azblob" or not account:
        raise ValueError(f"PULUMI_BACKEND_URL is {backend!r}: expected azblob://CONTAINER?storage_account=NAME")
    return ContainerClient(f"https://{account}.blob.core.windows.net", parts.netloc, EnvironmentCredential())


def project_name() -> str:
    """Return the project of the working folder. Raises ValueError when its Pulumi.yaml names none."""
    try:
        return str(yaml.safe_load(Path("Pulumi.yaml").read_text(encoding="utf-8"))["name"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{Path('Pulumi.yaml').resolve()} does not name a project: {error}") from error


def main(stack: Annotated[str, typer.Option(help="The stack whose lock may be stale.")]) -> None:
    """Remove the state lock of an engine that was killed."""
    try:
        container = container_of(os.environ.get("PULUMI_BACKEND_URL", ""))
        prefix = f".pulumi/locks/organization/{project_name()}/{stack}/"
        names = [blob.name for blob in container.list_blobs(name_starts_with=prefix)]
        locks = {name: json.loads(container.download_blob(name).readall()) for name in names}
        if not locks or not all(is_stale(lock) for lock in locks.values()):
            raise typer.Exit(1)
        for name, lock in locks.items():
            container.delete_blob(name)
            sys.stdout.write(f"Removed the lock of process {lock['pid']}, which was killed at its work. Going on.\n")
    except (AzureError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)
