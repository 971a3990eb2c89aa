"""The heap of a driver's JVM, by the memory of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path

import psutil

from localcloud.core.errors import ConfigurationError

VARIABLE = "LOCALCLOUD_DRIVER_MEMORY"
"""The variable with another heap, in the form of -Xmx."""
_FORM = re.compile("[1-9][0-9]*[mMgG]")
_PART = 8
"""A driver's part of the memory: several may run at once, beside everything else."""
_LEAST, _MOST = 1024, 4096
"""MiB. Spark writes kept rows that the heap has no room for to the disk, and decodes them at each read."""
_CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Files with the limit of a container's memory, in bytes or `max` (docs.kernel.org "Control Group v2" and v1)."""


def heap() -> str:
    """Return the largest heap in the form of -Xmx. A JVM takes only as much of it as it needs.

    Raises ConfigurationError when the variable has another form.
    """
    own = os.environ.get(VARIABLE)
    if own and not _FORM.fullmatch(own):
        raise ConfigurationError(f"{VARIABLE} is {own!r}: write a number of MiB or GiB, such as 2048m or 2g.")
    return own or f"{min(max(_memory() // 2**20 // _PART, _LEAST), _MOST)}m"


def _memory() -> int:
    """Return the bytes of memory of the machine, or of the container if that is less."""
    texts = [file.read_text(encoding="ascii").strip() for file in _CONTAINER_LIMITS if file.exists()]
    return min([psutil.virtual_memory().total, *(int(text) for text in texts if text.isdigit())])
