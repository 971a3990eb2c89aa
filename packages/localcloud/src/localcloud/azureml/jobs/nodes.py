"""Nodes of computes: a cluster runs as many jobs at once as it may have nodes; the others wait in their order."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from localcloud.core.context import Context

_RESIZE_SECONDS = 1.0


class Nodes:
    """Busy nodes of each compute and the queue for them."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._busy: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    @asynccontextmanager
    async def allocate(self, compute_id: str | None) -> AsyncIterator[None]:
        """Hold a node for the time of the block. Serverless jobs (None) have a node at once."""
        if compute_id is None:
            yield
            return
        key = compute_id.lower()
        if self._waiting[key] or self._busy[key] >= self._most(key):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[key].append(turn)
            try:
                while not turn.done():
                    # The cluster may get more nodes meanwhile.
                    await asyncio.wait({turn}, timeout=_RESIZE_SECONDS)
                    self._wake(key)
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._busy[key] -= 1
                    self._wake(key)
                elif turn in self._waiting[key]:
                    self._waiting[key].remove(turn)
                raise
        else:
            self._busy[key] += 1
        try:
            yield
        finally:
            self._busy[key] -= 1
            self._wake(key)

    def _wake(self, key: str) -> None:
        """Hand free nodes to waiting jobs; a node is counted as busy from then on."""
        while self._waiting[key] and self._busy[key] < self._most(key):
            turn = self._waiting[key].popleft()
            if not turn.done():
                self._busy[key] += 1
                turn.set_result(None)

    def _most(self, key: str) -> int:
        """Return maxNodeCount of the cluster. A deleted one lets its last jobs go on."""
        compute = self._ctx.resources.get(key)
        if compute is None:
            return 1
        scale = (compute.properties.get("properties") or {}).get("scaleSettings") or {}
        return int(scale.get("maxNodeCount") or 0)
