"""Promotion: a model version that one stack tested serves in another, and back again.

What is promoted is the model with its lineage and, on the target's endpoint, the deployment of the code that made it.
Both directions are recorded as tags of the model. Where the target's stack has a shared registry, the model goes
through it; it is copied otherwise.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops import jobs, publish
from mlops.clients import Clients
from mlops.errors import GateError, MissingError
from mlops.publish import MODEL, Published

LINEAGE = ("commit", "code_version", "data_version", "training_run", "pipeline_run")
_METRIC = "metric."
FROM, AT, ROLLED_BACK = "promoted_from", "promoted_at", "rolled_back_at"
DEPLOYMENT, DEPLOYMENT_COMMIT = "deployment", "deployment_commit"
"""Tags: what the promotion made the endpoint's default, and the commit that it was published from."""
PREVIOUS, PREVIOUS_COMMIT = "previous_deployment", "previous_commit"
"""Tags: what a rollback goes back to. "none" when there was nothing."""
NONE = "none"

Say = Callable[[str], None]
Tags = dict[str, str]


@dataclass(frozen=True)
class Promotion:
    """A version of the target's model, and the deployment that is the endpoint's default since."""

    model_version: str
    deployment: str
    replaced: str


def promote(source: Clients, target: Clients, version: str | None, say: Say) -> Promotion:
    """Promote `version` of the source's model, the newest one if None.

    The newest version goes with the code that was tested last: a newer run that registered nothing found that version
    to be the best still. An older one goes with the code that made it.

    Raises MissingError when there is none, GateError when its lineage is not what the source tested or the target has
    not published the code. Nothing is changed then.
    """
    found = _versions(source.ml)
    model = _chosen(found, version)
    lineage = check_lineage(model.tags or {}, str(model.version))
    tested = jobs.get(source, lineage["pipeline_run"])
    check_tested(lineage, tested)
    code = _tested_code(source, lineage) if model is found[0] else lineage
    known = publish.deployments(target)
    deployment = choose_deployment(known, code, target.outputs.environment)
    origin = f"{source.outputs.environment}:{MODEL}:{model.version}"
    say(f"gate: {origin} was trained and tested by run {tested.name}, commit {lineage['commit'][:10]}")
    versions = _versions(target.ml)
    present = next((one for one in versions if (one.tags or {}).get(FROM) == origin), None)
    default = publish.published(target)
    if present is not None and present.tags.get(DEPLOYMENT) == deployment.deployment and default is not None:
        if ROLLED_BACK in present.tags and version is None:
            say(f"{origin} was rolled back: give --model-version {model.version} to promote it again")
            return Promotion(str(present.version), default.deployment, default.deployment)
        if ROLLED_BACK not in present.tags and default.deployment == deployment.deployment:
            say(f"{origin} serves already, as version {present.version}")
            return Promotion(str(present.version), deployment.deployment, deployment.deployment)
    name = previous_deployment(
        default.deployment if default else "", deployment.deployment, [one.tags or {} for one in versions]
    )
    before = next((one for one in known if one.deployment == name), None)
    record = {FROM: origin, AT: _now(), DEPLOYMENT: deployment.deployment, DEPLOYMENT_COMMIT: deployment.commit}
    record |= {
        PREVIOUS: before.deployment if before else NONE,
        PREVIOUS_COMMIT: before.commit if before else NONE,
    }
    if present is None:
        kept = {key: value for key, value in model.tags.items() if key in LINEAGE or key.startswith(_METRIC)}
        present = _copy(source, target, model, kept | record, say)
    else:
        _tag(target.ml, present, record, drop=ROLLED_BACK)
    publish.make_default(target, deployment.deployment)
    _tag(source.ml, model, {f"promoted_to.{target.outputs.environment}": f"{present.version} at {record[AT]}"})
    endpoint = target.outputs.batch_endpoint
    say(f"endpoint {endpoint}: default is {deployment.deployment}, to go back to: {record[PREVIOUS]}")
    return Promotion(str(present.version), deployment.deployment, record[PREVIOUS])


def rollback(target: Clients, say: Say) -> Promotion:
    """Move the endpoint's default back to what it was before the newest promotion.

    Raises MissingError when there is nothing to go back to, GateError when the endpoint is not where that promotion
    left it, or a deployment is not what it was then.
    """
    promotions = [one for one in _versions(target.ml) if serving(one.tags or {})]
    model = max(promotions, key=lambda one: str(one.tags[AT]), default=None)
    if model is None:
        raise MissingError(f"There is no promotion to roll back on {target.outputs.environment}.")
    tags: Tags = dict(model.tags)
    promoted, before = tags[DEPLOYMENT], tags[PREVIOUS]
    now = publish.published(target)
    if now is None or now.deployment != promoted:
        raise GateError(
            f"The endpoint's default is {now.deployment if now else 'none'}, not {promoted}, which version "
            f"{model.version} of {MODEL} was promoted with: somebody has moved it since, and it is left where it is."
        )
    if before == NONE:
        raise MissingError(
            f"There is nothing to go back to: version {model.version} of {MODEL} was the first that was promoted."
        )
    known = {one.deployment: one for one in publish.deployments(target)}
    for name, commit in ((promoted, tags[DEPLOYMENT_COMMIT]), (before, tags[PREVIOUS_COMMIT])):
        if name not in known:
            raise MissingError(f"There is nothing to go back to: deployment {name} is gone.")
        if known[name].commit != commit:
            raise GateError(
                f"The lineage does not match: deployment {name} is of commit {known[name].commit}, and was of {commit} "
                "when the model was promoted."
            )
    publish.make_default(target, before)
    _tag(target.ml, model, {ROLLED_BACK: _now()})
    say(f"endpoint {target.outputs.batch_endpoint}: default is {before} again, before {promoted}")
    return Promotion(str(model.version), before, promoted)


def _tested_code(source: Clients, lineage: Tags) -> Tags:
    """Version and commit of the newest completed run's code, which found the model to be the best."""
    newest = jobs.newest_completed(source)
    if newest is None or newest.code == lineage["code_version"]:
        return lineage
    found = next((one for one in publish.deployments(source) if one.version == newest.code), None)
    if found is None:
        raise GateError(f"Run {newest.name} tested version {newest.code}, which is not published any more.")
    return lineage | {"code_version": newest.code, "commit": found.commit}


def check_lineage(tags: Tags, version: str) -> Tags:
    """The lineage that a version's tags have. Raises GateError that names what they lack."""
    missing = [name for name in LINEAGE if not tags.get(name)]
    if missing:
        raise GateError(
            f"Version {version} of {MODEL} has no lineage ({', '.join(missing)} missing): only what the pipeline "
            "registered can be promoted."
        )
    return {name: tags[name] for name in LINEAGE}


def check_tested(lineage: Tags, job: jobs.Job) -> None:
    """Raises GateError unless the run completed with the very code and data of the lineage."""
    if job.status != "Completed":
        raise GateError(f"Run {job.name} is {job.status}, not Completed: its model has not passed its tests.")
    for name, tested in (("code_version", job.code), ("data_version", job.data)):
        if lineage[name] != tested:
            raise GateError(
                f"The lineage does not match: {name} of the model is {lineage[name]}, but {job.name} tested {tested}."
            )


def choose_deployment(found: Sequence[Published], lineage: Tags, environment: str) -> Published:
    """The target's deployment of the lineage's code. Raises GateError when there is none, or of another commit.

    Without build ids a version differs from stack to stack, and the commit decides.
    """
    version, commit = lineage["code_version"], lineage["commit"]
    same = [one for one in found if one.version == version]
    for one in same:
        if one.commit != commit:
            raise GateError(
                f"The lineage does not match: deployment {one.deployment} was published from commit "
                f"{one.commit}, but what was tested comes from {commit}."
            )
    chosen = [*same, *(one for one in found if one.commit == commit)]
    if not chosen:
        raise GateError(
            f"Commit {commit} (version {version}) is not published on {environment}: publish it there first, with "
            "`python -m mlops publish`."
        )
    return chosen[0]


def previous_deployment(default: str, deployment: str, promoted: Sequence[Tags]) -> str:
    """What a rollback goes back to: the default, or where publishing has moved it already, the last promotion's."""
    if default != deployment:
        return default
    last = max((tags for tags in promoted if serving(tags)), key=lambda tags: tags[AT], default={})
    return last.get(DEPLOYMENT, "")


def serving(tags: Tags) -> bool:
    """Promoted, and not rolled back."""
    return FROM in tags and ROLLED_BACK not in tags


def _versions(ml: Any) -> list[Any]:
    """Newest first; none when there is no such model."""
    from azure.core.exceptions import ResourceNotFoundError

    try:
        return sorted(ml.models.list(name=MODEL), key=lambda model: int(model.version), reverse=True)
    except ResourceNotFoundError:
        return []


def _chosen(versions: Sequence[Any], version: str | None) -> Any:
    found = [model for model in versions if version is None or str(model.version) == version]
    if not found:
        what = f"version {version} of {MODEL}" if version else f"version of {MODEL}"
        raise MissingError(f"There is no {what} to promote: run the pipeline on that stack first.")
    return found[0]


def _copy(source: Clients, target: Clients, model: Any, tags: Tags, say: Say) -> Any:
    from azure.ai.ml.entities import Model

    registry = target.outputs.model_registry
    with tempfile.TemporaryDirectory() as folder:
        source.ml.models.download(MODEL, str(model.version), download_path=folder)
        (path,) = Path(folder, MODEL).iterdir()
        if registry:
            shared = f"{source.outputs.environment}-{model.version}"
            made = Model(name=MODEL, version=shared, path=path, type="mlflow_model", tags=tags)
            target.registry(registry).models.create_or_update(made)
            say(f"registry {registry}: {MODEL} version {shared}")
        made = target.ml.models.create_or_update(Model(name=MODEL, path=path, type="mlflow_model", tags=tags))
    say(f"model: {MODEL} version {made.version} on {target.outputs.environment}")
    return made


def _tag(ml: Any, model: Any, tags: Tags, drop: str | None = None) -> None:
    model.tags = {key: value for key, value in ((model.tags or {}) | tags).items() if key != drop}
    ml.models.create_or_update(model)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
