"""The version of a pipeline's model that serves on a stack, by the rule of steps/champion.py."""

from __future__ import annotations

from dataclasses import dataclass

from mlops import candidates
from mlops.clients import Clients
from mlops.errors import MissingError
from mlops.lineage import Tags
from steps import champion


@dataclass(frozen=True)
class ServingVersion:
    """A registered version by its number, with its tags."""

    version: str
    tags: Tags


def find(clients: Clients) -> ServingVersion | None:
    """Return the version that serves, None when there is none."""
    versions = candidates.versions(clients.ml, clients.pipeline.model)
    tags = {str(version.version): dict(version.tags or {}) for version in versions}
    version = champion.champion(tags.items())
    return None if version is None else ServingVersion(version, tags[version])


def require(clients: Clients, so_that: str) -> ServingVersion:
    """Return the version that serves. Raises MissingError without one; `so_that` names the consequence."""
    serving = find(clients)
    if serving is None:
        pipeline, environment = clients.pipeline, clients.outputs.environment
        raise MissingError(
            f"No version of {pipeline.model} serves on {environment}, so that {so_that}: run the pipeline there, or "
            f"promote a model, such as with `python -m mlops promote --from staging --to {environment} --pipeline "
            f"{pipeline.name}`."
        )
    return serving
