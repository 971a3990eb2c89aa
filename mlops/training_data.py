"""Training data go to a blob named after their content: data/SHA256/NAME in the training container."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlops import fingerprints
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError

INCOMING = "incoming/"
"""Folder of the training container where others leave new data."""


@dataclass(frozen=True)
class TrainingData:
    """A local file and its SHA-256."""

    file: Path
    sha256: str

    @property
    def blob(self) -> str:
        return f"data/{self.sha256}/{self.file.name}"

    def uri(self, account: str, container: str) -> str:
        return f"abfss://{container}@{account}.dfs.core.windows.net/{self.blob}"


def read(file: Path) -> TrainingData:
    """Raises MissingError when the file is not there, InvalidError when it is not a file or empty."""
    if not file.exists():
        raise MissingError(f"The data file {file} does not exist: give a CSV file, such as DATA=data/diabetes.csv")
    if not file.is_file():
        raise InvalidError(f"{file} is not a file: give a CSV file, such as DATA=data/diabetes.csv")
    if file.stat().st_size == 0:
        raise InvalidError(f"The data file {file} is empty: it has no header and not a single row")
    return TrainingData(file, fingerprints.of_file(file))


def upload(clients: Clients, data: TrainingData) -> bool:
    """False when the same content is there already."""
    blob = clients.training.get_blob_client(data.blob)
    if blob.exists():
        return False
    with data.file.open("rb") as stream:
        blob.upload_blob(stream, overwrite=True, metadata={"sha256": data.sha256})
    return True


def newest_incoming(clients: Clients, folder: Path) -> Path | None:
    """The CSV file that somebody left last in the stack's storage, copied into a folder; None when there is none."""
    found = [one for one in clients.training.list_blobs(name_starts_with=INCOMING) if one.name.endswith(".csv")]
    if not found:
        return None
    newest = max(found, key=lambda one: (one.last_modified, one.name))
    file = folder / Path(newest.name).name
    with file.open("wb") as stream:
        clients.training.get_blob_client(newest.name).download_blob().readinto(stream)
    return file
