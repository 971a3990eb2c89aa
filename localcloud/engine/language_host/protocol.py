"""The messages and stubs of the Pulumi protocol, imported without running the SDK's own package files.

`import pulumi` takes a second; the generated protocol modules in it take a tenth. Importing them under empty parent
packages leaves out everything else. This process must therefore not import the real `pulumi`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any


def _import_protocol() -> tuple[Any, Any, Any]:
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{sys.executable} has no pulumi package: install the project's requirements (make tools).")
    root = Path(spec.submodule_search_locations[0])
    for name, folder in (
        ("pulumi", root),
        ("pulumi.runtime", root / "runtime"),
        ("pulumi.runtime.proto", root / "runtime" / "proto"),
    ):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules.setdefault(name, package)
    return (
        importlib.import_module("pulumi.runtime.proto.language_pb2"),
        importlib.import_module("pulumi.runtime.proto.language_pb2_grpc"),
        importlib.import_module("pulumi.runtime.proto.plugin_pb2"),
    )


language_pb2, language_pb2_grpc, plugin_pb2 = _import_protocol()
