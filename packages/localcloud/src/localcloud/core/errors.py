"""The errors that cross a service's border. Each service renders a ServiceError in its own wire format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class LocalcloudError(Exception):
    """Error that localcloud reports to its user; the CLI prints its text and exits 1."""


class ConfigurationError(LocalcloudError):
    """A setting, port or file of the machine is not usable; the text names it and a valid value."""


class ServiceError(Exception):
    """A refusal that a client sees: HTTP status, the service's own error code, and Azure's message.

    `headers` are added to the answer, for instance Retry-After or WWW-Authenticate. `details` are further errors behind
    this one, as ARM lists them: {"code", "message"}.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        details: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.details = tuple(details)


def unresolved(status: int, code: str, kind: str, name: str, host: str) -> ServiceError:
    """Return the error for a host that belongs to nothing here. On Azure the client would not get this far."""
    message = f"There is no {kind} '{name}' in localcloud; on Azure the name '{host}' would not resolve."
    return ServiceError(status, code, message)


def not_emulated(operation: str) -> ServiceError:
    """Return the error for an operation that localcloud lacks, by method, path or type, and api-version."""
    return ServiceError(501, "NotImplemented", f"localcloud does not emulate {operation}.")
