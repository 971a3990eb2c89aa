"""The messages and stubs of the Pulumi protocol, imported without what only clients and programs need.

`import pulumi` takes half a second; the generated protocol modules in it take a tenth of that. Importing them under
empty parent packages leaves out everything else, and so does an empty `grpc.aio` (40 ms) under a server of threads.
The engine starts this process twice for each operation. It must therefore never import the real `pulumi`, and nothing
but the language host's process may import this module.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def _import_all() -> Iterator[Any]:
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{sys.executable} has no pulumi package: install the project's requirements.")
    root = Path(spec.submodule_search_locations[0])
    for name, folder in (
        ("pulumi", root),
        ("pulumi.runtime", root / "runtime"),
        ("pulumi.runtime.proto", root / "runtime" / "proto"),
    ):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules.setdefault(name, package)
    sys.modules.setdefault("grpc.aio", types.ModuleType("grpc.aio"))
    for module in (
        "grpc",
        "google.protobuf.empty_pb2",
        "google.protobuf.json_format",
        "pulumi.runtime.proto.analyzer_pb2",
        "pulumi.runtime.proto.language_pb2",
        "pulumi.runtime.proto.language_pb2_grpc",
        "pulumi.runtime.proto.plugin_pb2",
    ):
        yield importlib.import_module(module)


grpc, empty_pb2, json_format, analyzer_pb2, language_pb2, language_pb2_grpc, plugin_pb2 = _import_all()
