"""The Azure ML registry that stacks share: what one stack tested, for those that may not look into that stack.

A version there is named after the stack, the model's version and the version of the code that tested it last. Its tags
carry what the gate found, because whoever takes it may not be able to ask again; a registry's versions never change.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mlops.candidates import Candidate, download, listed
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from mlops.lineage import Tags, check_lineage, kept
from mlops.publish import MODEL, Say

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
    if any(str(one.version) == version for one in listed(ml)):
        say(f"registry {registry}: {MODEL} version {version} is there")
        return version
    from azure.ai.ml.entities import Model

    record = {
        ENVIRONMENT: candidate.environment, VERSION: candidate.version, AT: _now(),
        COMMIT: candidate.code["commit"], CODE_VERSION: candidate.code["code_version"],
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = candidate.download(Path(folder))
        made = Model(name=MODEL, version=version, path=path, type="mlflow_model", tags=candidate.tags | record)
        ml.models.create_or_update(made)
    say(f"registry {registry}: {MODEL} version {version}")
    return version


def find(target: Clients, environment: str, version: str | None) -> Candidate:
    """Return the newest model that a stack shared, or its `version`. Raises MissingError, GateError."""
    registry = registry_of(target)
    ml = target.registry(registry)
    shared = newest_first(((str(one.version), dict(one.tags or {})) for one in listed(ml)), environment)
    fitting = [(name, tags) for name, tags in shared if version is None or tags[VERSION] == version]
    if not fitting:
        what = f"version {version} of {MODEL}" if version else MODEL
        raise MissingError(
            f"{environment} has not shared {what} in the registry {registry}: do that first, as {environment}'s "
            f"identity, with `python -m mlops share --stack {environment}`."
        )
    name, tags = fitting[0]
    check_lineage(tags, name)
    return Candidate(
        environment=environment,
        version=tags[VERSION],
        tags=kept(tags),
        code={"commit": tags[COMMIT], "code_version": tags[CODE_VERSION]},
        download=lambda folder: download(ml, name, folder),
    )


def newest_first(versions: Iterable[tuple[str, Tags]], environment: str) -> list[tuple[str, Tags]]:
    """Those that the stack shared; what somebody else put there has not all of the tags."""
    needed = (ENVIRONMENT, VERSION, AT, COMMIT, CODE_VERSION)
    mine = [one for one in versions if all(one[1].get(tag) for tag in needed) and one[1][ENVIRONMENT] == environment]
    return sorted(mine, key=lambda one: one[1][AT], reverse=True)


def shared_version(candidate: Candidate) -> str:
    """Letters, digits, dots, hyphens and underscores, as Azure ML takes them."""
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
