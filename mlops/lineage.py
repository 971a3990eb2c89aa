"""The gate of a promotion: the lineage in a model's tags is compared with the tested and published one."""

from __future__ import annotations

from collections.abc import Sequence

from mlops import jobs
from mlops.errors import GateError
from mlops.publish import NO_COMMIT, Published

LINEAGE = ("commit", "code_version", "data_version", "training_run", "pipeline_run")
METRIC = "metric."

Tags = dict[str, str]


def kept(tags: Tags) -> Tags:
    """Return the tags that accompany a model."""
    return {key: value for key, value in tags.items() if key in LINEAGE or key.startswith(METRIC)}


def check_lineage(tags: Tags, model: str, version: str) -> Tags:
    """Return the lineage in a version's tags. Raises GateError that names missing tags."""
    missing = [name for name in LINEAGE if not tags.get(name)]
    if missing:
        raise GateError(
            f"Version {version} of {model} has no lineage ({', '.join(missing)} missing): only what the pipeline "
            "registered can be promoted."
        )
    return {name: tags[name] for name in LINEAGE}


def check_tested(lineage: Tags, job: jobs.Job) -> None:
    """Check that the run completed with the very code and data of the lineage. Raises GateError."""
    if job.status != "Completed":
        raise GateError(f"Run {job.name} is {job.status}, not Completed: its model has not passed its tests.")
    for name, tested in (("code_version", job.code), ("data_version", job.data)):
        if lineage[name] != tested:
            raise GateError(
                f"The lineage does not match: {name} of the model is {lineage[name]}, but {job.name} tested {tested}."
            )


def choose_deployment(known: Sequence[Published], lineage: Tags, environment: str) -> Published:
    """Return the target's deployment of the lineage's code. Raises GateError for none or another commit.

    Without build ids a version differs from stack to stack, and the commit decides, if any.
    """
    version, commit = lineage["code_version"], lineage["commit"]
    same = [deployment for deployment in known if deployment.version == version]
    for deployment in same:
        if deployment.commit != commit:
            raise GateError(
                f"The lineage does not match: deployment {deployment.deployment} was published from commit "
                f"{deployment.commit}, but the tested model comes from {commit}."
            )
    if not same and commit == NO_COMMIT:
        raise GateError(
            f"Version {version} was not published from a git checkout: nothing tells which deployment on {environment} "
            "has its code."
        )
    chosen = [*same, *(deployment for deployment in known if deployment.commit == commit)]
    if not chosen:
        raise GateError(
            f"Commit {commit} (version {version}) is not published on {environment}: publish it there first, with "
            f"`python -m mlops publish --stack {environment}`."
        )
    return chosen[0]
