"""Take the files that a scoring run scores: the file that it names, or files of the input folder that were not scored.

Two runs may take the same files; the ledger decides which of them scored a file. No file is marked as taken, so that a
killed run loses none.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from azure.core.exceptions import AzureError, HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContainerClient
from containers import connect, job_credential  # type: ignore[import-not-found]
from content_copies import copy_by_content  # type: ignore[import-not-found]
from incoming import LeftFile, blob_key, copy_of, listing  # type: ignore[import-not-found]
from ledger import Ledger  # type: ignore[import-not-found]

from steps.file_names import printable
from steps.inputs import parameter, specification
from steps.specification import Score
from steps.taken_files import FILE, INCOMING, TakenFile, TakenFiles, UnreadableFile

_BLOB_FAULTS = frozenset({400, 409})
"""Answers to Get Blob that are about the blob itself, such as an archived one (409 BlobArchived) or one with a key of
the request (409 BlobUsesCustomerSpecifiedEncryption). Others are about the caller, or pass.
learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
"""


def take_incoming(specified_model: str, score: Score) -> TakenFiles:
    """Copy files of the input folder that were not scored, as many as one run takes, and return them."""
    uri = parameter("container_uri").rstrip("/")
    container = connect(uri, job_credential())
    ledger = Ledger(container.lake, container.blobs, specified_model)
    for folder in dict.fromkeys((parameter("output_folder"), *score.outputs)):
        ledger.settle_left(f"{folder}/{specified_model}")
    attempt, code_version = parameter("attempt"), parameter("code_version")
    listed = listing(container.blobs, score.input, ledger.contents(), attempt, code_version)
    waiting = [file for file in listed if file.waits]
    taken: dict[str, TakenFile] = {}
    unreadable: list[UnreadableFile] = []
    left = 0
    for number, file in enumerate(waiting):
        if len(taken) == score.most_files:
            left = len(waiting) - number
            break
        name = printable(file.name)
        if not file.size:
            print(f"{name} is empty, and left where it is", flush=True)
            continue
        try:
            version = copy(container.blobs, file, ledger)
        except HttpResponseError as error:
            if error.status_code not in _BLOB_FAULTS:
                raise
            reason = f"storage does not hand it out ({_code(error)})"
            print(f"{name} cannot be read: {reason}", flush=True)
            unreadable.append(UnreadableFile(file.refused_as, name, reason))
            continue
        if version is None:
            print(f"{name} was changed or deleted while it was read: the next run takes it", flush=True)
        elif ledger.read(version, attempt) is not None:
            print(f"{name} was scored already, under this name or another", flush=True)
        elif ledger.refusal(version, attempt, code_version) is not None:
            print(f"{name} was refused already, under this name or another", flush=True)
        elif version in taken:
            print(f"{name} has the content of {taken[version].name}, and is scored with it", flush=True)
        else:
            taken[version] = TakenFile(version, name, f"{uri}/{copy_of(version)}")
    if left:
        print(f"{left} files wait for the next run: score.most_files is {score.most_files}", flush=True)
    return TakenFiles(tuple(taken.values()), left, tuple(unreadable))


def copy(blobs: ContainerClient, file: LeftFile, ledger: Ledger) -> str | None:
    """Copy a file unless its copy is there; return its version, None when it was deleted or changed meanwhile."""
    if file.version is not None and blobs.get_blob_client(copy_of(file.version)).exists():
        return str(file.version)
    try:
        version, etag = copy_by_content(blobs, file.name, copy_of)
    except (ResourceNotFoundError, ResourceModifiedError):
        return None
    ledger.know(blob_key(file.name, etag), version)
    return str(version)


def _code(error: HttpResponseError) -> str:
    """Return the service's own code for a refusal, such as BlobArchived."""
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    return headers.get("x-ms-error-code") or str(error.status_code)


def take_named() -> TakenFiles:
    """Return the file that the run names."""
    return TakenFiles((TakenFile(parameter("file_version"), parameter("file_name"), parameter("file_uri")),))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=Path, required=True)
    options = parser.parse_args()
    specified, source = specification(), parameter("source")
    if specified.score is None or source not in (INCOMING, FILE):
        sys.exit(f"The source {source!r} of a scoring run is not valid: use {INCOMING} or {FILE}.")
    try:
        taken = take_named() if source == FILE else take_incoming(specified.model, specified.score)
    except AzureError as error:
        sys.exit(f"The files of {specified.score.input} cannot be taken: {error}")
    taken.write(options.files, f"{parameter('output_base').rstrip('/')}/{os.environ['AZUREML_RUN_ID']}")
    print(f"Took {len(taken.files)} files: {', '.join(file.name for file in taken.files) or 'there is none'}")


if __name__ == "__main__":
    main()
