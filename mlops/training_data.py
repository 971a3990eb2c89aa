"""Training data go to a blob named after their content alone: data/SHA256/data.csv in the training container.

The name of the file is text from outside: it becomes metadata of the blob, and no part of an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from azure.core.exceptions import HttpResponseError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_exponential

from declarations import training_pipelines
from declarations.training_pipelines import INCOMING
from mlops import fingerprints, specifications
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.specifications import TrainingPipeline
from steps.file_names import printable

_PROPAGATION_SECONDS = 60


@dataclass(frozen=True)
class TrainingData:
    """A local file, its SHA-256, and the name under which people know it."""

    file: Path
    sha256: str
    name: str

    @property
    def blob(self) -> str:
        return blob_name(self.sha256)

    def uri(self, account: str, container: str) -> str:
        return f"abfss://{container}@{account}.dfs.core.windows.net/{self.blob}"


def read(file: Path) -> TrainingData:
    """Read the file. Raises MissingError when it is not there, InvalidError when it is not a file or empty."""
    if not file.exists():
        raise MissingError(f"The data file {file} does not exist: give a CSV file, such as data/houses.csv")
    if not file.is_file():
        raise InvalidError(f"{file} is not a file: give a CSV file, such as data/houses.csv")
    return measured(file, str(file))


def _has_no_effect_yet(error: BaseException) -> bool:
    """Whether a role on storage may be too new: it has effect some minutes after its assignment.

    Azure/azure-rest-api-specs#9467; learn.microsoft.com/azure/role-based-access-control/troubleshooting.
    """
    return (
        isinstance(error, HttpResponseError) and getattr(error, "error_code", "") == "AuthorizationPermissionMismatch"
    )


@retry(
    retry=retry_if_exception(_has_no_effect_yet),
    wait=wait_exponential(multiplier=1, max=20),
    stop=stop_after_delay(_PROPAGATION_SECONDS),
    reraise=True,
)
def upload(clients: Clients, data: TrainingData) -> bool:
    """Upload the file; False when the same content is there already. Wait for a role of the caller that is new."""
    blob = clients.training.get_blob_client(data.blob)
    if blob.exists():
        return False
    # Values of metadata are HTTP headers.
    metadata = {"sha256": data.sha256, "name": quote(Path(data.name).name, safe="", errors="surrogateescape")}
    with data.file.open("rb") as stream:
        blob.upload_blob(stream, overwrite=True, metadata=metadata)
    return True


def original_name(clients: Clients, sha256: str) -> str | None:
    """Return the name under which the file of a data version was uploaded; None where it is unknown."""
    try:
        metadata = clients.training.get_blob_client(blob_name(sha256)).get_blob_properties().metadata
    except HttpResponseError:
        return None  # deleted meanwhile, or not the caller's to read: a name is not worth another error
    return unquote(metadata["name"], errors="surrogateescape") if metadata and metadata.get("name") else None


def blob_name(sha256: str) -> str:
    """Return the name of the blob with this content."""
    return f"data/{sha256}/data.csv"


def incoming(pipeline: TrainingPipeline) -> str:
    """Return the folder of new data for a pipeline."""
    return training_pipelines.incoming_folder(pipeline.name, pipeline.folder.parent)


def newest_incoming(clients: Clients, folder: Path) -> TrainingData | None:
    """Copy the newest incoming CSV file of the stack's storage into a folder; return None without one.

    Raises InvalidError when it is empty.
    """
    folder_name = incoming(clients.pipeline)
    others = tuple(f"{INCOMING}{name}/" for name in specifications.names() if f"{INCOMING}{name}/" != folder_name)
    blobs = [
        blob
        for blob in clients.training.list_blobs(name_starts_with=folder_name)
        if blob.name.endswith(".csv") and not blob.name.startswith(others)
    ]
    if not blobs:
        return None
    newest = max(blobs, key=lambda blob: (blob.last_modified, blob.name))
    file = folder / "incoming.csv"
    with file.open("wb") as stream:
        clients.training.get_blob_client(newest.name).download_blob().readinto(stream)
    return measured(file, newest.name)


def measured(file: Path, name: str) -> TrainingData:
    """Return a file with its hash, under the name that people know. Raises InvalidError when it is empty."""
    if file.stat().st_size == 0:
        raise InvalidError(f"The data file {printable(name)} is empty: it has no header and not a single row")
    try:
        return TrainingData(file, fingerprints.of_file(file), name)
    except OSError as error:
        raise InvalidError(f"The data file {printable(name)} cannot be read: {error.strerror}.") from error
