"""Faster imports of the vendors' SDKs: a preview spends most of its time on classes that it never uses.

pulumi_azure_native and pulumi_databricks define tens of thousands of classes. `install` changes how Python imports
them, and not their behaviour:

- a package does not import all of its modules; a name is looked up in the one module that defines it;
- annotations, which make defining a class slow, stay text until their first use (PEP 563);
- classes of the parts of resources are defined at their first use (infra/quick_classes.py).

Compiled modules are cached beside Python's own, under names of their own. Only speed depends on this: without
`install` the program registers the same resources, as a test checks.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

from infra.quick_classes import PARTS, ClassesOnDemand, TextAnnotations

_SDKS = ("pulumi_azure_native", "pulumi_databricks")
_ENUMS, _INPUTS = "_enums", "_inputs"
_EXPORTED = re.compile(r"^__all__ = \[.*?\]", re.MULTILINE | re.DOTALL)


def start_fast() -> None:
    """Import the SDKs quickly and collect no garbage: the program runs for seconds and keeps nearly all objects.

    A preview of the whole platform takes 2.6 s of processor time instead of 8.3 (Python 3.11, four pairs on two cores).
    `DATAOPSML_FAST_START=0` leaves Python unchanged.
    """
    if os.environ.get("DATAOPSML_FAST_START") != "0":
        from infra import quick_aliases

        install()
        quick_aliases.install()
        gc.disable()


def install() -> None:
    """Import the SDKs quickly from now on. Does nothing for modules that are imported already."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in _SDKS:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or not isinstance(spec.loader, SourceFileLoader):
            return spec
        if spec.submodule_search_locations is not None:
            spec.loader = _PackageLoader()  # type: ignore[assignment]  # importlib.abc takes long to import
        elif fullname.rpartition(".")[2] in PARTS:
            spec.loader = ClassesOnDemand(spec.loader.name, spec.loader.path)
        else:
            spec.loader = TextAnnotations(spec.loader.name, spec.loader.path)
        return spec


class _PackageLoader:
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Package(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Import nothing: modules are imported at their first use."""


class _Package(ModuleType):
    """A package that looks its names up in the modules that define them."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__"):
            for module in _modules_of(name, self.__path__):
                if importlib.util.find_spec(f"{self.__name__}.{module}") is None:
                    continue
                imported = importlib.import_module(f"{self.__name__}.{module}")
                if name == module:
                    return imported
                if hasattr(imported, name):
                    return getattr(imported, name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")


def _modules_of(name: str, folders: Sequence[str]) -> Iterator[str]:
    """Yield the modules that may define a name, the likeliest first.

    Arguments of a resource are beside it, as in ResourceGroupArgs; arguments of its parts are in _inputs. The last
    modules are looked up in the files, which takes long.
    """
    if name.endswith(("Args", "ArgsDict")):
        yield _INPUTS
        yield _module_of(name.removesuffix("Dict").removesuffix("Args"))
    else:
        yield _module_of(name)
    yield _ENUMS
    for file in (file for folder in folders for file in sorted(Path(folder).glob("*.py"))):
        exported = _EXPORTED.search(file.read_text(encoding="utf-8"))
        if exported and f"'{name}'" in exported[0]:
            yield file.stem


def _module_of(name: str) -> str:
    """Return the module of a name: instance_pool for InstancePool, public_ip_address for PublicIPAddress."""
    if name.startswith("get_") or not name[0].isupper():
        return name.removesuffix("_output")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
