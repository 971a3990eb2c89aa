"""/api/2.0/preview/scim/v2: Me, ServicePrincipals, Users and Groups of a workspace (RFC 7643 and 7644)."""

from __future__ import annotations

import asyncio
import importlib
import threading
from typing import cast

from localcloud.core.json import Json
from localcloud.databricks.request import Call, Handler

_importing = threading.Lock()


def operation(module: str, name: str) -> Handler:
    """Return a handler whose module is imported by its first request, in a thread.

    scim2-models takes 0.4 s to import, which must not delay a start of localcloud.
    """

    async def answer(call: Call) -> Json:
        handler = await asyncio.to_thread(_handler, module, name)
        return cast("Json", handler(call))

    return answer


def _handler(module: str, name: str) -> Handler:
    with _importing:
        return cast("Handler", getattr(importlib.import_module(f"{__name__}.{module}"), name))
