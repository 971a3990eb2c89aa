"""Clients of the container of the training data, by its abfss URI, as the job's own identity."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass

from azure.core.credentials import TokenCredential
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from azure.storage.blob import ContainerClient
from azure.storage.filedatalake import DataLakeServiceClient, FileSystemClient

_CONTAINER = re.compile(r"abfss://(?P<container>[^@/]+)@(?P<account>[^./]+)\.dfs\.(?P<suffix>[^/]+)/?")


@dataclass(frozen=True)
class Container:
    """A container by both protocols: `lake` renames folders."""

    blobs: ContainerClient
    lake: FileSystemClient


def job_credential() -> TokenCredential:
    """Return the credential of the job's managed identity; outside of Azure ML, azure-identity's default."""
    client = os.environ.get("DEFAULT_IDENTITY_CLIENT_ID")
    return ManagedIdentityCredential(client_id=client) if client else DefaultAzureCredential()


def connect(uri: str, credential: TokenCredential) -> Container:
    """Return the clients of a container. Ends the program for another kind of URI."""
    place = _CONTAINER.fullmatch(uri)
    if place is None:
        sys.exit(f"{uri} is not abfss://CONTAINER@ACCOUNT.dfs.core.windows.net")
    account, suffix, container = place["account"], place["suffix"], place["container"]
    lake = DataLakeServiceClient(f"https://{account}.dfs.{suffix}", credential=credential)
    blobs = ContainerClient(f"https://{account}.blob.{suffix}", container, credential=credential)
    return Container(blobs, lake.get_file_system_client(container))
