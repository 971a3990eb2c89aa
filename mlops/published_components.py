"""The components of a pipeline's steps, registered under a version that follows from their content."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mlops import component_commands, fingerprints
from mlops.asset_versions import get_or_make
from mlops.errors import InvalidError
from mlops.specifications import TrainingPipeline
from mlops.suggestions import hint
from mlops.terminal import quiet_uploads

SHARED = Path(__file__).with_name("components")
_FILE = "component.yml"
_TRAIN = "train"
_EVALUATE, _OWN_METRICS = "evaluate", "metrics.py"
_SECTIONS = {"take_files": "score", "score": "score", "watch": "watch"}
"""Steps that pipelines do not have whose specification lacks the section."""


def folders(pipeline: TrainingPipeline) -> dict[str, Path]:
    """Return the components' folders by step: the shared ones, and the pipeline's own, which win.

    Raises InvalidError when the pipeline has no train component, or one of a step that no pipeline has.
    """
    absent = {step for step, section in _SECTIONS.items() if getattr(pipeline.specification, section) is None}
    components = {
        file.parent.name: file.parent
        for root in (SHARED, pipeline.folder / "components")
        for file in sorted(root.glob(f"*/{_FILE}"))
        if file.parent.name not in absent
    }
    shared = {file.parent.name for file in SHARED.glob(f"*/{_FILE}")} | {_TRAIN}
    own = {file.parent.name for file in (pipeline.folder / "components").glob(f"*/{_FILE}")}
    if unknown := sorted(own - shared):
        raise InvalidError(
            f"The pipeline {pipeline.name} has a component for a step {unknown[0]!r}, and there is no such step. "
            f"{hint(unknown[0], sorted(shared))}"
        )
    if _TRAIN not in components:
        raise InvalidError(
            f"The pipeline {pipeline.name} has no component train: make components/train/{_FILE} in its folder."
        )
    return components


def names(pipeline: TrainingPipeline) -> set[str]:
    """Return the names of the components that are the pipeline's own."""
    return {
        _name(step, folder, pipeline)
        for step, folder in folders(pipeline).items()
        if folder.is_relative_to(pipeline.folder) or _has_own_metrics(step, pipeline)
    }


def _has_own_metrics(step: str, pipeline: TrainingPipeline) -> bool:
    return step == _EVALUATE and (pipeline.folder / _OWN_METRICS).exists()


def _name(step: str, folder: Path, pipeline: TrainingPipeline) -> str:
    """Return a component's name: a shared component with a pipeline's own metrics is a component of that pipeline."""
    content = _read(folder)
    suffix = f"_{pipeline.name}" if _has_own_metrics(step, pipeline) else ""
    return f"{content['name']}{suffix}"


def _read(folder: Path) -> dict[str, Any]:
    """Return the content of a component's file, by libyaml, which takes a fifth of the time."""
    content: dict[str, Any] = yaml.load((folder / _FILE).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return content


def source_files(pipeline: TrainingPipeline) -> list[Path]:
    """Return every source file of the components."""
    files: set[Path] = set()
    for step, folder in folders(pipeline).items():
        files.update(fingerprints.source_files(folder))
        for include in _includes(folder, step, pipeline):
            files.update(fingerprints.source_files(include) if include.is_dir() else [include])
    return sorted(files)


def register(ml: Any, step: str, folder: Path, pipeline: TrainingPipeline, environment: str) -> Any:
    """Return the registered component of a step, registered now if its content is new."""
    includes = _includes(folder, step, pipeline)
    content = {
        str(index): fingerprints.of_folder(place) if place.is_dir() else fingerprints.of_file(place)
        for index, place in enumerate((folder, *includes))
    }
    version = fingerprints.of_values(content | {"environment": environment})[:12]
    name = _name(step, folder, pipeline)

    def make() -> Any:
        from azure.ai.ml import load_component

        with _staged(step, folder, pipeline, includes) as staged, quiet_uploads():
            component: Any = load_component(source=staged / _FILE)
            component_commands.check(name, component.command, component.inputs)
            component.environment = environment
            return ml.components.create_or_update(component, version=version)

    return get_or_make(lambda: ml.components.get(name, version), make)


def _includes(folder: Path, step: str, pipeline: TrainingPipeline) -> list[Path]:
    """Return the files beside the component's program: azure-ai-ml's `additional_includes`, and the own metrics."""
    content = _read(folder)
    listed = [(folder / include).resolve() for include in content.get("additional_includes") or ()]
    if missing := [path for path in listed if not path.exists()]:
        raise InvalidError(f"{folder / _FILE}: additional_includes names {missing[0]}, which does not exist.")
    return [*listed, pipeline.folder / _OWN_METRICS] if _has_own_metrics(step, pipeline) else listed


@contextmanager
def _staged(step: str, folder: Path, pipeline: TrainingPipeline, includes: list[Path]) -> Iterator[Path]:
    """Yield a copy of the component's folder whose includes can be found from any folder."""
    with tempfile.TemporaryDirectory() as temporary, _temporary_files_in(temporary):
        staged = Path(temporary) / step
        shutil.copytree(folder, staged, ignore=shutil.ignore_patterns("__pycache__"))
        content = _read(staged)
        if includes:
            content["additional_includes"] = [str(include) for include in includes]
        content["name"] = _name(step, folder, pipeline)
        (staged / _FILE).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        yield staged


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    """Make temporary files in a folder: azure-ai-ml leaves one behind for each component with includes.

    Its `AdditionalIncludes.merge_local_code_and_additional_includes` removes the content of its folder of `mkdtemp`,
    and not the folder.
    """
    before = tempfile.tempdir
    tempfile.tempdir = folder
    try:
        yield
    finally:
        tempfile.tempdir = before
