"""Runs one Pulumi program: a script for the program's own Python, which needs the `pulumi` SDK, not ours.

    python run_program.py '{"project": ..., "stack": ..., "monitor": ..., "engine": ..., "program": ..., ...}'

Configuration comes in PULUMI_CONFIG and PULUMI_CONFIG_SECRET_KEYS, as the SDK reads it. Exit codes: 0 the program
succeeded; 32 it failed and the engine has the reason, as a diagnostic; 1 anything else.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any

REPORTED = 32
"""The engine's agreed exit code for a failure that was shown already."""


def main(request: dict[str, Any]) -> int:
    # Beside this script lie modules that a program must not find before its own.
    sys.path[0] = ""
    gc.disable()  # imported modules stay
    sys.meta_path.insert(0, LaterModules())
    try:
        import pulumi
        import pulumi.runtime
    except ImportError:
        traceback.print_exc()
        sys.stderr.write(
            f"The Pulumi SDK is not installed in {sys.executable}. Install the project's requirements, "
            "or name the right environment in the 'virtualenv' option of Pulumi.yaml.\n"
        )
        return 1
    gc.freeze()
    gc.enable()
    engine = EngineCalls(request["engine"], debug=request["debug"])
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=request["project"],
            stack=request["stack"],
            parallel=request["parallel"],
            engine=engine,
            monitor=request["monitor"],
            dry_run=request["dry_run"],
            organization=request["organization"],
            root_directory=request["root_directory"],
        )
    )
    program = os.path.abspath(request["program"])  # noqa: PTH100 - as the traceback of the program spells it
    sys.argv = [program, *request["args"]]
    if request["pwd"]:
        os.chdir(request["pwd"])
    # Futures without an await are usual when a program fails half way; asyncio's warnings about them only hide the
    # failure itself.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=max(request["parallel"], 1) * 4)
    loop.set_default_executor(executor)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run(program)))
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
        return REPORTED
    except Exception:
        pulumi.log.error("Program failed with an unhandled exception:\n" + _own_traceback(program))
        return REPORTED
    finally:
        executor.shutdown(wait=True)
        loop.close()
        engine.close()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # collecting all objects of a program takes longer than exiting without it
    return 0


class LaterModules:
    """Runs some of the SDK's modules when a program uses them, a third of the SDK's import.

    `pulumi/__init__.py` imports the first for programs that start the engine themselves. The second only searches for
    a trace of OpenTelemetry to continue.
    """

    def __init__(self) -> None:
        self._names = {"pulumi.automation"}
        if not os.environ.get("TRACEPARENT"):
            self._names.add("pulumi.runtime._instrumentation")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


class EngineCalls:
    """The SDK's stub of the engine, but for debug messages: a program does not wait until the engine has them.

    The SDK sends several for each resource. All messages arrive in their order. Without `debug`, debug messages are
    invisible and not sent.
    """

    def __init__(self, address: str, *, debug: bool) -> None:
        import grpc  # type: ignore[import-untyped]
        from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
        from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=_GRPC_CHANNEL_OPTIONS))
        self._debug, self._is_shown = engine_pb2.DEBUG, debug
        self._messages = ThreadPoolExecutor(1, thread_name_prefix="messages")

    def Log(self, request: Any) -> Any:
        if request.severity == self._debug and not self._is_shown:
            return None
        sent = self._messages.submit(self._stub.Log, request)
        return None if request.severity == self._debug else sent.result()

    def close(self) -> None:
        """Return when the engine has every message."""
        self._messages.shutdown(wait=True)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stub, name)


def _run(program: str) -> None:
    """Run the program's file, or its folder's __main__.py."""
    if os.path.isdir(program) and not os.path.exists(os.path.join(program, "__main__.py")):  # noqa: PTH112, PTH110, PTH118
        import pulumi

        raise pulumi.RunError(f"There is no program to run: {program} has no __main__.py.")
    runpy.run_path(program, run_name="__main__")


def _own_traceback(program: str) -> str:
    """Return the traceback from the program's first line on: this script's and the SDK's frames have no information."""
    _, error, frames = sys.exc_info()
    entries = traceback.extract_tb(frames)
    main_file = program if program.endswith(".py") else os.path.join(program, "__main__.py")  # noqa: PTH118
    first = next((i for i, entry in enumerate(entries) if os.path.abspath(entry.filename) == main_file), 0)  # noqa: PTH100
    assert error is not None
    lines = traceback.format_list(entries[first:]) + traceback.format_exception_only(error)
    return "Traceback (most recent call last):\n" + "".join(lines)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
