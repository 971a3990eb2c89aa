"""Room for a publication on an endpoint, which has a greatest number of deployments.

Each publication adds one or two deployments, and a full endpoint refuses the next one. When there is no room, the
deployments of the oldest published versions are deleted, unless a rollback or a run may still need them. Their
components stay, so that the lineage of models and runs remains whole, and so do their notebooks (mlops/prune.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime

from mlops import candidates, jobs, publish
from mlops.clients import Clients
from mlops.errors import InvalidError
from mlops.promote import AT, DEPLOYMENT, PREVIOUS, serving
from mlops.publish import Published, Say, scoring_name

MOST_DEPLOYMENTS = 20
"""Limit of an endpoint: learn.microsoft.com "Manage and increase quotas and limits", online and batch endpoints."""
KEPT_PROMOTIONS = 4
"""The newest promotions, whose deployments stay, so that several rollbacks in a row find theirs."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def make_room(clients: Clients, names: Collection[str], say: Say) -> None:
    """Delete the pipeline's oldest deployments that nothing needs until the endpoint has room for `names`.

    Raises InvalidError when too many are needed.
    """
    listed = {deployment.deployment: deployment for deployment in publish.listed(clients)}
    surplus = len(listed) + len(set(names) - listed.keys()) - MOST_DEPLOYMENTS
    if surplus <= 0:
        return
    needed = {*names, *_needed(clients, listed.values())}
    # An endpoint may have had another pipeline before.
    own = [deployment for deployment in listed.values() if clients.pipeline.is_named_in(deployment.pipeline_id)]
    oldest = sorted(own, key=lambda deployment: deployment.created or _LONG_AGO)
    for training in dict.fromkeys(_training_name(deployment) for deployment in oldest):
        if training in needed:
            continue
        # The training deployment is last: without it, the scoring deployment belongs to no version.
        for name in (scoring_name(training), training):
            if name in listed:
                clients.arm.delete(f"{clients.workspace_id}/batchEndpoints/{clients.endpoint}/deployments/{name}")
                say(f"endpoint: deleted the old deployment {name}, since it can have {MOST_DEPLOYMENTS}")
                surplus -= 1
        if surplus <= 0:
            return
    raise InvalidError(
        f"The endpoint {clients.endpoint} has {len(listed)} deployments of {MOST_DEPLOYMENTS}, and no other old one of "
        f"{clients.pipeline.name} can be deleted: they are needed for rollbacks or runs, or are not of this pipeline. "
        "Delete deployments that nobody needs with `az ml batch-deployment delete`."
    )


def _needed(clients: Clients, listed: Collection[Published]) -> Iterator[str]:
    """Yield the names of the training deployments that may still be used."""
    default = publish.published(clients)
    if default is not None:
        yield default.deployment
    versions = candidates.versions(clients.ml, clients.pipeline.model)
    promotions = [version.tags for version in versions if serving(version.tags or {})]
    for tags in sorted(promotions, key=lambda tags: str(tags[AT]), reverse=True)[:KEPT_PROMOTIONS]:
        yield from (tags[DEPLOYMENT], tags[PREVIOUS])
    # A promotion from this stack looks for the code of the newest completed run.
    used, completed = set[str](), False
    for job in jobs.recent(clients):
        if not job.ended or (job.status == "Completed" and not completed):
            used.add(job.code)
        completed = completed or job.status == "Completed"
    yield from (known.deployment for known in listed if known.version in used and not known.scores)


def _training_name(deployment: Published) -> str:
    """Return the name of a version's training deployment."""
    return f"v-{deployment.deployment.removeprefix('s-')}" if deployment.scores else deployment.deployment
