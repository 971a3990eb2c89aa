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
DEPLOYMENT, PREVIOUS = "deployment", "previous_deployment"
"""Tags: what the promotion made the endpoint's default, and what it goes back to."""

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

    Raises MissingError when there is none, GateError when its lineage is not what the source tested or the target has
    not published its code. Nothing is changed then.
    """
    model = _model(source.ml, version)
    lineage = check_lineage(model.tags or {}, str(model.version))
    check_tested(lineage, jobs.get(source, lineage["pipeline_run"]))
    deployment = choose_deployment(publish.deployments(target), lineage, target.outputs.environment).deployment
    origin = f"{source.outputs.environment}:{MODEL}:{model.version}"
    say(f"gate: {origin} was trained and tested by run {lineage['pipeline_run']}, commit {lineage['commit'][:10]}")
    versions = _versions(target.ml)
    known = next((one for one in versions if (one.tags or {}).get(FROM) == origin), None)
    now = publish.published(target)
    default = now.deployment if now is not None else ""
    if known is not None and default == deployment and serving(known.tags):
        say(f"{origin} serves already, as version {known.version}")
        return Promotion(str(known.version), deployment, known.tags.get(PREVIOUS, ""))
    others = [one.tags or {} for one in versions if one is not known]
    before = previous_deployment(default, deployment, others)
    record = {FROM: origin, AT: _now(), DEPLOYMENT: deployment, PREVIOUS: before}
    if known is None:
        kept = {key: value for key, value in model.tags.items() if key in LINEAGE or key.startswith(_METRIC)}
        known = _copy(source, target, model, kept | record, say)
    else:
        _tag(target.ml, known, record, drop=ROLLED_BACK)
    publish.make_default(target, deployment)
    _tag(source.ml, model, {f"promoted_to.{target.outputs.environment}": f"{known.version} at {record[AT]}"})
    say(f"endpoint {target.outputs.batch_endpoint}: default is {deployment}, before {before or 'none'}")
    return Promotion(str(known.version), deployment, before)


def rollback(target: Clients, say: Say) -> Promotion:
    """Move the endpoint's default back to what it was before the newest promotion.

    Raises MissingError when there is nothing to go back to, GateError when the endpoint is not where that promotion
    left it.
    """
    model = max(
        (one for one in _versions(target.ml) if serving(one.tags or {})),
        key=lambda one: str(one.tags[AT]),
        default=None,
    )
    if model is None:
        raise MissingError(f"There is no promotion to roll back on {target.outputs.environment}.")
    promoted, before = model.tags.get(DEPLOYMENT, ""), model.tags.get(PREVIOUS, "")
    now = publish.published(target)
    if now is None or now.deployment != promoted:
        raise GateError(
            f"The endpoint's default is {now.deployment if now else 'none'}, not {promoted}, which version "
            f"{model.version} of {MODEL} was promoted with: somebody has moved it since, and it is left where it is."
        )
    known = {one.deployment: one for one in publish.deployments(target)}
    if before not in known:
        gone = f"its deployment {before} is gone" if before else "it was the first promotion"
        raise MissingError(f"There is nothing to go back to from version {model.version} of {MODEL}: {gone}.")
    choose_deployment([known[promoted]], check_lineage(model.tags, str(model.version)), target.outputs.environment)
    publish.make_default(target, before)
    _tag(target.ml, model, {ROLLED_BACK: _now()})
    say(f"endpoint {target.outputs.batch_endpoint}: default is {before} again, before {promoted}")
    return Promotion(str(model.version), before, promoted)


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
        if one.tags.get(publish.COMMIT_TAG) != commit:
            raise GateError(
                f"The lineage does not match: deployment {one.deployment} was published from commit "
                f"{one.tags.get(publish.COMMIT_TAG) or 'unknown'}, but the model comes from {commit}."
            )
    chosen = [*same, *(one for one in found if one.tags.get(publish.COMMIT_TAG) == commit)]
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


def _model(ml: Any, version: str | None) -> Any:
    found = [model for model in _versions(ml) if version is None or str(model.version) == version]
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
