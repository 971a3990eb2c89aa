"""`dbutils` of notebooks: widgets, notebook, secrets, fs. Other utilities raise an error that names them.

Source: docs.databricks.com "Databricks Utilities (dbutils) reference".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .host import Host, NotEmulatedError


class NotebookExit(BaseException):
    """The end of a notebook by dbutils.notebook.exit(value)."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


class InputWidgetNotDefined(Exception):
    """The refusal of a name that is neither a widget nor a parameter of the run."""


class SecretError(Exception):
    """The refusal of a scope or secret that is not there, or that the run's identity cannot read."""


class Widgets:
    """dbutils.widgets. Parameters of the run win over defaults, as in a job."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self._parameters = dict(parameters)
        self._values: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:
        self._values[name] = self._parameters.get(name, str(defaultValue))

    def dropdown(self, name: str, defaultValue: str, choices: list[str], label: str | None = None) -> None:
        if defaultValue not in choices:
            raise ValueError(f"Default value {defaultValue!r} of widget {name} must be one of its choices {choices}.")
        self.text(name, defaultValue, label)

    def combobox(self, name: str, defaultValue: str, choices: list[str], label: str | None = None) -> None:
        self.text(name, defaultValue, label)

    def multiselect(self, name: str, defaultValue: str, choices: list[str], label: str | None = None) -> None:
        self.dropdown(name, defaultValue, choices, label)

    def get(self, name: str) -> str:
        if name in self._values:
            return self._values[name]
        if name in self._parameters:
            return self._parameters[name]
        raise InputWidgetNotDefined(f"No input widget named {name} is defined")

    def getAll(self) -> dict[str, str]:
        return {**self._parameters, **self._values}

    def getArgument(self, name: str, defaultValue: str = "") -> str:
        return self.getAll().get(name, defaultValue)

    def remove(self, name: str) -> None:
        self._values.pop(name, None)

    def removeAll(self) -> None:
        self._values.clear()


@dataclass(frozen=True)
class NotebookContext:
    """The part of the notebook's context that has a meaning here. Its fields are read by call, as on Databricks."""

    values: dict[str, str]

    def __getattr__(self, name: str) -> Callable[[], Any]:
        if name.startswith("_") or name not in self.values:
            raise AttributeError(f"the notebook context has {', '.join(self.values)}, not {name}")
        return lambda: _Option(self.values[name])


@dataclass(frozen=True)
class _Option:
    value: str

    def get(self) -> str:
        return self.value

    def getOrElse(self, default: Any) -> str:
        return self.value


class _EntryPoint:
    """dbutils.notebook.entry_point, another path of notebooks and clients to their context."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook

    def getDbutils(self) -> _EntryPoint:
        return self

    def notebook(self) -> Notebook:
        return self._notebook


class Notebook:
    """dbutils.notebook: exit, run and the context."""

    def __init__(self, host: Host, path: str, context: dict[str, str]) -> None:
        self._host, self._path, self._context = host, path, context
        self.entry_point = _EntryPoint(self)

    def exit(self, value: Any = "") -> NoReturn:
        raise NotebookExit(str(value))

    def run(self, path: str, timeout_seconds: int = 0, arguments: dict[str, Any] | None = None) -> str:
        """Run a notebook in this driver, in a namespace of its own; return its exit value."""
        texts = {str(key): str(value) for key, value in (arguments or {}).items()}
        return self._host.run_notebook(path, timeout_seconds, texts, self._path)

    def getContext(self) -> NotebookContext:
        return NotebookContext(self._context)


class Secrets:
    """dbutils.secrets. Every secret that is read is shown as [REDACTED] in the run's output."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def get(self, scope: str, key: str) -> str:
        return self.getBytes(scope, key).decode()

    def getBytes(self, scope: str, key: str) -> bytes:
        value = base64.b64decode(self._host.call("secrets.get", {"scope": scope, "key": key}))
        self._host.output.hide(value.decode(errors="replace"))
        return value

    def list(self, scope: str) -> Sequence[SecretMetadata]:
        return [SecretMetadata(item["key"]) for item in self._host.call("secrets.list", {"scope": scope})]

    def listScopes(self) -> Sequence[SecretScope]:
        return [SecretScope(item["name"]) for item in self._host.call("secrets.scopes", {})]


@dataclass(frozen=True)
class SecretMetadata:
    """Key of a secret, as `dbutils.secrets.list` returns it."""

    key: str


@dataclass(frozen=True)
class SecretScope:
    """Name of a scope, as `dbutils.secrets.listScopes` returns it."""

    name: str

    def getName(self) -> str:
        return self.name


class _Absent:
    def __init__(self, feature: str) -> None:
        self._feature = feature

    def __getattr__(self, name: str) -> NoReturn:
        raise NotEmulatedError(f"{self._feature}.{name}")


class DBUtils:
    """The dbutils of one notebook."""

    def __init__(self, host: Host, path: str, parameters: dict[str, str], context: dict[str, str]) -> None:
        from .filesystem import FileSystem

        self.widgets = Widgets(parameters)
        self.notebook = Notebook(host, path, context)
        self.secrets = Secrets(host)
        self.fs = FileSystem(host)
        self.library = _Absent("dbutils.library (clusters have the packages of Databricks Runtime 17.3 LTS)")
        self.jobs = _Absent("dbutils.jobs")
        self.data = _Absent("dbutils.data")
        self.credentials = _Absent("dbutils.credentials")
