"""`keepAzSessionActive` of AzureCLI@2: while a script runs, the Azure CLI is signed in again with a new id token.

It happens every eight minutes, two before the id token expires: `keepRefreshingAzSession` and
`AZ_SESSION_REFRESH_INTERVAL_MS` in Tasks/AzureCLIV2/azureclitask.ts of microsoft/azure-pipelines-tasks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS = 480.0


@contextmanager
def session_kept_active(sign_in: Callable[[], object], seconds: float = SECONDS) -> Iterator[None]:
    """Call `sign_in` every `seconds` until the block ends. Raise its first error at the end of the block."""
    ended = threading.Event()
    failures: list[Exception] = []

    def renew() -> None:
        while not ended.wait(seconds):
            try:
                sign_in()
            except Exception as error:  # raised again in the thread that waits for the script
                failures.append(error)
                return

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]
