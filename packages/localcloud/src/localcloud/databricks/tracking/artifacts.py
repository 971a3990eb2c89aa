"""Artifacts of MLflow runs and logged models: on Databricks in the workspace's storage, by URLs signed for one file.

    dbfs:/databricks/mlflow-tracking/EXPERIMENT/RUN/artifacts/PATH
    dbfs:/databricks/mlflow-tracking/EXPERIMENT/logged_models/MODEL/artifacts/PATH

Clients request credentials for paths, and then speak Azure Blob Storage's protocol to the signed URLs: Put Block, Put
Block List, Get Blob (mlflow/store/artifact/databricks_artifact_repo.py, type AZURE_SAS_URI). Here the files are in
localcloud's home, and the URLs are the workspace's: its storage account is not emulated.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
import secrets
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.settings import Settings
from localcloud.core.streams import whole_body
from localcloud.databricks import errors
from localcloud.databricks.request import Workspace

ROUTE = "/_localcloud/artifacts"
_LIFETIME_SECONDS = 3600
_BLOCKS = ".blocks"
"""The folder, beside the experiments' folders, of blocks and of files that are being written."""
_LONGEST_NAME = 255
"""Bytes of a file's name on Linux's file systems."""
_LARGEST_LIST = 16 * 1024 * 1024
"""Bytes of a block list: 50,000 blocks, whose ids have 88 characters at most, and their tags."""
_TOO_LARGE = ServiceError(413, "RequestBodyTooLarge", "The request body is too large.")
_LISTED_BLOCK = re.compile(r"<(?:Uncommitted|Latest)>([^<]+)</")


class Artifacts:
    """The artifacts of all workspaces. The key that signs URLs lasts as long as the gateway."""

    def __init__(self, settings: Settings) -> None:
        self._root = settings.home / "databricks-artifacts"
        self._key = secrets.token_bytes(32)

    def forget(self, live: Collection[str]) -> None:
        """Delete the artifacts of deleted workspaces; `live` are the keys of the other workspaces' documents."""
        kept = {_folder_name(key) for key in live}
        for folder in self._root.glob("*"):
            if folder.name not in kept:
                shutil.rmtree(folder)

    def remove(self, workspace: str) -> None:
        """Delete the artifacts of one workspace; `workspace` is the key of its documents."""
        shutil.rmtree(self._root / _folder_name(workspace), ignore_errors=True)

    def credential(self, workspace: Workspace, owner: str, path: str, permission: str) -> Json:
        """Return the signed URL of one file. `owner` is EXPERIMENT/RUN or EXPERIMENT/logged_models/MODEL."""
        place = f"{_folder_name(workspace.documents.workspace)}/{owner}/artifacts/{_checked(path)}"
        expires = str(int(time.time()) + _LIFETIME_SECONDS)
        query = urlencode({"se": expires, "sp": permission, "sig": self._signature(place, expires, permission)})
        name = base64.urlsafe_b64encode(place.encode()).decode()
        return {"signed_uri": f"https://{workspace.host}{ROUTE}/{name}?{query}", "type": "AZURE_SAS_URI"}

    def listed(self, workspace: Workspace, owner: str, path: str) -> list[Json]:
        """Return the files and folders in a folder, or the file itself; paths are relative to the artifacts' root."""
        root = self._root / _folder_name(workspace.documents.workspace) / owner / "artifacts"
        place = root / _checked(path) if path else root
        if place.is_file():
            return [_info(place, root)]
        return [_info(item, root) for item in sorted(place.iterdir())] if place.is_dir() else []

    async def answer(self, request: Request) -> Response:
        """Answer a request to a signed URL."""
        query = request.query_params
        place = _decoded(request.path_params["name"])
        expires, permission = query.get("se", "0"), query.get("sp", "")
        expected = self._signature(place, expires, permission)
        signed = hmac.compare_digest(expected.encode(), query.get("sig", "").encode())
        mode = "w" if request.method == "PUT" else "r"
        if not signed or permission != mode or int(expires) < time.time():
            return JSONResponse({"error_code": "PERMISSION_DENIED", "message": "The signed URL is not valid."}, 403)
        comp = query.get("comp", "")
        if comp not in (("", "block", "blocklist") if request.method == "PUT" else ("",)):
            message = f"localcloud does not emulate {request.method} with comp={comp} of a signed URL."
            return JSONResponse({"error_code": "NOT_IMPLEMENTED", "message": message}, 501)
        file = self._root / place
        if request.method != "PUT":
            return FileResponse(file) if file.is_file() else Response(status_code=404)
        try:
            return await self._put(request, comp, place, file)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            # learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
            return Response("ResourceTypeMismatch", 409)
        except ServiceError as error:
            return Response(error.code, error.status)

    async def _put(self, request: Request, comp: str, place: str, file: Path) -> Response:
        scratch = self._root / place.split("/")[0] / _BLOCKS
        blocks = scratch / hashlib.sha256(place.encode()).hexdigest()
        if comp == "block":
            await _receive(request, scratch, blocks / _block_name(request.query_params.get("blockid", "")))
        elif comp == "blocklist":
            content = (await whole_body(request, _LARGEST_LIST, _TOO_LARGE)).decode(errors="replace")
            names = [_block_name(block) for block in _LISTED_BLOCK.findall(content)]
            if not all((blocks / name).is_file() for name in names):
                return Response("InvalidBlockList", 400)
            await asyncio.to_thread(_join, [blocks / name for name in names], scratch, file)
            await asyncio.to_thread(shutil.rmtree, blocks, ignore_errors=True)
        else:
            await _receive(request, scratch, file)
        return Response(status_code=201)

    def _signature(self, place: str, expires: str, permission: str) -> str:
        return hmac.new(self._key, f"{place}\n{expires}\n{permission}".encode(), hashlib.sha256).hexdigest()


def _folder_name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def _block_name(block: str) -> str:
    return hashlib.sha256(block.encode()).hexdigest()


def _decoded(name: str) -> str:
    """Return the place that a URL names, or a text that no signature fits."""
    try:
        return base64.urlsafe_b64decode(name).decode()
    except ValueError:
        return ""


def _checked(path: str) -> str:
    """Return the path of an artifact. Raises INVALID_PARAMETER_VALUE if it is too long or leads out of its folder."""
    parts = path.split("/")
    too_long = any(len(part.encode()) > _LONGEST_NAME for part in parts)
    if not path or any(part in ("", ".", "..") for part in parts) or "\0" in path or too_long:
        raise errors.invalid(f"Invalid artifact path: '{path}'.")
    return path


def _info(item: Path, root: Path) -> Json:
    info: Json = {"path": item.relative_to(root).as_posix(), "is_dir": item.is_dir()}
    return info if item.is_dir() else {**info, "file_size": item.stat().st_size}


async def _receive(request: Request, scratch: Path, file: Path) -> None:
    with _replacing(file, scratch) as fresh, fresh.open("wb") as content:
        async for chunk in request.stream():
            await asyncio.to_thread(content.write, chunk)


def _join(blocks: list[Path], scratch: Path, file: Path) -> None:
    with _replacing(file, scratch) as fresh, fresh.open("wb") as content:
        for block in blocks:
            with block.open("rb") as part:
                shutil.copyfileobj(part, content)


@contextlib.contextmanager
def _replacing(file: Path, scratch: Path) -> Iterator[Path]:
    """Yield a file in `scratch` that replaces `file` when it is written, and is deleted when the writing fails."""
    scratch.mkdir(parents=True, exist_ok=True)
    fresh = scratch / secrets.token_hex(8)
    try:
        yield fresh
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)
