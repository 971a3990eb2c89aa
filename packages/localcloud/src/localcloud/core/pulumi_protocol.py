"""The messages and stubs of the Pulumi protocol, imported without the modules that only programs need.

`import pulumi` takes half a second; the generated protocol modules in it take a tenth of that. Importing them under
empty parent packages leaves out everything else. The engine starts such processes several times for each operation.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any


def protocol_modules(*names: str) -> list[Any]:
    """Import modules of pulumi.runtime.proto by their last names.

    A process that calls this must never import the real `pulumi`: of `pulumi` it has the protocol alone.
    """
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
    return [importlib.import_module(f"pulumi.runtime.proto.{name}") for name in names]
