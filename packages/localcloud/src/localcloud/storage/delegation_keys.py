"""User delegation keys, which are derived from the secret that Azurite and its frontend share."""

from __future__ import annotations

import base64
import hashlib
import hmac

from localcloud.core.settings import TENANT_ID

SERVICE_OBJECT_ID = "00000000-0000-0000-0000-00000000c10d"
"""The object id in SAS that localcloud's services (Azure ML) hand out: it is no principal, and needs no role."""
KEY_VERSION = "2025-11-05"


def key_value(secret: str, object_id: str, start: str, expiry: str, version: str) -> str:
    """Return the key, in base64. azurite.js derives the same."""
    text = "\n".join([object_id, TENANT_ID, start, expiry, "b", version])
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()
