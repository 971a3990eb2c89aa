"""Fixtures of Pulumi programs: an event loop, which the engine's mocks want, and a delayed garbage collector.

The providers' SDKs are millions of objects, and a program run with mocks makes a hundred thousand more: collecting as
often as Python does by itself takes half of such a test's time.
"""

from __future__ import annotations

import asyncio
import gc

import pytest


def pytest_collection_finish() -> None:
    """Exempt the imported modules from garbage collection: they stay."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


@pytest.fixture(autouse=True)
def event_loop_exists() -> None:
    """`asyncio.run` leaves the main thread without a current event loop, and pulumi asks for one."""
    try:
        asyncio.get_event_loop_policy().get_event_loop()
    except RuntimeError:
        asyncio.set_event_loop(asyncio.new_event_loop())
