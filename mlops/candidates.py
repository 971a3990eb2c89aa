"""Models that may be promoted: trained and tested versions of a stack, as its workspace and its runs prove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops import jobs, publish
from mlops.clients import Clients
from mlops.errors import GateError, MissingError
from mlops.lineage import Tags, check_lineage, check_tested, kept
from mlops.suggestions import hint
from steps import champion


@dataclass(frozen=True)
class Candidate:
    """A model version that passed the gate. `code` has the commit and code_version of the newest test."""

    environment: str
    model: str
    version: str
    tags: Tags
    """Lineage and metrics."""
    code: Tags
    download: Callable[[Path], Path]
    """Into a folder; returns the model's own folder in it."""

    @property
    def origin(self) -> str:
        """Return its name in promotions, such as staging:house_prices:3."""
        return origin_of(self.environment, self.model, self.version)


def origin_of(environment: str, model: str, version: str) -> str:
    """Return the name of a version by the stack that trained it."""
    return f"{environment}:{model}:{version}"


def versions(ml: Any, name: str) -> list[Any]:
    """Return the versions of a workspace's model, newest first; an empty list without such a model.

    Runs and promotions number their versions; a version with another name is by neither.
    """
    numbered = [model for model in listed(ml, name) if str(model.version).isdecimal()]
    return sorted(numbered, key=lambda model: int(model.version), reverse=True)


def listed(ml: Any, name: str) -> list[Any]:
    """Return the model's versions in a workspace or registry, in its order; an empty list without such a model."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return list(ml.models.list(name=name))
    except ResourceNotFoundError:
        return []


def tested(source: Clients, version: str | None) -> tuple[Candidate, Any]:
    """Return `version` of the stack's model, the newest one if None, and its entity.

    The newest version has the code of the newest test: a newer run that registered nothing found that version to be
    the best still. An older version has the code that made it.

    Raises MissingError for a missing version, GateError when its lineage differs from the stack's tests, such as for a
    version that was promoted to the stack.
    """
    name = source.pipeline.model
    known = versions(source.ml, name)
    model = _chosen(source, known, version)
    lineage = check_lineage(model.tags or {}, name, str(model.version))
    _check_own(source, model)
    check_tested(lineage, jobs.get(source, lineage["pipeline_run"]))
    code = _tested_code(source, lineage) if model is known[0] else lineage
    candidate = Candidate(
        environment=source.outputs.environment,
        model=name,
        version=str(model.version),
        tags=kept(model.tags),
        code={name: code[name] for name in ("commit", "code_version")},
        download=lambda folder: download(source.ml, name, str(model.version), folder),
    )
    return candidate, model


def download(ml: Any, name: str, version: str, folder: Path) -> Path:
    """Return the folder with the MLmodel file."""
    ml.models.download(name, version, download_path=folder)
    (path,) = (folder / name).iterdir()
    return path


def _chosen(source: Clients, known: Sequence[Any], version: str | None) -> Any:
    name, environment = source.pipeline.model, source.outputs.environment
    fitting = [model for model in known if version is None or str(model.version) == version]
    if not fitting:
        if version and known:
            others = hint(version, (str(model.version) for model in known))
            raise MissingError(f"There is no version {version} of {name} on {environment} to promote. {others}")
        description = f"version {version} of {name}" if version else f"version of {name}"
        raise MissingError(
            f"There is no {description} on {environment} to promote: run the pipeline on that stack first, with "
            f"`python -m mlops up {source.options}`."
        )
    return fitting[0]


def _check_own(source: Clients, model: Any) -> None:
    """Raise GateError for a version that another stack trained."""
    environment = source.outputs.environment
    origin = (model.tags or {}).get(champion.PROMOTED_FROM)
    if origin not in (None, origin_of(environment, model.name, str(model.version))):
        raise GateError(
            f"Version {model.version} of {model.name} on {environment} was promoted from {origin}: only a version that "
            f"{environment} trained itself can be promoted from there. `python -m mlops models {source.options}` "
            "lists them; --model-version names one."
        )


def _tested_code(source: Clients, lineage: Tags) -> Tags:
    """Version and commit of the newest completed run's code, which found the model to be the best."""
    newest = jobs.newest_completed(source)
    if newest is None or newest.code == lineage["code_version"]:
        return lineage
    deployment = next((known for known in publish.deployments(source) if known.version == newest.code), None)
    if deployment is None:
        raise GateError(f"Run {newest.name} tested version {newest.code}, which is not published any more.")
    return lineage | {"code_version": newest.code, "commit": deployment.commit}
