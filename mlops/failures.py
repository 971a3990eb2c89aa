"""Errors of other systems as one message: the clients' exceptions that a user can mend."""

from __future__ import annotations

import re
import sys
from http import HTTPStatus

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from mlops.errors import MlopsError

_AADSTS = re.compile(r"AADSTS\d+: [^\r\n]*")
_HOST = re.compile(r"host='([^']+)'|https?://([^/\s:'\"]+)")
NO_CONNECTION = re.compile(
    r"(?i)connection refused|unable to connect|failed to establish a new connection|no such host|name resolution"
)
CHECK_CONNECTION = "Is the endpoint up, and are this shell's variables (HTTPS_PROXY, AZURE_*) set for it?"
_LONGEST = 1500


def message(error: BaseException) -> str | None:
    """Return the message for the user; None for any other error, a bug, which deserves its traceback."""
    if isinstance(error, MlopsError):
        return str(error)
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return _unreachable(error)
    if isinstance(error, ClientAuthenticationError):
        return _sign_in(str(error.message))
    if isinstance(error, HttpResponseError):
        return _refused(error)
    if isinstance(error, AzureError):
        return _short(str(error.message))
    return _databricks(error) or _connection(error)


def _sign_in(text: str) -> str:
    if match := _AADSTS.search(text):
        return f"Signing in to Azure failed: {match[0]}"
    if NO_CONNECTION.search(text):
        return f"Signing in to Azure failed, nothing answers: {_short(text)}\n{CHECK_CONNECTION}"
    if "EnvironmentCredential authentication unavailable" in text:
        return (
            "There is no sign-in to Azure: sign in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
            "AZURE_CLIENT_SECRET."
        )
    return f"Signing in to Azure failed: {_short(text)}"


def _unreachable(error: BaseException) -> str:
    match = _HOST.search(str(error))
    host = next(filter(None, match.groups()), "the service") if match else "the service"
    return f"Cannot connect to {host}: {_short(str(error))}\n{CHECK_CONNECTION}"


def _refused(error: HttpResponseError) -> str:
    code = error.error.code if error.error is not None else ""
    text = error.error.message if error.error is not None and error.error.message else error.message
    if error.status_code is not None and error.status_code < HTTPStatus.BAD_REQUEST:
        # A long-running operation that failed: its state was read without a failure.
        return f"{code or error.reason or ''}: {_short(str(text))}"
    address = str(getattr(getattr(error.response, "request", None), "url", "")).split("?")[0]
    where = f" ({address})" if address else ""
    return f"{error.status_code or ''} {code or error.reason or ''}{where}: {_short(str(text))}".strip()


def _databricks(error: BaseException) -> str | None:
    """Return the SDK's refusal as text; without an import, which takes half a second, there is none."""
    errors = sys.modules.get("databricks.sdk.errors")
    if errors is not None and isinstance(error, errors.DatabricksError):
        return f"Databricks refused: {_short(str(error))}"
    return None


def _connection(error: BaseException) -> str | None:
    requests = sys.modules.get("requests")
    if requests is not None and isinstance(error, requests.exceptions.RequestException):
        return _unreachable(error)
    return None


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
