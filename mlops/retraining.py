"""Targets of the step `watch` for a retraining: the inputs that a published scoring pipeline has for it."""

from __future__ import annotations

import json

from declarations.training_pipelines import INCOMING
from mlops import specifications, training_data
from mlops.clients import Clients
from mlops.errors import InvalidError, MissingError
from steps.retraining import NONE


def inputs(clients: Clients) -> dict[str, str]:
    """Return the inputs of the step.

    Raises InvalidError for a pipeline that retrains on a stack that has no identity for it, MissingError without the
    endpoint.
    """
    pipeline = clients.pipeline
    watch = pipeline.specification.watch
    retrains = watch is not None and watch.retrain == "on_drift"
    folder = training_data.incoming(pipeline)
    others = [f"{INCOMING}{name}/" for name in specifications.names()]
    return {
        "training_endpoint": _endpoint(clients) if retrains else NONE,
        "retraining_client_id": _client_id(clients) if retrains else NONE,
        "training_component": pipeline.component,
        "training_experiment": pipeline.experiment,
        "incoming": folder,
        "others": json.dumps([other for other in others if other != folder]),
    }


def _client_id(clients: Clients) -> str:
    client_id = clients.outputs.retraining_client_id
    if client_id is None:
        raise InvalidError(
            f"watch.retrain of {clients.pipeline.name} is on_drift, and the stack {clients.outputs.environment} has no "
            "identity that starts retrainings: bring it up with `pulumi up`, and publish then."
        )
    return client_id


def _endpoint(clients: Clients) -> str:
    resource = clients.arm.get(f"{clients.workspace_id}/batchEndpoints/{clients.endpoint}")
    if resource is None:
        raise MissingError(
            f"The batch endpoint {clients.endpoint} does not exist: bring the stack up with `pulumi up`."
        )
    return str(resource["properties"]["scoringUri"])
