"""`enter`: tools, start, variables and `unchanged check` in one process, since each process start takes a while."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from localcloud.cli import unchanged
from localcloud.cli.env import exports, variables
from localcloud.cli.start import start
from localcloud.core.settings import Settings
from localcloud.engine.ready import make_ready


def enter(
    settings: Settings,
    namespaces: Sequence[str],
    key: Path,
    subject: unchanged.Subject,
    *,
    force: bool,
    descriptor: int,
) -> bool:
    """Return whether nothing has changed since the command last succeeded. Raises LocalcloudError.

    The open file `descriptor` receives the text for a shell's eval; it stays empty unless all has succeeded.
    """
    make_ready(settings)
    start(settings, namespaces)
    # The command runs in that shell: its inputs are evaluated there.
    os.environ.update(variables(settings))
    same = unchanged.check(settings, key, subject, force=force)
    with os.fdopen(descriptor, "w", encoding="utf-8") as shell:
        shell.write(f"{exports(settings)}unchanged={'yes' if same else ''}\n")
    return same
