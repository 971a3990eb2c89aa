"""The storage front as routes of the hosts *.blob.core.windows.net and *.dfs.core.windows.net."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount

from localcloud.core.context import Context
from localcloud.storage.frontend import StorageFront


def build_routes(ctx: Context) -> list[BaseRoute]:
    """There is one mount: a blob's path is anything."""
    return [Mount("/", app=StorageFront(ctx))]
