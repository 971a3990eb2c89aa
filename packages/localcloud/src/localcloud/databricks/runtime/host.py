"""The process of a notebook run as the parts of dbutils see it."""

from __future__ import annotations

from typing import Any, Protocol

from .output import Output


class NotEmulatedError(NotImplementedError):
    """A part of the Databricks runtime that localcloud does not have."""

    def __init__(self, feature: str) -> None:
        super().__init__(f"localcloud does not emulate {feature}.")


class Host(Protocol):
    """The interface of dbutils to the driver and the gateway behind it."""

    output: Output
    spark: Any

    def call(self, method: str, arguments: dict[str, str]) -> Any:
        """Ask the workspace, as the run's identity. Raises SecretError with its message."""
        ...

    def run_notebook(self, path: str, timeout_seconds: int, arguments: dict[str, str], caller: str) -> str: ...
