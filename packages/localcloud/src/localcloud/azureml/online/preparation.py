"""Files and packages of a server: the content of a managed deployment's containers before they start.

The storage initializer downloads model and code; the image has the packages. For an MLflow model without a scoring
script the image is Azure's mlflow-py312-inference with an environment of its own: the model's conda file, to which the
service adds azureml-inference-server-http and nothing else (Azure/azureml-assets, `mlflow-py312-inference`; public
logs of such builds). So a model whose conda file lacks azureml-ai-monitoring, which the service's scoring script
imports, ends with a ModuleNotFoundError (Azure/azureml-examples#3904, #3923, #4008): here too.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcloud.azureml.common import WORKSPACE, workspace_of
from localcloud.azureml.environment_builds import Build, EnvironmentBuilds
from localcloud.azureml.jobs.transfer import Transfer
from localcloud.azureml.online.launches import Launch
from localcloud.azureml.online.process import BoundedLog
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.engine import python_environments
from localcloud.engine.python_environments import BuildError

SERVER_PACKAGE = "azureml-inference-server-http"
NO_CODE_FOLDER = Path(__file__).parent / "no_code"
NO_CODE_SCRIPT = "mlflow_score_script.py"
_IMAGE = "mcr.microsoft.com/azureml/curated/mlflow-py312-inference"
_WHOLE = "whole"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_TSG = "Please see troubleshooting guide, available here: https://aka.ms/oe-tsg"


@dataclass(frozen=True)
class Prepared:
    """Places of a server's parts: the virtual environment, the scoring script, the model."""

    environment: Path
    app_root: Path
    script: str
    model_dir: Path | None
    model_folder: str


@dataclass(frozen=True)
class Files:
    """The scoring script below its folder, and the model's folder in AZUREML_MODEL_DIR."""

    app_root: Path
    script: str
    model_dir: Path | None
    model_folder: str


class Preparation:
    """Downloads and builds of one localcloud."""

    def __init__(self, ctx: Context, transfer: Transfer) -> None:
        self._ctx = ctx
        self._transfer = transfer
        self._builds: EnvironmentBuilds = ctx.offered[EnvironmentBuilds]

    async def files(self, launch: Launch, folder: Path, log: BoundedLog) -> Files:
        """Download model and code into `folder`, unless they are there. Raises ServiceError 400 BadArgument."""
        return await asyncio.to_thread(self._files, launch, folder, log)

    async def environment(self, launch: Launch, files: Files, log: BoundedLog) -> Path:
        """Return the virtual environment, built if need be.

        Raises ServiceError 400 ImageBuildFailure, or BadArgument for a model without an environment.
        """
        version = self._version(launch, files)
        try:
            built = await self._builds.get(version)
            for warning in built.warnings:
                log.line(warning)
            if isinstance(built.place, Build):
                return await asyncio.shield(built.place.done)
        except BuildError as error:
            log.line(str(error))
            raise ServiceError(
                400, "ImageBuildFailure", f"Image build failed: {error.message} {_TSG}#error-imagebuildfailure"
            ) from error
        await asyncio.to_thread(python_environments.mark_used, built.place)
        return built.place

    def _files(self, launch: Launch, folder: Path, log: BoundedLog) -> Files:
        if not (folder / _WHOLE).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            try:
                self._download(launch, folder, log)
            except ServiceError as error:
                log.line(f"ERROR {error.message}")
                raise ServiceError(
                    400, "BadArgument", f"Unable to download user model. {error.message} {_TSG}#error-badargument"
                ) from error
            (folder / _WHOLE).touch()
        model_dir = _model_dir(launch, folder)
        app_root, script = (folder / "app", launch.script) if launch.code_uri else (NO_CODE_FOLDER, NO_CODE_SCRIPT)
        return Files(app_root, script, model_dir, _model_folder(launch) if model_dir is not None else "")

    def _download(self, launch: Launch, folder: Path, log: BoundedLog) -> None:
        model_dir = _model_dir(launch, folder)
        if model_dir is not None:
            self._fetch(launch, launch.model_uri, model_dir / _model_folder(launch), log)
        if launch.code_uri:
            self._fetch(launch, launch.code_uri, folder / "app", log)

    def _fetch(self, launch: Launch, uri: str, target: Path, log: BoundedLog) -> None:
        workspace = workspace_of(self._ctx, launch.workspace)
        principal = self._ctx.identities.by_object_id(launch.identity)
        log.line(f"Downloading {uri}")
        place = self._transfer.reach(workspace, principal, uri)
        if self._transfer.is_file(place):
            self._transfer.download_file(place, target.parent)
        else:
            self._transfer.download_folder(place, target)
        files = sorted(
            file.relative_to(target.parent).as_posix() for file in target.parent.rglob("*") if file.is_file()
        )
        for file in files:
            log.line(f"  {file}")
        log.line(f"Downloaded {len(files)} files")

    def _version(self, launch: Launch, files: Files) -> Resource:
        if launch.environment:
            version = self._ctx.resources.get(launch.environment)
            if version is None:
                raise ServiceError(404, "ResourceNotFound", f"The environment '{launch.environment}' does not exist.")
            return version
        if files.model_dir is None:
            raise ServiceError(400, "BadArgument", "A deployment without an environment needs a model.")
        conda_file = conda_file_of(files.model_dir / files.model_folder, launch)
        name = f"{launch.model_name}:{launch.model_version}"
        return Resource(
            id=f"{launch.workspace}/environments/{launch.model_name}/versions/{launch.model_version}",
            type=f"{WORKSPACE}/environments/versions", name=name,
            properties={"image": _IMAGE, "condaFile": conda_file}, private={"built": True},
        )  # fmt: skip


def conda_file_of(model: Path, launch: Launch) -> str:
    """Return the conda file of a model's environment, with the packages that the service adds.

    Raises ServiceError 400 BadArgument for a model without the flavor python_function, or without a conda file.
    """
    name = f"{launch.model_name}:{launch.model_version}"
    try:
        flavors = _yaml(model / "MLmodel").get("flavors") or {}
    except OSError as error:
        raise _not_deployable(name, "has no MLmodel file") from error
    flavor = flavors.get("python_function") if isinstance(flavors, dict) else None
    if not isinstance(flavor, dict):
        raise _not_deployable(name, "has no flavor python_function")
    declared = flavor.get("env")
    file = declared.get("conda") if isinstance(declared, dict) else declared
    if not file or not (model / str(file)).resolve().is_relative_to(model.resolve()):
        raise _not_deployable(name, "names no conda file")
    try:
        content = _yaml(model / str(file))
    except OSError as error:
        raise _not_deployable(name, f"lacks its conda file '{file}'") from error
    return yaml.safe_dump(with_server(content), sort_keys=False)


def with_server(conda: Mapping[str, Any]) -> dict[str, Any]:
    """Return a conda file with the inference server among its pip requirements, unless it is there."""
    dependencies = list(conda.get("dependencies") or [])
    pip = next(
        (entry for entry in dependencies if isinstance(entry, dict) and isinstance(entry.get("pip"), list)), None
    )
    lines = list(pip["pip"]) if pip is not None else []
    if not any(_package(line) == SERVER_PACKAGE for line in lines):
        lines.append(SERVER_PACKAGE)
    others = [entry for entry in dependencies if entry is not pip]
    return {**conda, "dependencies": [*others, {"pip": lines}]}


def _package(line: object) -> str:
    match = _NAME.match(str(line).strip())
    return re.sub(r"[._-]+", "-", match[0]).lower() if match else ""


def _yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ServiceError(400, "BadArgument", f"The model's file '{file.name}' is not YAML: {error}") from error
    return content if isinstance(content, dict) else {}


def _not_deployable(name: str, reason: str) -> ServiceError:
    return ServiceError(
        400,
        "BadArgument",
        f"The model '{name}' {reason}: a deployment without a scoring script needs an MLflow model with the flavor "
        "python_function and its conda file.",
    )


def _model_dir(launch: Launch, folder: Path) -> Path | None:
    if not launch.model_uri:
        return None
    return folder / "azureml-models" / launch.model_name / launch.model_version


def _model_folder(launch: Launch) -> str:
    """Return the name of the model's folder: the last part of its address."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", launch.model_uri.rstrip("/").rsplit("/", 1)[-1]) or "model"
