"""`databricks`: the vendor's pulumi_databricks, of which only what is used gets imported.

The package's `__init__` imports all of its nearly four hundred modules, two seconds at every preview. Here the package
is known to Python without having run it; a class is looked up in its own module, and only a name that has none runs
the `__init__` after all. Type checkers see the package itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _OnDemand(ModuleType):
    """A package whose modules are imported when one of their names is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        module = _module_of(name)
        if importlib.util.find_spec(f"{self.__name__}.{module}") is not None:
            found = importlib.import_module(f"{self.__name__}.{module}")
            return found if name == module else getattr(found, name)
        spec = self.__spec__
        assert spec is not None and spec.loader is not None
        spec.loader.exec_module(self)
        if name not in self.__dict__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return self.__dict__[name]


def _module_of(name: str) -> str:
    """InstancePool is in instance_pool, and the classes of its arguments are in _inputs."""
    if name.endswith(("Args", "ArgsDict")):
        return "_inputs"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() if name[0].isupper() else name


def _on_demand(package: str) -> ModuleType:
    loaded = sys.modules.get(package)
    if loaded is not None:
        return loaded
    spec = importlib.util.find_spec(package)
    if spec is None:
        raise ImportError(f"{package} is not installed: run `make tools`")
    module = _OnDemand(package)
    module.__spec__, module.__file__ = spec, spec.origin
    module.__path__ = list(spec.submodule_search_locations or [])
    module.__loader__, module.__package__ = spec.loader, package
    sys.modules[package] = module
    return module


if TYPE_CHECKING:
    import pulumi_databricks as databricks
else:
    databricks = _on_demand("pulumi_databricks")

__all__ = ["databricks"]
