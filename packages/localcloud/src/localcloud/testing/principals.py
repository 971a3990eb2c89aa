"""Sessions as principals that have no secret: managed identities, signed in with the running localcloud's own key."""

from __future__ import annotations

import time
from typing import Any

from azure.core.credentials import AccessToken

from localcloud.core.database import Database
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID
from localcloud.entra.directory import Directory
from localcloud.testing.azure_session import AzureSession


class IdentityCredential:
    """Credential of a workload with the identity: tokens for any audience, for the principal alone."""

    def __init__(self, cloud: Any, object_id: str) -> None:
        self._directory = Directory(Database(cloud.settings.database))
        self._object_id = object_id

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        principal = self._directory.by_object_id(self._object_id)
        assert principal is not None, self._object_id
        token = self._directory.issue_token(principal, scopes[0].removesuffix("/.default"))
        return AccessToken(token, int(time.time()) + 3600)


def session_as(cloud: Any, object_id: str) -> AzureSession:
    """Return the session of a principal that exists in `cloud`."""
    credential: Any = IdentityCredential(cloud, object_id)
    return AzureSession(credential, SUBSCRIPTION_ID, TENANT_ID, object_id)
