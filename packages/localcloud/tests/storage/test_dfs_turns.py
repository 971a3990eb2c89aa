"""A filesystem's tree changes by one request at a time, and no reader sees a change half done."""

from __future__ import annotations

import asyncio

import pytest
from localcloud.storage.dfs.tree import Turns

KEY = ("account", "data")


async def _change(turns: Turns, events: list[str], name: str, *, key: tuple[str, str] = KEY) -> None:
    async with turns.changing(*key):
        events.append(f"{name} in")
        await asyncio.sleep(0.01)
        events.append(f"{name} out")


async def _read(turns: Turns, events: list[str], name: str) -> None:
    async with turns.reading(*KEY):
        events.append(f"{name} in")
        await asyncio.sleep(0.01)
        events.append(f"{name} out")


def test_changes_run_one_after_the_other() -> None:
    async def run() -> list[str]:
        turns, events = Turns(), list[str]()
        await asyncio.gather(*(_change(turns, events, str(number)) for number in range(3)))
        return events

    events = asyncio.run(run())
    assert [event.split()[1] for event in events] == ["in", "out"] * 3


def test_readers_run_together_and_never_during_a_change() -> None:
    async def run() -> list[str]:
        turns, events = Turns(), list[str]()
        await asyncio.gather(
            _read(turns, events, "a"), _read(turns, events, "b"), _change(turns, events, "C"), _read(turns, events, "d")
        )
        return events

    assert asyncio.run(run()) == ["a in", "b in", "a out", "b out", "C in", "C out", "d in", "d out"]


def test_another_filesystem_has_its_own_turns() -> None:
    async def run() -> list[str]:
        turns, events = Turns(), list[str]()
        await asyncio.gather(_change(turns, events, "1"), _change(turns, events, "2", key=("account", "other")))
        return events

    assert asyncio.run(run()) == ["1 in", "2 in", "1 out", "2 out"]


@pytest.mark.parametrize("waits", ["for a reader", "for a change"])
def test_a_caller_that_gives_up_waiting_delays_no_other(waits: str) -> None:
    async def run() -> list[str]:
        turns, events = Turns(), list[str]()
        first = _read(turns, events, "first") if waits == "for a reader" else _change(turns, events, "first")
        holder = asyncio.create_task(first)
        await asyncio.sleep(0)
        waiting = asyncio.create_task(_change(turns, events, "gone"))
        await asyncio.sleep(0.002)
        waiting.cancel()
        await asyncio.gather(holder, waiting, return_exceptions=True)
        async with asyncio.timeout(1):
            await _change(turns, events, "last")
        return events

    assert asyncio.run(run()) == ["first in", "first out", "last in", "last out"]
