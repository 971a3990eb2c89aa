"""Whether there are files in a folder of a data lake: one request, since the job's environment has no storage SDK.

The mount of the step's output is no answer: it may have cached that the folder was empty before the notebook wrote.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline import policies
from azure.core.rest import HttpRequest

_URI = re.compile(r"abfss://(?P<container>[^@/]+)@(?P<host>[^/]+)/(?P<folder>.+)")
_SCOPE = "https://storage.azure.com/.default"
_VERSION = "2021-06-08"
_PAGE = 100


def has_files(credential: TokenCredential, uri: str) -> bool:
    """Return whether an abfss:// folder has a file, at any depth; False for a folder that does not exist.

    Raises ValueError for a URI of another kind, HttpResponseError and the other AzureErrors for a refusal. Request:
    "Path - List" of the Data Lake Storage REST API.
    """
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(f"{uri} is not abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/FOLDER")
    address = f"https://{match['host']}/{match['container']}"
    bearer = policies.BearerTokenCredentialPolicy(credential, _SCOPE)
    client: PipelineClient[Any, Any]
    with PipelineClient(address, policies=[policies.RetryPolicy(retry_total=5), bearer]) as client:
        following: str | None = ""
        while following is not None:
            page, following = _list(client, address, match["folder"].strip("/"), following)
            if any(str(path.get("isDirectory", "false")).lower() != "true" for path in page):
                return True
    return False


def _list(
    client: PipelineClient[Any, Any], address: str, folder: str, continuation: str
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of paths, and the token of the next page if there is one."""
    query = f"resource=filesystem&recursive=true&maxResults={_PAGE}&directory={quote(folder, safe='')}"
    if continuation:
        query += f"&continuation={quote(continuation, safe='')}"
    response = client.send_request(HttpRequest("GET", f"{address}?{query}", headers={"x-ms-version": _VERSION}))
    if response.status_code == 404 and response.headers.get("x-ms-error-code") == "PathNotFound":
        return [], None
    if response.status_code != 200:
        code = response.headers.get("x-ms-error-code", "")
        raise HttpResponseError(f"{response.status_code} {code or response.reason}")
    return response.json()["paths"], response.headers.get("x-ms-continuation") or None
