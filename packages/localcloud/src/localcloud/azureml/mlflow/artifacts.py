"""MLflow's artifacts where Azure ML keeps a run's: container azureml of the workspace's account.

Runs in the MLflow server's process. MLflow's paths and the blobs behind them:

    EXPERIMENT/RUN/artifacts/PATH               ExperimentRun/dcid.RUN/PATH
    EXPERIMENT/models/MODEL/artifacts/PATH      ExperimentRun/dcid.RUN/NAME/PATH   (a model logged by RUN as NAME)
    registered/NAME/VERSION/PATH                the path that the version was registered with in Azure ML; read only
    EXPERIMENT/…                                mlflow/EXPERIMENT/…

In MLflow's workspaces other than "default", paths begin with workspaces/WORKSPACE/, which MLflow itself checks.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerClient
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from localcloud.azureml.mlflow import artifacts_paths
from localcloud.azureml.mlflow.places import Places

SCHEME = "localcloud"


@dataclass(frozen=True)
class Place:
    """A blob or a folder of blobs. `hidden` are folders of logged models, which MLflow lists by itself."""

    container: ContainerClient
    path: str
    writable: bool = True
    hidden: frozenset[str] = frozenset()


class Locator:
    """Translation of MLflow's paths to blobs."""

    def __init__(self, places: Places, azurite: str, logged_models: Any) -> None:
        self._places = places
        self._azurite = azurite
        self._logged_models = logged_models
        self._clients: dict[tuple[str, str], BlobServiceClient] = {}

    def locate(self, path: str) -> Place:
        """Find the blob of a path. Raises MlflowException 404 for a deleted workspace, 400 for a path that is none."""
        workspace, rest = "default", path.strip("/")
        if match := artifacts_paths.WORKSPACE.fullmatch(rest):
            workspace, rest = match["workspace"], match["rest"] or ""
        if match := artifacts_paths.REGISTERED.fullmatch(rest):
            return self._registered(workspace, match["name"], match["version"], match["path"] or "")
        account, container = self._places.artifact_store(workspace)
        client = self._container(account, container)
        if match := artifacts_paths.MODEL.fullmatch(rest):
            folder = self._logged_models.folder(match["model"])
            return Place(client, posixpath.join(folder, match["path"] or ""))
        if match := artifacts_paths.RUN.fullmatch(rest):
            folders = self._logged_models.folders_of(match["run"])
            place = posixpath.join(self._logged_models.root(match["run"]), match["path"] or "").rstrip("/")
            if any(place == folder or place.startswith(folder + "/") for folder in folders):
                raise MlflowException(f"No such artifact: '{path}'", RESOURCE_DOES_NOT_EXIST)
            return Place(client, place, hidden=folders)
        if match := artifacts_paths.OTHER.fullmatch(rest):
            return Place(client, posixpath.join("mlflow", match["experiment"], match["path"] or ""))
        raise MlflowException(f"'{path}' is not the path of an artifact.", BAD_REQUEST)

    def _registered(self, workspace: str, name: str, version: str, path: str) -> Place:
        account, container, folder = self._places.registered_model(workspace, name, version)
        return Place(self._container(account, container), posixpath.join(folder, path).rstrip("/"), writable=False)

    def _container(self, account: str, container: str) -> ContainerClient:
        key = self._places.account_key(account)
        service = self._clients.get((account, key))
        if service is None:
            service = BlobServiceClient(
                f"{self._azurite}/{account}", credential={"account_name": account, "account_key": key}
            )
            self._clients[account, key] = service
        return service.get_container_client(container)


class BlobArtifacts(ArtifactRepository):  # type: ignore[misc]
    """The repository of MLflow's server; `artifact_uri` is localcloud:/ with or without a path."""

    def __init__(self, locator: Locator, artifact_uri: str, tracking_uri: str | None, registry_uri: str | None) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        self._locator = locator
        self._root = urlsplit(artifact_uri).path.strip("/")

    def _place(self, path: str | None) -> Place:
        return self._locator.locate(posixpath.join(self._root, path or ""))

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        place = self._place(posixpath.join(artifact_path or "", Path(local_file).name))
        _check_writable(place)
        with Path(local_file).open("rb") as content:
            place.container.upload_blob(place.path, content, overwrite=True)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        root = Path(local_dir)
        for file in sorted(item for item in root.rglob("*") if item.is_file()):
            folder = posixpath.join(artifact_path or "", file.relative_to(root).parent.as_posix())
            self.log_artifact(str(file), posixpath.normpath(folder) if folder not in {"", "."} else None)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        try:
            place = self._place(path)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        prefix = place.path.rstrip("/") + "/"
        result = []
        for item in place.container.walk_blobs(name_starts_with=prefix):
            name = item.name.rstrip("/")
            if name == place.path.rstrip("/") or name in place.hidden:
                continue
            artifact_path = posixpath.join(path or "", name[len(prefix) :])
            folder = item.name.endswith("/")
            result.append(FileInfo(artifact_path, folder, getattr(item, "size", None)))
        return sorted(result, key=lambda info: info.path)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        place = self._place(remote_file_path)
        try:
            with Path(local_path).open("wb") as content:
                place.container.download_blob(place.path).readinto(content)
        except ResourceNotFoundError as error:
            raise MlflowException(f"No such artifact: '{remote_file_path}'", RESOURCE_DOES_NOT_EXIST) from error

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        place = self._place(artifact_path)
        _check_writable(place)
        folder = place.path.rstrip("/")
        for item in list(place.container.list_blobs(name_starts_with=folder)):
            if item.name == folder or item.name.startswith(folder + "/"):
                place.container.delete_blob(item.name)


def _check_writable(place: Place) -> None:
    if not place.writable:
        raise MlflowException("The files of a registered model version cannot be changed.", PERMISSION_DENIED)
