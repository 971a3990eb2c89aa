"""The paths of MLflow's artifacts, as the gateway and the MLflow server read them (see artifacts.py)."""

from __future__ import annotations

import re
from dataclasses import dataclass

ARTIFACT_PATH_TAG = "azureml.artifactPath"
"""A logged model's tag with the folder of its blobs."""
JOB_TAG = "azureml.jobName"
"""A run's tag with the name of its job, where the run has another id: job names are unique in a workspace alone."""

RUN = re.compile(r"(?P<experiment>\d+)/(?P<run>[^/]+)/artifacts(?:/(?P<path>.*))?")
MODEL = re.compile(r"(?P<experiment>\d+)/models/(?P<model>[^/]+)/artifacts(?:/(?P<path>.*))?")
REGISTERED = re.compile(r"registered/(?P<name>[^/]+)/(?P<version>\d+)(?:/(?P<path>.*))?")
WORKSPACE = re.compile(r"workspaces/(?P<workspace>[^/]+)(?:/(?P<rest>.*))?")
OTHER = re.compile(r"(?P<experiment>\d+)(?:/(?P<path>.*))?")


@dataclass(frozen=True)
class Artifact:
    """Artifact of a run or of a logged model; `path` below it."""

    run: str | None
    model: str | None
    path: str


def parse(uri: str) -> Artifact | None:
    """Parse an mlflow-artifacts:/ URI; None for any other address."""
    if not uri.startswith("mlflow-artifacts:/"):
        return None
    rest = uri.removeprefix("mlflow-artifacts:").strip("/")
    if match := WORKSPACE.fullmatch(rest):
        rest = match["rest"] or ""
    if match := MODEL.fullmatch(rest):
        return Artifact(None, match["model"], match["path"] or "")
    if match := RUN.fullmatch(rest):
        return Artifact(match["run"], None, match["path"] or "")
    return None
