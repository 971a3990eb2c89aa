"""The identity that people and pipelines on this machine deploy with, and the passphrase of local stacks.

The credentials are random, made once, and stored in a file that only the user can read. The passphrase is no secret:
Pulumi.local.yaml carries the salt that was made with it (docs/adr/0009-the-local-passphrase.md).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localcloud.core.errors import LocalcloudError, ServiceError
from localcloud.core.private_files import write_private
from localcloud.core.settings import Settings

if TYPE_CHECKING:
    from localcloud.core.context import Identities, Principal
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
    """Make the missing parts; return the deployer's principal."""
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


def tracking_token(settings: Settings) -> str:
    """Return the token that opens MLflow and the pages to programs of the deployer.

    `localcloud env` works while localcloud is stopped and its shells outlive Entra's tokens: the token follows from the
    client's secret, and opens nothing else.
    """
    secret = read(settings).client_secret.encode()
    return hmac.new(secret, b"localcloud tracking token", hashlib.sha256).hexdigest()


class DeployerCheck:
    """Lets the deployer's tokens for Resource Manager through, and no other principal's."""

    def __init__(self, settings: Settings, identities: Identities) -> None:
        self._settings, self._identities = settings, identities
        hosts = ("https://management.azure.com", "https://management.core.windows.net", settings.gateway_url)
        self._audiences = frozenset(host + end for host in hosts for end in ("", "/"))

    def __call__(self, authorization: str | None) -> None:
        """Check a header Authorization. Raises ServiceError 401 for a bad token, 403 for another principal's."""
        principal = self._identities.authenticate(authorization, self._audiences)
        if principal.object_id != read(self._settings).object_id:
            raise ServiceError(
                403,
                "AuthorizationFailed",
                f"The client '{principal.app_id}' with object id '{principal.object_id}' is not this localcloud's "
                "deployer, who alone may do this.",
            )
