"""Removal of a training pipeline: its parts on a stack, then its files. A repetition continues it.

The pipeline's files are last, since they name the parts to remove. The record stays: runs, their logs, and the
training data, which are addressed by content and may be another pipeline's too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops import (
    job_environment,
    jobs,
    notebook_sources,
    notebooks,
    prune,
    publish,
    published_components,
    registered_models,
    schedules,
)
from mlops import specifications as pipelines
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.publish import Say

_SCHEDULES, _ONLINE = "/schedules/", "/onlineEndpoints/"


@dataclass(frozen=True)
class Removal:
    """Parts of a pipeline to remove. Resources by ARM id, dependents first; files with pipeline.yml last."""

    name: str
    resources: tuple[str, ...]
    notebook_folders: tuple[str, ...]
    files: tuple[Path, ...]
    serves: str
    """Why it serves, "" if it does not."""

    def lines(self) -> Iterator[str]:
        """Yield the names of the parts to delete, for people."""
        for resource in self.resources:
            yield _render(resource)
        for folder in self.notebook_folders:
            yield f"notebooks {folder} in Databricks"
        for file in self.files:
            yield f"file {file.relative_to(pipelines.ROOT)}"


def plan(clients: Clients, *, keep_files: bool = False) -> Removal:
    """Return a pipeline's parts on a stack and in this checkout.

    Raises InvalidError for the pipeline with the stack's first endpoint, and during a run.
    """
    pipeline = clients.pipeline
    if pipeline.has_first_endpoint:
        raise InvalidError(
            f"{pipeline.name} has the stack's first endpoint, {clients.outputs.batch_endpoint}, and cannot be removed: "
            "say `default: true` in another pipeline's pipeline.yml, bring the stack up, and remove it then."
        )
    newest = jobs.newest(clients)
    if newest is not None and not newest.ended:
        raise InvalidError(
            f"Run {newest.name} of {pipeline.name} is under way: wait for its end, or run `python -m mlops cancel "
            f"{clients.options}`."
        )
    return Removal(
        name=pipeline.name,
        resources=tuple(_resources(clients)),
        notebook_folders=tuple(_notebook_folders(clients)),
        files=() if keep_files else tuple(files(pipeline)),
        serves=_serves(clients),
    )


def remove(clients: Clients, removal: Removal, say: Say) -> None:
    """Delete all parts, each with a line.

    Raises the clients' errors; a repetition removes the rest.
    """
    for resource in removal.resources:
        if _SCHEDULES in resource:
            schedules.delete(clients, resource.rpartition("/")[2])
        else:
            clients.arm.delete(resource)
        say(f"Deleted {_render(resource)}.")
    for folder in removal.notebook_folders:
        notebooks.remove(clients, folder)
        say(f"Deleted notebooks {folder}.")
    for file in removal.files:
        file.unlink(missing_ok=True)
    if removal.files:
        _remove_empty_folders(clients.pipeline.folder)
        say(f"Deleted {len(removal.files)} files.")


def _serves(clients: Clients) -> str:
    endpoint = _endpoint(clients)
    default = (endpoint["properties"].get("defaults") or {}).get("deploymentName") if endpoint else None
    if default:
        return f"the endpoint {clients.endpoint} runs its deployment {default}"
    serving = next((model.version for model in registered_models.read(clients) if model.serves), None)
    return f"version {serving} of {clients.pipeline.model} serves" if serving else ""


def _endpoint(clients: Clients) -> dict[str, Any] | None:
    """Return the endpoint, None where the stack has none for the pipeline, or it is deleted."""
    try:
        return clients.arm.get(f"{clients.workspace_id}/batchEndpoints/{clients.endpoint}")
    except MissingError:
        return None


def _resources(clients: Clients) -> Iterator[str]:
    """Yield schedules, endpoints with their deployments, the model's versions, the components, the environment."""
    pipeline, workspace = clients.pipeline, clients.workspace_id
    online = clients.outputs.online_endpoints.get(pipeline.name)
    if online is not None and clients.arm.get(f"{workspace}{_ONLINE}{online}") is not None:
        yield f"{workspace}{_ONLINE}{online}"
    for name in (pipeline.schedule, pipeline.scoring_schedule):
        if clients.arm.get(f"{workspace}{_SCHEDULES}{name}") is not None:
            yield f"{workspace}{_SCHEDULES}{name}"
    if _endpoint(clients) is not None:
        yield f"{workspace}/batchEndpoints/{clients.endpoint}"
    yield from _deployments_elsewhere(clients)
    others = [pipelines.load(name) for name in pipelines.names() if name != pipeline.name]
    if pipeline.model not in {other.model for other in others}:
        yield from _with_versions(clients, f"{workspace}/models/{pipeline.model}")
    shared = {name for other in others for name in published_components.names(other)}
    for name in (*pipeline.components, *published_components.names(pipeline)):
        if name not in shared:
            yield from _with_versions(clients, f"{workspace}/components/{name}")
    environment = job_environment.own_name(pipeline)
    yield from _with_versions(clients, f"{workspace}/environments/{environment}")


def _deployments_elsewhere(clients: Clients) -> Iterator[str]:
    """Yield the pipeline's deployments on other endpoints: it had the first one while it was the default pipeline."""
    own = _endpoint(clients)
    for endpoint in clients.arm.list(f"{clients.workspace_id}/batchEndpoints"):
        if own is not None and endpoint["name"] == own["name"]:
            continue
        for deployment in clients.arm.list(f"{clients.workspace_id}/batchEndpoints/{endpoint['name']}/deployments"):
            if clients.pipeline.is_named_in(json.dumps(deployment["properties"])):
                yield f"{clients.workspace_id}/batchEndpoints/{endpoint['name']}/deployments/{deployment['name']}"


def _with_versions(clients: Clients, container: str) -> Iterator[str]:
    versions = clients.arm.list(f"{container}/versions", listViewType="All")
    yield from (f"{container}/versions/{name}" for name in sorted(str(version["name"]) for version in versions))
    if clients.arm.get(container) is not None:
        yield container


def _notebook_folders(clients: Clients) -> list[str]:
    """Return the notebook folders that this pipeline's versions name, and no other pipeline's nor this checkout's."""
    pipeline, root = clients.pipeline, clients.outputs.notebook_folder
    own = {f"{root}/{content}" for content in _content_hashes(pipeline)}
    for component in pipeline.components:
        versions = clients.arm.list(f"{clients.workspace_id}/components/{component}/versions", listViewType="All")
        own |= _named(root, (version["properties"].get("componentSpec") for version in versions))
    others = [known for known in publish.all_deployments(clients) if not pipeline.is_named_in(known.pipeline_id)]
    used = _named(root, (prune.specification(clients, deployment) for deployment in others))
    for name in pipelines.names():
        if name != pipeline.name:
            used |= {f"{root}/{content}" for content in _content_hashes(pipelines.load(name))}
    return sorted(folder for folder in own - used if notebooks.exists(clients, folder))


def _named(root: str, specifications: Iterable[Any]) -> set[str]:
    text = " ".join(json.dumps(specification) for specification in specifications)
    return set(re.findall(rf"{re.escape(root)}/[0-9a-f]{{16}}(?=/)", text))


def _content_hashes(pipeline: pipelines.TrainingPipeline) -> set[str]:
    """Return the hashes of the pipeline's notebooks, as far as their files exist."""
    hashes = set()
    for notebook in pipeline.notebooks:
        with suppress(MissingError):
            hashes.add(notebooks.content_hash(notebook))
    return hashes


def files(pipeline: pipelines.TrainingPipeline) -> list[Path]:
    """Return the notebook with the modules that no other pipeline's imports, their test, and the folder's files."""
    own = _notebook_files(pipeline)
    for name in pipelines.names():
        if name != pipeline.name:
            own -= _notebook_files(pipelines.load(name))
    test = pipelines.ROOT / "tests" / "spark" / f"test_{pipeline.specification.notebook}.py"
    specification = pipeline.folder / pipelines.FILE
    folder = sorted(file for file in pipeline.folder.rglob("*") if file.is_file() and file != specification)
    return [*([test] if test.is_file() else []), *sorted(own), *folder, specification]


def _notebook_files(pipeline: pipelines.TrainingPipeline) -> set[Path]:
    """Return the notebooks' own files, without other notebooks of the folder, which %run needs."""
    own: set[Path] = set()
    for name in pipeline.notebooks:
        notebook = notebooks.FOLDER / f"{name}.py"
        with suppress(MissingError):
            needed = notebook_sources.files(notebooks.FOLDER, name)
            own.update(file for file in needed if file == notebook or file.parent != notebooks.FOLDER)
    return own


def _remove_empty_folders(folder: Path) -> None:
    for inner in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        inner.rmdir()
    folder.rmdir()


def _render(resource: str) -> str:
    """Return an ARM id below a workspace for people: batch endpoint NAME, version 3 of the model NAME."""
    kind, name, *inner = resource.split("/workspaces/")[1].split("/")[1:]
    endpoints = {"batchEndpoints": "batch endpoint", "onlineEndpoints": "online endpoint"}
    noun = endpoints.get(kind) or kind.removesuffix("s")
    return f"{inner[0].removesuffix('s')} {inner[1]} of {noun} {name}" if inner else f"{noun} {name}"
