"""A process that outlives this one by seconds and cancels the Databricks run that a killed step leaves behind.

No program can handle SIGKILL, which the kernel sends when memory runs out, and Azure ML when a step does not end in
time. The watchdog dies with the whole node: then the run ends at its own timeout.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

_PATIENCE_SECONDS = 60
"""Time for the cancel and its retries."""
_ENDED = b"."


@contextmanager
def on_kill(cancel: Callable[[], None]) -> Iterator[None]:
    """Call `cancel` in a process of its own if this one is killed inside of the block.

    The watchdog reads a pipe: the kernel closes a killed process's end of it, and an ended block writes to it first.
    """
    reading, writing = os.pipe()
    watchdog = os.fork()
    if watchdog == 0:
        os.close(writing)
        _watch(reading, cancel)
    os.close(reading)
    try:
        yield
    finally:
        os.write(writing, _ENDED)
        os.close(writing)
        os.waitpid(watchdog, 0)


def _watch(reading: int, cancel: Callable[[], None]) -> NoReturn:
    """Wait for the end of the other process; does not return."""
    try:
        os.setsid()  # a step's kill ends its whole process group
        if os.read(reading, len(_ENDED)) != _ENDED:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(_PATIENCE_SECONDS)
            cancel()
    finally:
        os._exit(0)
