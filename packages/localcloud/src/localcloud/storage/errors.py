"""The blob service's errors: XML with x-ms-error-code, as Azure writes them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from starlette.responses import Response

from localcloud.core.errors import ServiceError, unresolved
from localcloud.core.settings import TENANT_ID

CHALLENGE = (
    f"Bearer authorization_uri=https://login.microsoftonline.com/{TENANT_ID}/oauth2/authorize "
    "resource_id=https://storage.azure.com"
)


def permission_mismatch() -> ServiceError:
    """Return the refusal of a principal without the role."""
    return ServiceError(
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
    )


def network_refused() -> ServiceError:
    """Return the refusal of a client that the account's network rules keep out."""
    return ServiceError(403, "AuthorizationFailure", "This request is not authorized to perform this operation.")


def endpoint_unsupported() -> ServiceError:
    """Return the refusal of the dfs endpoint of a flat account with soft delete.

    learn.microsoft.com/azure/storage/blobs/soft-delete-blob-overview; the text: Azure/azure-sdk-for-python#22775.
    """
    return ServiceError(
        409,
        "EndpointUnsupportedAccountFeatures",
        "This endpoint does not support BlobStorageEvents or SoftDelete. Please disable these account features if you "
        "would like to use this endpoint.",
    )


def key_refused() -> ServiceError:
    """Return the refusal of keys, and of account and service SAS, where allowSharedKeyAccess is false."""
    return ServiceError(
        403,
        "KeyBasedAuthenticationNotPermitted",
        "Key based authentication is not permitted on this storage account.",
    )


def authentication_failed(detail: str) -> ServiceError:
    """Return the refusal of a signature that is not valid."""
    return ServiceError(
        403,
        "AuthenticationFailed",
        "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly "
        f"including the signature. {detail}",
    )


def not_signed_in(*, public: bool, challenge: bool) -> ServiceError:
    """Return the refusal of a request without credentials.

    `public`: the account allows anonymous reads; `challenge`: the client's version knows Bearer.
    """
    if challenge:
        return ServiceError(
            401,
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate "
            "header.",
            {"WWW-Authenticate": CHALLENGE},
        )
    if not public:
        return ServiceError(409, "PublicAccessNotPermitted", "Public access is not permitted on this storage account.")
    return ServiceError(404, "ResourceNotFound", "The specified resource does not exist.")


def body_too_large() -> ServiceError:
    """Return the refusal of a body beyond its operation's limit."""
    return ServiceError(
        413, "RequestBodyTooLarge", "The request body is too large and exceeds the maximum permissible limit."
    )


def bad_token(detail: str) -> ServiceError:
    return ServiceError(
        401,
        "InvalidAuthenticationInfo",
        "Server failed to authenticate the request. Please refer to the information in the www-authenticate header. "
        f"{detail}",
        {"WWW-Authenticate": CHALLENGE},
    )


def no_account(account: str, host: str) -> ServiceError:
    """Return the refusal of an unknown account: 400, which no client retries or mistakes for a missing blob."""
    return unresolved(400, "AccountDoesNotExist", "storage account", account, host)


def xml_response(error: ServiceError, *, head: bool = False) -> Response:
    request_id = str(uuid.uuid4())
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    body = (
        '\ufeff<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}\n"
        f"RequestId:{request_id}\nTime:{stamp}</Message></Error>"
    )
    headers = {
        "x-ms-error-code": error.code,
        "x-ms-request-id": request_id,
        "x-ms-version": "2025-11-05",
        "Content-Type": "application/xml",
        **error.headers,
    }
    return Response(b"" if head else body.encode(), error.status, headers)
