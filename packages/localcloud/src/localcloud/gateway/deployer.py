"""The identity that people and pipelines on this machine deploy with, and the passphrase of local stacks.

The credentials are random, made once, and kept in a file that only the user can read. The passphrase is no secret:
Pulumi.local.yaml carries the salt that was made with it (docs/adr/0009-the-local-passphrase.md).
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import Settings

if TYPE_CHECKING:
    from localcloud.core.context import Principal
    from localcloud.entra.directory import Directory

DISPLAY_NAME = "localcloud-deployer"
LOCAL_PASSPHRASE = "localcloud"  # noqa: S105 - no secret, as said above


@dataclass(frozen=True)
class Credentials:
    """A client id and its secret."""

    object_id: str
    client_id: str
    client_secret: str


def credentials_file(settings: Settings) -> Path:
    return settings.home / "deployer.json"


def passphrase_file(settings: Settings) -> Path:
    return settings.home / "passphrase"


def ensure(settings: Settings, directory: Directory) -> Principal:
    """Make what is missing; the deployer's principal."""
    if not passphrase_file(settings).exists():
        write_private(passphrase_file(settings), LOCAL_PASSPHRASE)
    if credentials_file(settings).exists():
        known = read(settings)
        principal = directory.by_object_id(known.object_id)
        if principal is not None:
            if not directory.has_secret(known.client_id, known.client_secret):
                directory.set_secret(known.object_id, known.client_secret)
            return principal
    secret = secrets.token_urlsafe(32)
    principal = directory.create_principal(DISPLAY_NAME, secret=secret)
    kept = {"object_id": principal.object_id, "client_id": principal.app_id, "client_secret": secret}
    write_private(credentials_file(settings), json.dumps(kept))
    return principal


def read(settings: Settings) -> Credentials:
    """Return the deployer's credentials. Raises LocalcloudError when this localcloud was never started."""
    try:
        return Credentials(**json.loads(credentials_file(settings).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise LocalcloudError(f"localcloud was never started in {settings.home}: run `localcloud start`.") from error


def write_private(file: Path, text: str) -> None:
    """Atomically, readable by the user only."""
    fresh = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    fresh.replace(file)
