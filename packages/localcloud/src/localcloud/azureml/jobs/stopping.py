"""The request that a run ends early, and its reason."""

from __future__ import annotations

import asyncio


class Stop:
    """Stop of a run. The first reason counts: cancel, timeout, failure (of another step), shutdown (of localcloud)."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.reason: str | None = None

    def request(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            self._event.set()

    @property
    def wanted(self) -> bool:
        return self.reason is not None

    async def wait(self) -> None:
        await self._event.wait()
