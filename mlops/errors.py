"""Errors that people see as one message: missing, invalid or refused values, and failures elsewhere."""

from __future__ import annotations


class MlopsError(Exception):
    """Base of all known errors; its text is for people and names the mend."""

    exit_code = 1
    """Exit code of the verb that ends with it."""


class MissingError(MlopsError):
    """A file, tool, output or published thing is not there."""


class InvalidError(MlopsError):
    """A thing exists and cannot be used unchanged."""


class RemoteError(MlopsError):
    """A service refused, failed or cannot be reached."""


class GateError(MlopsError):
    """A promotion or rollback is refused."""


class RunFailedError(MlopsError):
    """A pipeline run ended without completion; the text has the failing step's own error."""


class RefusedError(MlopsError):
    """The verb did its work, and refused a part of it, which needs a person."""

    exit_code = 3
