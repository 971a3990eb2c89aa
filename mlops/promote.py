"""Promotion: a model version that one stack tested serves in another, or in the stack that trained it itself.

The model is promoted with its lineage and, on the target's endpoint, the deployment of the code that tested it. It is
recorded as tags of the target's model; mlops/rollback.py takes it back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops import asset_versions, candidates, publish, schedules, shared
from mlops.candidates import Candidate
from mlops.clients import Clients
from mlops.lineage import Tags, choose_deployment
from mlops.publish import Say
from mlops.terminal import quiet_uploads
from steps import champion

FROM, AT, ROLLED_BACK = champion.PROMOTED_FROM, champion.PROMOTED_AT, champion.ROLLED_BACK_AT
DEPLOYMENT, DEPLOYMENT_COMMIT = champion.DEPLOYMENT, "deployment_commit"
"""Tags: the deployment that the promotion made the endpoint's default, and its commit."""
PREVIOUS, PREVIOUS_COMMIT = "previous_deployment", "previous_commit"
"""Tags: the deployment and version that a rollback restores. They are "none" for a first promotion."""
NONE = "none"
_ATTEMPTS = 5
"""Attempts at a version number that another process takes at the same time."""


@dataclass(frozen=True)
class Promotion:
    """A version of the target's model, and the deployment that is the endpoint's default since."""

    model_version: str
    deployment: str
    replaced: str


def promote(source: Clients, target: Clients, version: str | None, say: Say) -> Promotion:
    """Promote `version` of the source's model, the newest one if None, with rights on both stacks.

    The model goes through the target's registry where it has one. Raises MissingError for a missing version, GateError
    when its lineage differs from the source's tests or the target has not published the code. Nothing is changed then.
    """
    candidate, model = candidates.tested(source, version)
    if target.outputs.model_registry and source.outputs.model_registry == target.outputs.model_registry:
        # This check precedes changes of the registry; `take` repeats it.
        choose_deployment(publish.deployments(target), candidate.code, target.outputs.environment)
        shared.share(source, candidate, say)
        candidate = shared.find(target, candidate.environment, candidate.version)
    promotion = take(candidate, target, version is not None, say)
    note = f"promoted_to.{target.outputs.environment}"
    if note not in (model.tags or {}):
        tag(source.ml, model, {note: f"{promotion.model_version} at {stamp()}"})
    return promotion


def promote_shared(environment: str, target: Clients, version: str | None, say: Say) -> Promotion:
    """Promote the version that a stack shared in the registry, as the target's identity, which may not read that stack.

    Raises the errors of `promote`.
    """
    return take(shared.find(target, environment, version), target, version is not None, say)


def promote_own(stack: Clients, version: str | None, say: Say) -> Promotion:
    """Promote `version` of the stack's model, the newest one if None, where it was trained, such as after drift.

    Raises the errors of `promote`, and GateError for a version that another stack trained.
    """
    return take(candidates.tested(stack, version)[0], stack, version is not None, say)


def take(candidate: Candidate, target: Clients, requested: bool, say: Say) -> Promotion:
    """Copy the model unless it is there, move the endpoint's default, record both.

    A version that was rolled back, or that another promotion has followed, is taken again only if it is `requested` by
    its number. Raises GateError, with nothing changed, when the target has not published the candidate's code.
    """
    known = publish.deployments(target)
    deployment = choose_deployment(known, candidate.code, target.outputs.environment)
    lineage = candidate.tags
    say(
        f"gate: {candidate.origin} was trained and tested by run {lineage['pipeline_run']}, commit "
        f"{lineage['commit'][:10]}"
    )
    versions = candidates.versions(target.ml, candidate.model)
    present = _present(versions, candidate, target)
    serves_now = champion.champion((str(version.version), version.tags or {}) for version in versions)
    default = publish.published(target)
    if present is not None and present.tags.get(DEPLOYMENT) == deployment.deployment and default is not None:
        if ROLLED_BACK in present.tags and not requested:
            say(f"{candidate.origin} was rolled back: give --model-version {candidate.version} to promote it again")
            return Promotion(str(present.version), default.deployment, default.deployment)
        if ROLLED_BACK not in present.tags and default.deployment == deployment.deployment:
            followed = serves_now is not None and serves_now != str(present.version)
            if not followed:
                schedules.move(target, deployment, say)
                say(f"{candidate.origin} serves already, as version {present.version}")
                return Promotion(str(present.version), deployment.deployment, deployment.deployment)
            if not requested:
                say(
                    f"version {serves_now} was promoted after {candidate.origin} and serves on: give --model-version "
                    f"{candidate.version} to promote that one again"
                )
                return Promotion(str(serves_now), default.deployment, default.deployment)
    serves = present is not None and serving(present.tags) and present.tags[DEPLOYMENT] == deployment.deployment
    if default is None and present is not None and serves:
        with schedules.moved(target, deployment, None, say):
            publish.make_default(target, deployment.deployment)
        say(f"endpoint {target.endpoint}: had lost its default, {deployment.deployment} is it again")
        return Promotion(str(present.version), deployment.deployment, deployment.deployment)
    name = previous_deployment(
        default.deployment if default else "", deployment.deployment, [version.tags or {} for version in versions]
    )
    before = next((published for published in known if published.deployment == name), None)
    record = {
        FROM: candidate.origin, AT: stamp(),
        DEPLOYMENT: deployment.deployment, DEPLOYMENT_COMMIT: deployment.commit,
        PREVIOUS: before.deployment if before else NONE, PREVIOUS_COMMIT: before.commit if before else NONE,
    }  # fmt: skip
    with schedules.moved(target, deployment, default, say):
        if present is None:
            present = _copy(candidate, target, lineage | record, say)
        else:
            tag(target.ml, present, record, drop=ROLLED_BACK)
        publish.make_default(target, deployment.deployment)
    endpoint = target.endpoint
    say(f"endpoint {endpoint}: default is {deployment.deployment}, to go back to: {record[PREVIOUS]}")
    return Promotion(str(present.version), deployment.deployment, record[PREVIOUS])


def previous_deployment(default: str, deployment: str, promoted: Sequence[Tags]) -> str:
    """Return a rollback's target: the default, or the last promotion's where publishing has moved it already."""
    if default != deployment:
        return default
    last = max((tags for tags in promoted if serving(tags)), key=lambda tags: tags[AT], default={})
    return last.get(DEPLOYMENT, "")


def serving(tags: Tags) -> bool:
    """Promoted, and not rolled back."""
    return FROM in tags and ROLLED_BACK not in tags


def tag(ml: Any, model: Any, tags: Tags, drop: str | None = None) -> None:
    """Add tags to a workspace's model version."""
    model.tags = {key: value for key, value in ((model.tags or {}) | tags).items() if key != drop}
    ml.models.create_or_update(model)


def _copy(candidate: Candidate, target: Clients, tags: Tags, say: Say) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = asset_versions.with_unique_name(candidate.download(Path(folder)))
        version = _register(candidate, target, path, tags)
    say(f"model: {candidate.model} version {version.version} on {target.outputs.environment}")
    return version


def _present(versions: Sequence[Any], candidate: Candidate, target: Clients) -> Any | None:
    """Return the version of the target's model that is the candidate, None when there is none.

    A version that the target trained itself is there under its own number, before it is promoted too.
    """
    own = candidate.environment == target.outputs.environment
    return next(
        (
            version
            for version in versions
            if (version.tags or {}).get(FROM) == candidate.origin or (own and str(version.version) == candidate.version)
        ),
        None,
    )


def _register(candidate: Candidate, target: Clients, path: Path, tags: Tags) -> Any:
    """Register the model under the next number, unless another promotion of the candidate has done so meanwhile.

    Two promotions at the same instant choose the same number, which the service accepts once. Numbers of its own
    choice would make two versions of one candidate.
    """
    from azure.ai.ml.entities import Model

    for attempt in range(1, _ATTEMPTS + 1):
        versions = candidates.versions(target.ml, candidate.model)
        present = _present(versions, candidate, target)
        if present is not None:
            return present
        number = str(int(versions[0].version) + 1 if versions else 1)
        model = Model(name=candidate.model, version=number, path=path, type="mlflow_model", tags=tags)
        try:
            with quiet_uploads():
                return target.ml.models.create_or_update(model)
        except Exception as error:
            if not asset_versions.is_conflict(error) or attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def stamp() -> str:
    """Return the time as tags have it: UTC, to the second, so that later is greater."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
