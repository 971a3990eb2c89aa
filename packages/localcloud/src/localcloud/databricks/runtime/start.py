"""Starts a module of this folder as a program, in the environment that has the runtime's packages.

    python -I -u start.py driver LAUNCH.json EVENTS_FD
    python -I -u start.py warm_up LAUNCH.json

This folder becomes the package `databricks_driver`, and no folder is added to sys.path: notebooks can import nothing of
the project that localcloud is a part of.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

_PACKAGE = "databricks_driver"


def _load_package(folder: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None, "the file is beside this one"
    module = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    sys.dont_write_bytecode = True  # neither in the checkout nor in the environment, which is shared
    _load_package(Path(__file__).resolve().parent)
    importlib.import_module(f"{_PACKAGE}.{sys.argv[1]}").main(*sys.argv[2:])
