"""The Data Lake service's errors: JSON, and their names for Azurite's blob errors.

Codes and texts: learn.microsoft.com/rest/api/storageservices/datalakestoragegen2/path/create, "Other Status Codes".
"""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime
from xml.sax.saxutils import unescape

from starlette.responses import Response

from localcloud.core.errors import ServiceError

VERSION = "2025-11-05"
_RESOURCE_TYPE = (
    "The specified path, or an element of the path, exists and its resource type is invalid for this operation."
)
_TEXTS = {
    "InvalidFlushPosition": (
        400,
        "The uploaded data is not contiguous or the position query parameter value is not equal to the length of the "
        "file after appending the uploaded data.",
    ),
    "InvalidHeaderValue": (400, "The value for one of the HTTP headers is not in the correct format."),
    "InvalidInput": (400, "One of the request inputs is not valid."),
    "InvalidQueryParameterValue": (
        400, "Value for one of the query parameters specified in the request URI is invalid."
    ),
    "InvalidResourceName": (400, "The specified resource name contains invalid characters."),
    "InvalidSourceUri": (400, "The source URI is invalid."),
    "InvalidPropertyName": (400, "A property name cannot be empty, or the property name contains invalid characters."),
    "MissingRequiredQueryParameter": (
        400, "A query parameter that's mandatory for this request is not specified."
    ),
    "OutOfRangeQueryParameterValue": (
        400, "One of the query parameters specified in the request URI is outside the permissible range."
    ),
    # Nowhere documented: trinodb/trino#29947 met it.
    "HierarchicalNamespaceNotEnabled": (400, "Hierarchical namespace is not enabled for the account."),
    "FilesystemNotFound": (404, "The specified filesystem does not exist."),
    "PathNotFound": (404, "The specified path does not exist."),
    "SourcePathNotFound": (404, "The source path for a rename operation does not exist."),
    "RenameDestinationParentPathNotFound": (404, "The parent directory of the destination path does not exist."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support the specified HTTP verb."),
    "DirectoryNotEmpty": (
        409, "The recursive query parameter value must be true to delete a non-empty directory."
    ),
    "FilesystemAlreadyExists": (409, "The specified filesystem already exists."),
    "InvalidFlushOperation": (
        409,
        "The resource was created or modified by the Blob Service API and cannot be written to by the Data Lake "
        "Storage Service API.",
    ),
    "InvalidRenameSourcePath": (
        409,
        "The source directory cannot be the same as the destination directory, nor can the destination be a "
        "subdirectory of the source directory.",
    ),
    "InvalidSourceOrDestinationResourceType": (
        409, "The source and destination resource type must be identical."
    ),
    "PathAlreadyExists": (409, "The specified path already exists."),
    "PathConflict": (409, _RESOURCE_TYPE),
    "ConditionNotMet": (412, "The condition specified using HTTP conditional header(s) is not met."),
    "SourceConditionNotMet": (412, "The source condition specified using HTTP conditional header(s) is not met."),
    "LeaseIdMismatch": (412, "The lease ID specified did not match the lease ID for the resource."),
    "LeaseNotPresent": (412, "There is currently no lease on the resource."),
}  # fmt: skip
_PATH_CODES = {
    "BlobNotFound": "PathNotFound",
    "ContainerNotFound": "FilesystemNotFound",
    "BlobAlreadyExists": "PathAlreadyExists",
    "ContainerAlreadyExists": "FilesystemAlreadyExists",
    "InvalidBlobOrBlock": "InvalidFlushOperation",
    "LeaseIdMismatchWithBlobOperation": "LeaseIdMismatch",
    "LeaseNotPresentWithBlobOperation": "LeaseNotPresent",
}
_XML = re.compile(r"<Code>(.*?)</Code>.*?<Message>(.*?)(?:\nRequestId.*?)?</Message>", re.DOTALL)


def refused(code: str, detail: str = "", **headers: str) -> ServiceError:
    """Return the error of this code; `detail` has facts that Azure's own words leave out."""
    status, text = _TEXTS[code]
    return ServiceError(status, code, f"{text} {detail}".rstrip(), {n.replace("_", "-"): v for n, v in headers.items()})


def not_modified() -> ServiceError:
    """Return 304, which is no error to a client that requests only changes."""
    return ServiceError(304, "ConditionNotMet", "")


def of_azurite(status: int, code: str, body: str) -> ServiceError:
    """`code` is x-ms-error-code, which a HEAD has alone."""
    match = _XML.search(body)
    message = unescape(match[2]) if match else ""
    code = _PATH_CODES.get(code or (match[1] if match else "InternalError"), code)
    if code in _TEXTS:
        return refused(code)
    return ServiceError(status, code, message or "The storage emulator refused the request.")


def json_response(error: ServiceError, *, head: bool = False) -> Response:
    request_id = str(uuid.uuid4())
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    body = {"error": {"code": error.code, "message": f"{error.message}\nRequestId:{request_id}\nTime:{stamp}"}}
    headers = {
        "x-ms-error-code": error.code,
        "x-ms-request-id": request_id,
        "x-ms-version": VERSION,
        "Content-Type": "application/json;charset=utf-8",
        **error.headers,
    }
    return Response(b"" if head or error.status == 304 else json.dumps(body).encode(), error.status, headers)
