"""The Azure ML registry that stacks share: tested versions of one stack, for stacks without access to it.

A version there is named after the stack, the model's version and the version of the code that tested it last. Its tags
have the gate's results, because the promoting identity may not be able to read them later; a registry's versions never
change.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mlops.asset_versions import get_or_make, with_unique_name
from mlops.candidates import Candidate, download, listed
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.lineage import Tags, check_lineage, kept
from mlops.publish import Say
from mlops.terminal import quiet_uploads

ENVIRONMENT, VERSION, AT = "shared_from", "shared_version", "shared_at"
COMMIT, CODE_VERSION = "tested_commit", "tested_code_version"
"""Tags of a shared version, besides its lineage and metrics."""


def share(source: Clients, candidate: Candidate, say: Say) -> str:
    """Put a tested model into the stack's registry, if it is not there; returns the registry's version.

    Raises InvalidError when the stack has no registry.
    """
    registry = registry_of(source)
    version = shared_version(candidate)
    ml = source.registry(registry)
    if any(str(model.version) == version for model in listed(ml, candidate.model)):
        say(f"registry {registry}: {candidate.model} version {version} is there")
        return version
    from azure.ai.ml.entities import Model

    record = {
        ENVIRONMENT: candidate.environment, VERSION: candidate.version, AT: _now(),
        COMMIT: candidate.code["commit"], CODE_VERSION: candidate.code["code_version"],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = with_unique_name(candidate.download(Path(folder)))
        shared_model = Model(
            name=candidate.model, version=version, path=path, type="mlflow_model", tags=candidate.tags | record
        )
        # The name follows from the tested content: another share of the same has the same name.
        with quiet_uploads():
            get_or_make(
                lambda: ml.models.get(candidate.model, version), lambda: ml.models.create_or_update(shared_model)
            )
    say(f"registry {registry}: {candidate.model} version {version}")
    return version


def find(target: Clients, environment: str, version: str | None) -> Candidate:
    """Return the newest model that a stack shared, or its `version`. Raises MissingError, GateError."""
    registry, model = registry_of(target), target.pipeline.model
    ml = target.registry(registry)
    versions = ((str(item.version), dict(item.tags or {})) for item in listed(ml, model))
    shared = newest_first(versions, environment)
    fitting = [(name, tags) for name, tags in shared if version is None or tags[VERSION] == version]
    if not fitting:
        description = f"version {version} of {model}" if version else model
        raise MissingError(
            f"{environment} has not shared {description} in the registry {registry}: do that first, as {environment}'s "
            f"identity, with `python -m mlops share --stack {environment} --pipeline {target.pipeline.name}`."
        )
    name, tags = fitting[0]
    check_lineage(tags, model, name)
    return Candidate(
        environment=environment,
        model=model,
        version=tags[VERSION],
        tags=kept(tags),
        code={"commit": tags[COMMIT], "code_version": tags[CODE_VERSION]},
        download=lambda folder: download(ml, model, name, folder),
    )


def newest_first(versions: Iterable[tuple[str, Tags]], environment: str) -> list[tuple[str, Tags]]:
    """Return the versions that the stack shared; versions of others lack some of the tags."""
    needed = (ENVIRONMENT, VERSION, AT, COMMIT, CODE_VERSION)
    own = [
        (version, tags)
        for version, tags in versions
        if all(tags.get(tag) for tag in needed) and tags[ENVIRONMENT] == environment
    ]
    return sorted(own, key=lambda item: item[1][AT], reverse=True)


def shared_version(candidate: Candidate) -> str:
    """Letters, digits, dots, hyphens and underscores, the characters that Azure ML accepts."""
    return re.sub(
        r"[^A-Za-z0-9._-]+", "-", f"{candidate.environment}-{candidate.version}-{candidate.code['code_version']}"
    )


def registry_of(clients: Clients) -> str:
    """Return the stack's registry. Raises InvalidError when the stack names none."""
    if not clients.outputs.model_registry:
        raise InvalidError(
            f"Stack {clients.outputs.environment} has no registry to share models in: set model_registry.name in its "
            "settings, such as mlr-dataops."
        )
    return clients.outputs.model_registry


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
