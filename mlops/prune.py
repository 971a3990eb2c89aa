"""Removal of leftovers of earlier publications that no deployment names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops import notebooks, publish
from mlops.clients import Clients
from mlops.errors import MissingError

Say = Callable[[str], None]


def prune(clients: Clients, say: Say) -> None:
    """Delete the notebook folders that no deployment of any endpoint of the workspace names, default or not.

    Raises MissingError, and deletes nothing, when the pipeline of a deployment cannot be read. It must not run while
    another checkout is being published: its notebooks are there before its deployment is.
    """
    pipelines = [specification(clients, deployment) for deployment in publish.all_deployments(clients)]
    removed = list(notebooks.unused(clients, pipelines))
    for folder in removed:
        notebooks.remove(clients, folder)
        say(f"Removed {folder}.")
    if not removed:
        say("Every notebook folder is in use.")


def specification(clients: Clients, deployment: publish.Published) -> Any:
    """Return the specification of a deployment's pipeline component. Raises MissingError when that is gone."""
    component = clients.arm.get(deployment.pipeline_id) if deployment.pipeline_id else None
    if component is None:
        raise MissingError(
            f"The pipeline component {deployment.pipeline_id or '(none)'} of deployment {deployment.deployment} is not "
            "there, so that nothing tells which notebooks it needs: delete the deployment first."
        )
    return component["properties"].get("componentSpec")
