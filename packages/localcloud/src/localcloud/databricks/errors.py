"""Refusals as Databricks words them: {"error_code", "message"} with its codes and statuses.

Codes, statuses and most texts are quoted by databricks-sdk's error tests and the Terraform provider's issues.
"""

from __future__ import annotations

from localcloud.core.errors import ServiceError


def unauthenticated(message: str) -> ServiceError:
    return ServiceError(401, "UNAUTHENTICATED", message, {"WWW-Authenticate": 'Bearer realm="DatabricksRealm"'})


def permission_denied(message: str) -> ServiceError:
    return ServiceError(403, "PERMISSION_DENIED", message)


def missing(message: str) -> ServiceError:
    return ServiceError(404, "RESOURCE_DOES_NOT_EXIST", message)


def exists(message: str) -> ServiceError:
    return ServiceError(400, "RESOURCE_ALREADY_EXISTS", message)


def invalid(message: str) -> ServiceError:
    return ServiceError(400, "INVALID_PARAMETER_VALUE", message)


def invalid_state(message: str) -> ServiceError:
    return ServiceError(400, "INVALID_STATE", message)


def bad_request(message: str) -> ServiceError:
    return ServiceError(400, "BAD_REQUEST", message)


def malformed(message: str) -> ServiceError:
    return ServiceError(400, "MALFORMED_REQUEST", message)


class DetailedError(ServiceError):
    """A refusal with google.rpc.ErrorInfo beside code and message. `reason` may be narrower than the code."""

    def __init__(self, status: int, code: str, message: str, reason: str = "") -> None:
        super().__init__(status, code, message)
        self.reason = reason or code


class ScimError(ServiceError):
    """A refusal in SCIM's own error format (RFC 7644, 3.12)."""

    def __init__(self, status: int, detail: str, scim_type: str | None = None) -> None:
        super().__init__(status, f"SCIM_{status}", detail)
        self.scim_type = scim_type
