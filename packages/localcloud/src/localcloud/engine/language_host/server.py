"""The language host's process: `pulumi-language-python [flags] ENGINE_ADDRESS`.

Prints its port, serves until SIGINT or SIGTERM, or until the engine is gone, and then exits silently: the engine shows
all output of a plugin.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from concurrent import futures
from types import FrameType

from localcloud.engine.language_host.policy_pack import MESSAGE_SIZES
from localcloud.engine.language_host.processes import Processes
from localcloud.engine.language_host.protocol import grpc, language_pb2_grpc
from localcloud.engine.language_host.servicer import LanguageHost
from localcloud.engine.versions import PULUMI

_ORPHAN_CHECK_SECONDS = 2.0


def main(arguments: list[str]) -> None:
    if "--version" in arguments or "-version" in arguments:
        sys.stdout.write(f"{PULUMI}\n")
        return
    # The engine's flags (-v=9, --tracing=...) come before its address.
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    processes = Processes()
    # The kernel delivers a signal to any thread, and only a signal in the main thread ends an Event's wait: the
    # engine waited for our end until our next check. Python writes to this pipe in any thread.
    signals, wake_up = os.pipe()
    os.set_blocking(wake_up, False)
    signal.set_wakeup_fd(wake_up)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _noted)
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=16),
        options=MESSAGE_SIZES,
    )
    host = LanguageHost(addresses[-1] if addresses else "", processes)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    engine = os.getppid()
    while not select.select([signals], [], [], _ORPHAN_CHECK_SECONDS)[0]:
        if os.getppid() != engine:
            break
    processes.end_all()
    server.stop(grace=None)
    # Threads of a half-done call must not hold the process back, and there is nothing left to flush or close.
    os._exit(0)


def _noted(number: int, frame: FrameType | None) -> None:
    """Do nothing: the pipe has the signal."""


if __name__ == "__main__":
    main(sys.argv[1:])
