"""Run a component's program, and kill it at a request to storage: KILL_AT=3:before or 3:after. 0 kills nothing.

KILL_AT=3:lost kills nothing: the connection breaks after storage has served the request, before its answer arrives.
KILL_AT=commit:20 kills 20 thousandths of a second after a commit to a Delta table begins: its library sends requests
of its own. KILL_HOSTS names other hosts whose requests count, by parts of their names, separated by spaces.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from pathlib import Path
from typing import Any

from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport

_number, _, _moment = os.environ["KILL_AT"].partition(":")
_seen = 0
_IN_COMMIT = _number == "commit"
_HOSTS = (".core.windows.net", *os.environ.get("KILL_HOSTS", "").split())
_send = RequestsTransport.send


def _counted(self: RequestsTransport, request: Any, **options: Any) -> Any:
    """Count requests to blob and dfs endpoints and to KILL_HOSTS; others are for tokens."""
    global _seen
    if not any(host in request.url for host in _HOSTS):
        return _send(self, request, **options)
    _seen += 1
    if not _IN_COMMIT and _seen == int(_number) and _moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = _send(self, request, **options)
    if not _IN_COMMIT and _seen == int(_number) and _moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    if not _IN_COMMIT and _seen == int(_number) and _moment == "lost":
        raise ServiceResponseError("the connection broke")
    return answer


RequestsTransport.send = _counted
if _IN_COMMIT:
    from deltalake import DeltaTable

    _commit = DeltaTable.create_write_transaction

    def _timed(*words: Any, **options: Any) -> None:
        # The signal's own action ends the process beside the library's threads.
        signal.setitimer(signal.ITIMER_REAL, int(_moment) / 1000)
        _commit(*words, **options)

    DeltaTable.create_write_transaction = _timed  # type: ignore[method-assign]
program = Path(sys.argv[1])
sys.argv = sys.argv[1:]
sys.path[0] = str(program.parent)
os.chdir(program.parent)
try:
    runpy.run_path(str(program), run_name="__main__")
finally:
    Path(os.environ["REQUESTS_FILE"]).write_text(str(_seen))
