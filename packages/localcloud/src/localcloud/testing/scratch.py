"""The temporary folder of a test run, and its reaction to Ctrl-C."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator

import pytest

# A shell without job control starts background jobs with SIGINT ignored, and their children inherit it. Tests send
# SIGINT as a terminal would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Delete the files that libraries and programs leave in their temporary folder together with pytest's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("scratch")))
        patch.setattr(tempfile, "tempdir", None)
        yield
