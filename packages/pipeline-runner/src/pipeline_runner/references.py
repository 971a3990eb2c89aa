"""References to output variables that do not exist, or not under that name.

In Azure Pipelines such a reference is an empty text and no error. Source: learn.microsoft.com "Define variables",
"Use output variables"; for deployment jobs "Deployment jobs", "Support for output variables": with runOnce the job's
own name comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline_runner.model import Job, Pipeline, Stage

_JOB_OUTPUT = re.compile(r"(?<![\w.])dependencies\.(\w+)\.outputs\['([^']*)'\]", re.IGNORECASE)
_STAGE_OUTPUT = re.compile(r"(?<![\w.])stageDependencies\.(\w+)\.(\w+)\.outputs\['([^']*)'\]", re.IGNORECASE)


def problems(pipeline: Pipeline) -> list[str]:
    """Return one line for each reference to an output that its job cannot read, or that no step can set."""
    stages = {stage.name: stage for stage in pipeline.stages}
    lines: list[str] = []
    for stage in pipeline.stages:
        jobs = {job.name: job for job in stage.jobs}
        shared = list(_texts(stage.variables))
        lines += [f"{stage.name}: {line}" for line in _across(stage, stages, shared)]
        for job in stage.jobs:
            texts = [job.condition, *_texts(job.variables)]
            where = f"{stage.name}.{job.name}"
            lines += [f"{where}: {line}" for line in (*_within(job, jobs, texts), *_across(stage, stages, texts))]
    return lines


def _within(job: Job, jobs: dict[str, Job], texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for name, output in _JOB_OUTPUT.findall(text):
            if name not in job.depends_on:
                yield f"dependencies.{name} is empty, since dependsOn has no {name}"
            else:
                yield from _unset(jobs[name], output)


def _across(stage: Stage, stages: dict[str, Stage], texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for other, name, output in _STAGE_OUTPUT.findall(text):
            if other not in stage.depends_on:
                yield f"stageDependencies.{other} is empty, since the stage's dependsOn has no {other}"
                continue
            job = next((job for job in stages[other].jobs if job.name == name), None)
            if job is None:
                yield f"stage {other} has no job {name}"
            else:
                yield from _unset(job, output)


def _unset(job: Job, output: str) -> Iterator[str]:
    """Return the fault of an output's name: `step.variable`, in a deployment job `job.step.variable`."""
    named = {step.name for step in job.steps if step.name}
    parts = output.split(".")
    expected = 3 if job.deployment else 2
    kind = "deployment job" if job.deployment else "job"
    if len(parts) != expected or (job.deployment and parts[0] != job.name):
        form = f"{job.name}.step.variable" if job.deployment else "step.variable"
        yield f"outputs of the {kind} {job.name} are called {form}, not {output}"
    elif parts[-2] not in named:
        yield f"the {kind} {job.name} has no step named {parts[-2]}"


def _texts(variables: Iterable[Any]) -> Iterator[str]:
    for variable in variables:
        if isinstance(variable.get("value"), str):
            yield variable["value"]
