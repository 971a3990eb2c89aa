"""Inputs of tasks that the bundled schema lacks, and rules about tasks that a schema cannot express.

Sources: task.json of PublishCodeCoverageResultsV2, AzureCLIV2, InvokeRestApiV1 and DockerV2 in
microsoft/azure-pipelines-tasks, and of pulumi/pulumi-az-pipelines-task; the four inputs of AzureMLJobWaitTask@1 in
learn.microsoft.com/azure/machine-learning/how-to-devops-machine-learning; agentless tasks and their limits in
learn.microsoft.com/azure/devops/pipelines/process/phases ("Server jobs").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_runner.model import Job, Pipeline


@dataclass(frozen=True)
class Inputs:
    """Names of a task's inputs, aliases included, since Azure Pipelines accepts each of them.

    `switches` are booleans.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """Return the inputs as a JSON schema."""
        text = {"type": ["string", "number"]}
        names: dict[str, Any] = {name: text for name in (*self.required, *self.optional)}
        names |= {name: {"type": ["boolean", "string"]} for name in self.switches}
        return {"properties": names, "additionalProperties": False, "required": list(self.required)}


# Tasks of extensions, and tasks newer than the bundled schema (1.261).
UNLISTED: Mapping[str, Inputs] = {
    "PublishCodeCoverageResults@2": Inputs(("summaryFileLocation",), ("pathToSources",), ("failIfCoverageEmpty",)),
    "AzureMLJobWaitTask@1": Inputs(
        ("serviceConnection", "resourceGroupName", "azureMLWorkspaceName", "azureMLJobName")
    ),
    "Pulumi@1": Inputs(
        ("stack",),
        ("azureSubscription", "command", "loginArgs", "args", "cwd", "versionSpec"),
        ("createStack", "createPrComment", "useThreadedPrComments"),
    ),
}

# Task, the deciding input and its value, the input that is then required (task.json: `visibleRule` and `required`).
_NEEDED_WHEN = (
    ("azurecli@2", "scriptlocation", "inlinescript", "inlineScript"),
    ("azurecli@2", "scriptlocation", "scriptpath", "scriptPath"),
    ("invokerestapi@1", "connectiontype", "connectedservicename", "serviceConnection"),
    ("invokerestapi@1", "connectiontype", "connectedservicenamearm", "azureServiceConnection"),
    ("docker@2", "command", "login", "containerRegistry"),
    ("docker@2", "command", "push", "repository"),
)
_AGENTLESS = {
    "delay@1", "azurefunction@1", "invokerestapi@1", "manualvalidation@0", "manualvalidation@1",
    "publishtoazureservicebus@1", "publishtoazureservicebus@2", "azuremonitor@1", "queryworkitems@0",
    "azuremljobwaittask@1",
}  # fmt: skip


def branches() -> list[dict[str, Any]]:
    """Return the unlisted tasks in the form of the bundled schema."""
    return [
        {
            "properties": {"task": {"pattern": f"^{name}$"}, "inputs": inputs.schema()},
            "required": ["task", "inputs"],
        }
        for name, inputs in UNLISTED.items()
    ]


def problems(pipeline: Pipeline) -> list[str]:
    """Return one line for each task that lacks a required input, or that cannot run in its job."""
    lines: list[str] = []
    for stage in pipeline.stages:
        for job in stage.jobs:
            where = f"{stage.name}.{job.name}"
            lines += [f"{where}: {line}" for line in (*_needed(job), *_misplaced(job))]
    return lines


def _needed(job: Job) -> Iterator[str]:
    for step in (*job.steps, *job.on_failure, *job.on_success):
        if step.kind != "task":
            continue
        inputs = {name.lower(): str(value) for name, value in step.inputs.items()}
        for task, deciding, value, needed in _NEEDED_WHEN:
            if step.argument.lower() != task or inputs.get(deciding, "").lower() != value:
                continue
            if not inputs.get(needed.lower()):
                yield f"{step.argument} with {deciding} {inputs[deciding]} needs the input {needed}"


def _misplaced(job: Job) -> Iterator[str]:
    for step in job.steps:
        agentless = step.kind == "task" and step.argument.lower() in _AGENTLESS
        if job.server and not agentless:
            yield f"{step.argument.splitlines()[0]} needs an agent, and this job has none (pool: server)"
        if agentless and not job.server:
            yield f"{step.argument} runs without an agent only (pool: server)"
