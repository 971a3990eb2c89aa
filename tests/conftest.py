"""For all tests."""

from __future__ import annotations

import signal

# A shell without job control starts background jobs with SIGINT ignored, and what they start inherits it. Tests send
# SIGINT as a terminal would.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
