"""The package `dbruntime` of a Databricks driver, with the names that vendors' clients import.

- databricks-sdk: `UserNamespaceInitializer`, from which databricks.sdk.runtime takes `dbutils`, `spark` and the like;
  `databricks_repl_context.get_context` and `sdk_credential_provider.init_runtime_native_auth`, with which
  `WorkspaceClient()` signs in (databricks/sdk/runtime/__init__.py).
- MLflow: `databricks_repl_context.get_context`, whose attributes say which notebook and run this is. MLflow signs in
  with them if it found `dbutils` in IPython's namespace when it was imported. Notebooks here do not run in IPython, so
  this module configures MLflow (mlflow/utils/databricks_utils.py, `_init_databricks_dynamic_token_config_provider`).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import logging
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_SHARED = (
    "display", "displayHTML", "dbutils", "table", "sql", "udf", "getArgument", "sc", "sqlContext", "spark",
)  # fmt: skip
"""Names that modules may import from databricks.sdk.runtime (its `dbruntime_objects`)."""


class ReplContext:
    """A command's knowledge of its notebook and run. Attributes that it does not have are None, as on Databricks."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__.update(values)

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


@dataclass
class Repl:
    """The notebooks that are running, the innermost last: its namespace and its context."""

    _running: list[tuple[dict[str, Any], ReplContext]] = field(default_factory=list)

    @contextmanager
    def notebook(self, namespace: dict[str, Any], context: dict[str, Any]) -> Iterator[None]:
        self._running.append((namespace, ReplContext(context)))
        try:
            yield
        finally:
            self._running.pop()

    def context(self) -> ReplContext | None:
        return self._running[-1][1] if self._running else None

    def shared(self) -> dict[str, Any]:
        namespace = self._running[-1][0] if self._running else {}
        return {name: namespace[name] for name in _SHARED if name in namespace}

    def sign_in(self) -> tuple[str | None, Callable[[], dict[str, str]] | None]:
        """Return the workspace's address and a function that returns a request's headers: the run's own token."""
        context = self.context()
        if context is None:
            return None, None
        headers = {"Authorization": f"Bearer {context.apiToken}"}
        return f"https://{context.workspaceUrl}", lambda: headers


class _EntryPoint:
    """The part of a driver's entry point that MLflow reads before the context."""

    def getDbutils(self) -> _EntryPoint:
        return self

    def notebook(self) -> _EntryPoint:
        return self

    def getLogger(self) -> logging.Logger:
        return logging.getLogger("databricks")


class _TellMlflow(importlib.abc.MetaPathFinder):
    """An import hook that calls MLflow's own set-up for notebooks as soon as its module is imported."""

    _MODULE = "mlflow.utils.databricks_utils"

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._MODULE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                run(module)
                module._init_databricks_dynamic_token_config_provider(_EntryPoint())

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install(repl: Repl) -> None:
    """Make `dbruntime` importable."""
    sys.meta_path.insert(0, _TellMlflow())

    class UserNamespaceInitializer:
        @staticmethod
        def getOrCreate() -> UserNamespaceInitializer:
            return UserNamespaceInitializer()

        def get_namespace_globals(self) -> dict[str, Any]:
            return repl.shared()

    package = types.ModuleType("dbruntime", "The parts of Databricks' dbruntime that its clients import.")
    package.__path__ = []
    contents: dict[str, dict[str, Any]] = {
        "databricks_repl_context": {"get_context": repl.context},
        "sdk_credential_provider": {"init_runtime_native_auth": repl.sign_in},
    }
    package.UserNamespaceInitializer = UserNamespaceInitializer  # type: ignore[attr-defined]
    sys.modules["dbruntime"] = package
    for name, values in contents.items():
        module = types.ModuleType(f"dbruntime.{name}")
        module.__dict__.update(values)
        setattr(package, name, module)
        sys.modules[module.__name__] = module
