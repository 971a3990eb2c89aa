"""Reading one small blob of the training container without azure-storage-blob.

Importing that library takes as long as the rest of `mlops up` without changes. The request is Get Blob
(learn.microsoft.com/rest/api/storageservices/get-blob), with the library's sign-in.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, HeadersPolicy, RetryPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest

_SCOPE = "https://storage.azure.com/.default"
_VERSION = "2021-12-02"
_RETRIES = 5


class Blobs:
    """Blobs of one container, by name."""

    def __init__(self, credential: TokenCredential, account: str, container: str) -> None:
        host = f"https://{account}.blob.core.windows.net"
        self._container = f"{host}/{container}"
        policies = [
            HeadersPolicy({"x-ms-version": _VERSION}),
            UserAgentPolicy("dataopsml"),
            RetryPolicy(retry_total=_RETRIES),
            BearerTokenCredentialPolicy(credential, _SCOPE),
        ]
        self._client: PipelineClient[Any, Any] = PipelineClient(host, policies=policies)

    def read(self, name: str) -> bytes | None:
        """Return the content, None for a missing blob. Raises azure.core's exceptions."""
        answer = self._client.send_request(HttpRequest("GET", f"{self._container}/{quote(name)}"))
        code = str(answer.headers.get("x-ms-error-code", ""))
        if answer.status_code == 404 and code == "BlobNotFound":
            return None
        if answer.status_code >= 400:
            raise HttpResponseError(f"{code or answer.reason}: {name} cannot be read", response=answer)
        return bytes(answer.content)
