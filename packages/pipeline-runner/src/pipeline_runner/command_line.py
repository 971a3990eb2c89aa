"""The end of a command: its exit code, and one message for every known error."""

from __future__ import annotations

import sys
from collections.abc import Callable

from pipeline_runner.errors import RunnerError


def run(command: Callable[[], object]) -> None:
    """Run a command line; exit with 1 and one message for every known error, with 130 after Ctrl-C."""
    try:
        command()
    except RunnerError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
