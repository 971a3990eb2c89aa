"""For the tests of Pulumi programs: the engine's mocks want an event loop, which other tests may have taken away."""

from __future__ import annotations

import asyncio

import pytest


@pytest.fixture(autouse=True)
def event_loop_exists() -> None:
    """`asyncio.run` leaves the main thread without a current event loop, and pulumi asks for one."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
