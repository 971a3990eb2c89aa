"""Rollback of the newest promotion: the endpoint's default moves back, and the model's tags record it."""

from __future__ import annotations

from mlops import candidates, publish, schedules
from mlops.clients import Clients
from mlops.errors import GateError, MissingError
from mlops.lineage import Tags
from mlops.promote import (
    AT,
    DEPLOYMENT,
    DEPLOYMENT_COMMIT,
    NONE,
    PREVIOUS,
    PREVIOUS_COMMIT,
    ROLLED_BACK,
    Promotion,
    serving,
    stamp,
    tag,
)
from mlops.publish import Say


def take_back(target: Clients, version: str, say: Say) -> None:
    """Take back a promotion of a moment ago, as `rollback` does, even the first one.

    The model's tags alone record this for the first one: there is no earlier deployment. Raises the errors of
    `rollback`.
    """
    model = target.ml.models.get(target.pipeline.model, version)
    tags = dict(model.tags or {})
    if serving(tags) and tags[PREVIOUS] == NONE:
        tag(target.ml, model, {ROLLED_BACK: stamp()})
        say(f"version {version} of {target.pipeline.model} does not serve any more; it was the first one")
    elif serving(tags):
        rollback(target, say)


def rollback(target: Clients, say: Say) -> Promotion:
    """Move the endpoint's default back to the one before the newest promotion.

    Raises MissingError without an earlier promotion, GateError when the endpoint or a deployment was changed after the
    promotion.
    """
    name = target.pipeline.model
    promotions = [version for version in candidates.versions(target.ml, name) if serving(version.tags or {})]
    model = max(promotions, key=lambda version: str(version.tags[AT]), default=None)
    if model is None:
        raise MissingError(f"There is no promotion of {name} to roll back on {target.outputs.environment}.")
    tags: Tags = dict(model.tags)
    promoted, before = tags[DEPLOYMENT], tags[PREVIOUS]
    now = publish.published(target)
    # A missing default is no decision: an update of the endpoint removed it.
    if now is not None and now.deployment != promoted:
        raise GateError(
            f"The endpoint's default is {now.deployment}, not {promoted}, which version {model.version} of {name} was "
            "promoted with: it was moved since, and is left alone."
        )
    if before == NONE:
        raise MissingError(
            f"There is nothing to go back to: version {model.version} of {name} was the first that was promoted."
        )
    known = {deployment.deployment: deployment for deployment in publish.deployments(target)}
    for deployment, commit in ((promoted, tags[DEPLOYMENT_COMMIT]), (before, tags[PREVIOUS_COMMIT])):
        if deployment not in known:
            raise MissingError(f"There is nothing to go back to: deployment {deployment} is gone.")
        if known[deployment].commit != commit:
            raise GateError(
                f"The lineage does not match: deployment {deployment} is of commit {known[deployment].commit}, and was "
                f"of {commit} when the model was promoted."
            )
    with schedules.moved(target, known[before], known[promoted], say):
        publish.make_default(target, before)
    tag(target.ml, model, {ROLLED_BACK: stamp()})
    if before == promoted:
        say(f"version {model.version} of {name} does not serve any more; {before} stays the default, with its model")
    else:
        say(f"endpoint {target.endpoint}: default is {before} again, before {promoted}")
    return Promotion(str(model.version), before, promoted)
