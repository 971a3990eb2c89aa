"""A compiled pipeline as stages, jobs and steps, checked as Azure Pipelines checks it before a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pipeline_runner.errors import PipelineError

STEP_KINDS = ("script", "bash", "pwsh", "powershell", "task", "checkout", "publish", "download", "downloadBuild")
_HOOKS = ("preDeploy", "deploy", "routeTraffic", "postRouteTraffic")


@dataclass(frozen=True)
class Step:
    """A step. `argument` is the script, the task's name or the artifact's path, according to `kind`."""

    kind: str
    argument: str
    name: str
    title: str
    condition: str
    inputs: Mapping[str, Any]
    env: Mapping[str, Any]
    folder: str
    keeps_going: bool
    enabled: bool


@dataclass(frozen=True)
class Job:
    """One job or deployment job; a deployment's steps are its lifecycle hooks' steps in their order."""

    name: str
    title: str
    deployment: bool
    environment: str
    server: bool
    depends_on: tuple[str, ...]
    condition: str
    variables: tuple[Mapping[str, Any], ...]
    steps: tuple[Step, ...]
    on_failure: tuple[Step, ...] = ()
    on_success: tuple[Step, ...] = ()
    container: str = ""
    keeps_going: bool = False


@dataclass(frozen=True)
class Stage:
    """A stage with its jobs."""

    name: str
    title: str
    depends_on: tuple[str, ...]
    condition: str
    lock_behavior: str
    variables: tuple[Mapping[str, Any], ...]
    jobs: tuple[Job, ...]

    @property
    def environments(self) -> list[str]:
        """The environments whose checks run before this stage, each once."""
        return list(dict.fromkeys(job.environment for job in self.jobs if job.environment))


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline. `name` is the format of build numbers."""

    name: str
    variables: tuple[Mapping[str, Any], ...]
    stages: tuple[Stage, ...] = field(default=())


def read(document: Mapping[str, Any]) -> Pipeline:
    """Return the model of a compiled document.

    Raises PipelineError where Azure Pipelines would refuse: unknown dependencies, circles, repeated names.
    """
    lock = str(document.get("lockBehavior", "runLatest"))
    if "stages" in document:
        raw = document["stages"]
    else:
        jobs = document.get("jobs") or [{"job": "Job", "steps": document.get("steps") or []}]
        raw = [{"stage": "__default", "jobs": jobs}]
    stages: list[Stage] = []
    for item in raw or []:
        previous = (stages[-1].name,) if stages else ()
        stages.append(_stage(item, previous, lock))
    check_graph("stage", {stage.name: stage.depends_on for stage in stages}, [stage.name for stage in stages])
    if not stages:
        raise PipelineError("The pipeline has no stages for this reason and branch.")
    return Pipeline(str(document.get("name", "$(Build.BuildId)")), variables(document.get("variables")), tuple(stages))


def check_graph(kind: str, edges: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[str]:
    """Return the order to run in: as declared, dependencies first. Raises PipelineError for names and circles."""
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise PipelineError(f"The {kind} name {', '.join(sorted(twice))} appears more than once.")
    for name, needed in edges.items():
        for dependency in needed:
            if dependency not in edges:
                raise PipelineError(f"{kind.capitalize()} {name} depends on unknown {kind} {dependency}.")
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError as error:
        members = ", ".join(name for name in names if name in error.args[1])
        raise PipelineError(f"The {kind}s {members} depend on each other in a circle.") from error
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready += sorter.get_ready()
        first = min(ready, key=names.index)
        ready.remove(first)
        order.append(first)
        sorter.done(first)
    return order


def variables(raw: Any) -> tuple[Mapping[str, Any], ...]:
    """Return variables as a list; they are declared as a mapping or as a list."""
    if isinstance(raw, Mapping):
        return tuple({"name": str(name), "value": value} for name, value in raw.items())
    return tuple(raw or ())


def _stage(raw: Mapping[str, Any], previous: tuple[str, ...], lock: str) -> Stage:
    if "stage" not in raw:
        raise PipelineError(f"A stage needs a name: {dict(raw)!r}"[:200])
    name = str(raw["stage"])
    jobs = tuple(_job(job, name) for job in raw.get("jobs") or [])
    if not jobs:
        raise PipelineError(f"Stage {name} has no jobs.")
    check_graph("job", {job.name: job.depends_on for job in jobs}, [job.name for job in jobs])
    return Stage(
        name=name,
        title=str(raw.get("displayName", name)),
        depends_on=_names(raw["dependsOn"]) if "dependsOn" in raw else previous,
        condition=_condition(raw),
        lock_behavior=str(raw.get("lockBehavior", lock)),
        variables=variables(raw.get("variables")),
        jobs=jobs,
    )


def _job(raw: Mapping[str, Any], stage: str) -> Job:
    deployment = "deployment" in raw
    name = str(raw.get("deployment") or raw.get("job") or "")
    if not name:
        raise PipelineError(f"A job of stage {stage} needs a name.")
    where = f"{stage}.{name}"
    hooks = _hooks(raw, where) if deployment else {"": _steps(raw.get("steps"), where)}
    environment = raw.get("environment", "")
    pool = raw.get("pool")
    check_pool(pool, where)
    container = raw.get("container", "")
    return Job(
        name=name,
        title=str(raw.get("displayName", name)),
        deployment=deployment,
        environment=str(environment["name"] if isinstance(environment, Mapping) else environment).split(".")[0],
        server=pool == "server",
        depends_on=_names(raw.get("dependsOn")),
        condition=_condition(raw),
        variables=variables(raw.get("variables")),
        steps=tuple(step for hook in ("", *_HOOKS) for step in hooks.get(hook, ())),
        on_failure=hooks.get("failure", ()),
        on_success=hooks.get("success", ()),
        container=str(container["image"] if isinstance(container, Mapping) else container),
        keeps_going=_true(raw.get("continueOnError")),
    )


def check_pool(pool: Any, where: str) -> None:
    """Raise PipelineError for a pool that Azure Pipelines would refuse, which the bundled schema lets pass.

    Keys: learn.microsoft.com/azure/devops/pipelines/yaml-schema/pool.
    """
    if pool is None or isinstance(pool, str):
        return
    unknown = sorted(set(pool) - {"name", "vmImage", "demands"})
    if unknown:
        raise PipelineError(f"Job {where}: a pool has name, vmImage and demands, and no {', '.join(unknown)}.")
    if not (pool.get("name") or pool.get("vmImage")):
        raise PipelineError(f"Job {where}: its pool has neither a name nor a vmImage.")


def _hooks(raw: Mapping[str, Any], where: str) -> dict[str, tuple[Step, ...]]:
    if not raw.get("environment"):
        raise PipelineError(f"Deployment job {where} names no environment.")
    strategy = raw.get("strategy") or {}
    if list(strategy) != ["runOnce"]:
        raise PipelineError(
            f"Deployment job {where}: of the strategies only runOnce can be played, not {list(strategy)}."
        )
    run = strategy["runOnce"]
    hooks = {hook: _steps(run[hook].get("steps"), where) for hook in _HOOKS if hook in run}
    for outcome, hook in (run.get("on") or {}).items():
        hooks[str(outcome)] = _steps(hook.get("steps"), where)
    return hooks


def _steps(raw: Any, where: str) -> tuple[Step, ...]:
    steps = tuple(_step(step, where) for step in raw or [])
    names = [step.name for step in steps if step.name]
    check_graph(f"step of {where}", {name: () for name in names}, names)
    return steps


def _step(raw: Mapping[str, Any], where: str) -> Step:
    kind = next((kind for kind in STEP_KINDS if kind in raw), None)
    if kind is None:
        raise PipelineError(f"Job {where} has a step that is none of {', '.join(STEP_KINDS)}: {dict(raw)!r}"[:300])
    inputs = dict(raw.get("inputs") or {})
    for extra in ("artifact", "patterns", "fetchDepth"):
        if extra in raw:
            inputs[extra] = raw[extra]
    return Step(
        kind=kind,
        argument=str(raw[kind]),
        name=str(raw.get("name", "")),
        title=str(raw.get("displayName") or (raw[kind] if kind == "task" else f"{kind} {raw[kind]}".split("\n")[0])),
        condition=_condition(raw),
        inputs=inputs,
        env=dict(raw.get("env") or {}),
        folder=str(raw.get("workingDirectory") or inputs.get("workingDirectory") or ""),
        keeps_going=_true(raw.get("continueOnError")),
        enabled=raw.get("enabled", True) is not False,
    )


def _condition(raw: Mapping[str, Any]) -> str:
    return str(raw.get("condition", "")) or "succeeded()"


def _names(raw: Any) -> tuple[str, ...]:
    if raw is None or raw == "":
        return ()
    return (raw,) if isinstance(raw, str) else tuple(str(name) for name in raw)


def _true(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
