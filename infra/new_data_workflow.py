"""The definition of the Logic App that starts a training, in the Workflow Definition Language.

One run is active at a time, and the others wait (`concurrency`). A run that sees another one waiting leaves the work
to the waiting one, so that files which arrive together start one training, on the newest. A request that starts a
training is never sent again: Azure may have accepted it without an answer, and a second one would start another
training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi

from declarations.training_pipelines import training_experiment

TRIGGER = "new_data"
_SCHEMA = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
_ML_AUDIENCE, _ARM_AUDIENCE = "https://ml.azure.com", "https://management.azure.com/"
_RUNS_VERSION = "2019-05-01"
_MOST_WAITING = 100
_RETRY = {"type": "fixed", "count": 3, "interval": "PT10S"}
_NO_RETRY = {"type": "none"}
_REFUSED = ("*", "?", "{", "}", "[", "]", "\\", "%", "#", ":")
"""Characters that are a pattern to Spark or have a meaning in an address. The name comes from outside."""
_NEWEST = "last(sort(triggerBody(), 'eventTime'))"
_SUCCEEDED = ["Succeeded"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """The training that a Logic App starts, and its identity. `workflow_id` is its own ARM id."""

    pipeline: str
    invocation_uri: pulumi.Input[str]
    workflow_id: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    account_name: pulumi.Input[str]
    container_name: pulumi.Input[str]
    quiet_seconds: int


def workflow_definition(target: Target) -> dict[str, Any]:
    """Return the definition; values that depend on other resources' deployment are outputs in it."""
    return {
        "$schema": _SCHEMA,
        "contentVersion": "1.0.0.0",
        "triggers": {
            TRIGGER: {
                "type": "Request",
                "kind": "Http",
                "inputs": {"schema": {"type": "array", "items": {"type": "object"}}},
                "runtimeConfiguration": {"concurrency": {"runs": 1, "maximumWaitingRuns": _MOST_WAITING}},
            }
        },
        "actions": {
            "Look_for_waiting_runs": _waiting_runs(target),
            "If_none_waits": _if_none_waits(
                "Look_for_waiting_runs",
                {
                    "Wait_for_more_files": {
                        "type": "Wait",
                        "inputs": {"interval": {"count": target.quiet_seconds, "unit": "Second"}},
                        "runAfter": {},
                    },
                    "Look_again": _waiting_runs(target, "Wait_for_more_files"),
                    "If_none_came": _if_none_waits("Look_again", {"If_the_name_is_usable": _start(target)}),
                },
            ),
        },
    }


def _waiting_runs(target: Target, after: str | None = None) -> dict[str, Any]:
    """Return the action that lists one waiting run of the Logic App itself, if there is one."""
    return {
        "type": "Http",
        "inputs": {
            "method": "GET",
            "uri": pulumi.Output.concat("https://management.azure.com", target.workflow_id, "/runs"),
            "queries": {"api-version": _RUNS_VERSION, "$filter": "status eq 'Waiting'", "$top": "1"},
            "authentication": _sign_in(target, _ARM_AUDIENCE),
            "retryPolicy": _RETRY,
        },
        "runAfter": {} if after is None else {after: _SUCCEEDED},
    }


def _if_none_waits(looked: str, actions: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "If",
        "expression": f"@equals(length(body('{looked}')?['value']), 0)",
        "actions": actions,
        "runAfter": {looked: _SUCCEEDED},
    }


def _start(target: Target) -> dict[str, Any]:
    """Return the condition that starts the training on the newest file, or fails the run for its name."""
    path = pulumi.Output.from_input(target.container_name).apply(_path)
    return {
        "type": "If",
        "expression": path.apply(_is_usable),
        "actions": {"Start_training": _invocation(target, path)},
        "else": {
            "actions": {
                "Refuse_the_name": {
                    "type": "Terminate",
                    "inputs": {
                        "runStatus": "Failed",
                        "runError": {
                            "code": "FileNameNotUsable",
                            "message": path.apply(
                                lambda text: (
                                    f"@concat('The name of ', {text}, ' has one of the characters "
                                    f"{' '.join(_REFUSED)} in it: give the file another name. Until then no training "
                                    "is started on it, nor on files that came together with it.')"
                                )
                            ),
                        },
                    },
                    "runAfter": {},
                }
            }
        },
        "runAfter": {},
    }


def _invocation(target: Target, path: pulumi.Output[str]) -> dict[str, Any]:
    """Return the action that invokes the endpoint's default deployment, which serves.

    A second delivery of the same event has the same key of reuse, so that its run takes over the steps of the first.
    """
    inputs = {
        "data_uri": pulumi.Output.concat(
            "@concat('abfss://",
            target.container_name,
            "@",
            target.account_name,
            ".dfs.core.windows.net/', ",
            path,
            ")",
        ),
        "data_version": f"@replace({_NEWEST}?['data']?['eTag'], '\"', '')",
        "reuse_key": f"@concat('new-data-', {_NEWEST}?['id'])",
    }
    return {
        "type": "Http",
        "inputs": {
            "method": "POST",
            "uri": target.invocation_uri,
            "headers": {"Content-Type": "application/json"},
            "body": {
                "properties": {
                    "experimentName": training_experiment(target.pipeline),
                    "inputData": {name: {"jobInputType": "literal", "value": value} for name, value in inputs.items()},
                }
            },
            "authentication": _sign_in(target, _ML_AUDIENCE),
            "retryPolicy": _NO_RETRY,
        },
        "operationOptions": "DisableAsyncPattern",
        "runAfter": {},
    }


def _sign_in(target: Target, audience: str) -> dict[str, Any]:
    return {"type": "ManagedServiceIdentity", "identity": target.identity_id, "audience": audience}


def _path(container: str) -> str:
    """Return the expression of the newest file's path in the container."""
    return f"substring({_NEWEST}?['subject'], {len(f'/blobServices/default/containers/{container}/blobs/')})"


def _is_usable(path: str) -> str:
    tests = ", ".join(f"contains({path}, '{character}')" for character in _REFUSED)
    return f"@not(or({tests}))"
