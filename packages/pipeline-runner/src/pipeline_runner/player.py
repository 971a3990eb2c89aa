"""Playing a pipeline: stages and jobs in the order of their dependencies, one after another on one machine."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_runner import agent as agents
from pipeline_runner import checks, tasks
from pipeline_runner.checks import Approvals, Check
from pipeline_runner.errors import RunnerError
from pipeline_runner.logging_commands import Command
from pipeline_runner.model import Job, Pipeline, Stage, Step, check_graph
from pipeline_runner.records import Record
from pipeline_runner.results import Result, ancestors, holds, status_functions, step_functions
from pipeline_runner.variables import Groups, Variables
from pipeline_runner.workspace import Workspace

_WORST = (Result.FAILED, Result.CANCELED, Result.ISSUES)


@dataclass(frozen=True)
class Setting:
    """The surroundings of a build: variable groups, environments, service connections, the environment of processes.

    `environments` None allows every name, without checks. `caches` has a folder for each key of Cache@2, `cache` is
    one for all keys. `only` names the chosen stages; empty chooses all.
    """

    groups: Groups
    environments: Mapping[str, Check] | None
    connect: tasks.Connection
    shell: Mapping[str, str]
    caches: Path
    approvals: Approvals
    cache: Path | None = None
    lock_seconds: float = 3600.0
    only: frozenset[str] = frozenset()
    quiet: bool = False


@dataclass
class Player:
    """A build of a compiled pipeline, with the results so far."""

    pipeline: Pipeline
    setting: Setting
    workspace: Workspace
    predefined: Mapping[str, str]
    canceled: bool = False
    outputs: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Output variables by stage, job and "step.variable", with "job." in front for a deployment job."""
    results: dict[str, Result] = field(default_factory=dict)
    job_results: dict[str, dict[str, Result]] = field(default_factory=dict)

    def play(self) -> list[Record]:
        """Play every stage; return their records. Raises RunnerError when the build cannot go on."""
        stages = {stage.name: stage for stage in self.pipeline.stages}
        edges = {name: stage.depends_on for name, stage in stages.items()}
        variables = Variables(dict(self.predefined))
        variables.add(self.pipeline.variables, self.setting.groups, {})
        records: list[Record] = []
        for name in check_graph("stage", edges, list(stages)):
            record = self._stage(stages[name], edges, variables)
            self.results[name] = record.result
            records.append(record)
        return records

    def _stage(self, stage: Stage, edges: Mapping[str, tuple[str, ...]], variables: Variables) -> Record:
        record = Record(stage.title)
        began = time.monotonic()
        _write(f"\nStage {stage.name}: {stage.title}")
        if self.setting.only and stage.name not in self.setting.only:
            # As with "Stages to run" of Azure DevOps, an omitted stage does not hold up its dependents.
            record.note, record.parts = "not chosen", []
            return record
        contexts = {
            "variables": variables,
            "dependencies": self._stage_context(stage),
            "stagedependencies": self._stages_context(),
        }
        functions = status_functions(self.results, ancestors(stage.name, edges), canceled=self.canceled)
        if not holds(stage.condition, contexts, functions):
            record.result, record.note = Result.SKIPPED, f"condition {stage.condition}"
            return record
        for environment in stage.environments:
            check = self._check(environment, stage)
            if check.approval:
                result, note = self.setting.approvals.request(environment, stage.name, check.timeout)
                _write(f"  {note}")
                if result is not Result.SUCCEEDED:
                    record.result, record.note = result, note
                    return record
        own = variables.copy()
        own.add(stage.variables, self.setting.groups, contexts)
        locks = [environment for environment in stage.environments if self._check(environment, stage).exclusive_lock]
        self._locked(stage, own, record, locks)
        record.result = _worst([job.result for job in record.parts])
        record.seconds = time.monotonic() - began
        return record

    def _check(self, environment: str, stage: Stage) -> Check:
        if self.setting.environments is None:
            return Check()
        check = self.setting.environments.get(environment)
        if check is None:
            raise RunnerError(f"Environment {environment} of stage {stage.name} does not exist.")
        return check

    def _locked(self, stage: Stage, variables: Variables, record: Record, locks: list[str]) -> None:
        if locks:
            held = checks.exclusive(
                self.workspace.home / "locks",
                locks[0],
                self.workspace.build,
                stage.lock_behavior,
                self.setting.lock_seconds,
            )
            with held:
                self._locked(stage, variables, record, locks[1:])
            return
        jobs = {job.name: job for job in stage.jobs}
        edges = {name: job.depends_on for name, job in jobs.items()}
        self.outputs[stage.name], self.job_results[stage.name] = {}, {}
        for name in check_graph("job", edges, list(jobs)):
            part = self._job(stage, jobs[name], edges, variables)
            self.job_results[stage.name][name] = part.result
            record.parts.append(part)

    def _job(self, stage: Stage, job: Job, edges: Mapping[str, tuple[str, ...]], variables: Variables) -> Record:
        record = Record(job.title)
        results = self.job_results[stage.name]
        contexts: dict[str, Any] = {
            "variables": variables,
            "dependencies": {
                name: {"result": results[name], "outputs": self.outputs[stage.name].get(name, {})} for name in results
            },
            "stagedependencies": self._stages_context(),
        }
        functions = status_functions(results, ancestors(job.name, edges), canceled=self.canceled)
        if not holds(job.condition, contexts, functions):
            record.result, record.note = Result.SKIPPED, f"condition {job.condition}"
            return record
        if job.server:
            record.result, record.note = Result.SUCCEEDED, "not played: agentless, on Azure DevOps' own server"
            record.parts = [
                Record(step.title, Result.SKIPPED, note=tasks.NOT_PLAYED.get(step.argument.lower(), "agentless"))
                for step in job.steps
            ]
            return record
        own = variables.copy()
        own.add(job.variables, self.setting.groups, contexts)
        began = time.monotonic()
        run = _JobRun(self, stage, job, own, record)
        run.steps(job.steps)
        run.steps(job.on_failure if record.result is Result.FAILED else job.on_success)
        record.seconds = time.monotonic() - began
        if record.result is Result.FAILED and job.keeps_going:
            record.result = Result.ISSUES
        return record

    def _stages_context(self) -> dict[str, Any]:
        return {
            name: {job: {"result": self.job_results[name][job], "outputs": outputs} for job, outputs in jobs.items()}
            for name, jobs in self.outputs.items()
            if name in self.results
        }

    def _stage_context(self, stage: Stage) -> dict[str, Any]:
        return {
            name: {
                "result": self.results[name],
                "outputs": {
                    f"{job}.{key}": value
                    for job, outputs in self.outputs.get(name, {}).items()
                    for key, value in outputs.items()
                },
            }
            for name in stage.depends_on
        }


class _JobRun:
    """A job on its agent: a folder, variables that steps may set, outputs for others."""

    def __init__(self, player: Player, stage: Stage, job: Job, variables: Variables, record: Record) -> None:
        self._player, self._stage, self._job = player, stage, job
        self._variables, self._record = variables, record
        self._folder = player.workspace.job(stage.name, job.name)
        self._outputs = player.outputs[stage.name].setdefault(job.name, {})
        self._paths: list[str] = []
        self._position = 0
        self._command_problem = ""
        """Why a logging command of the step that runs could not be carried out."""
        sources = self._folder / "s"
        for name, value in (
            ("System.StageName", stage.name), ("System.JobName", job.name), ("System.StageAttempt", "1"),
            ("Pipeline.Workspace", str(self._folder)), ("Agent.BuildDirectory", str(self._folder)),
            ("System.DefaultWorkingDirectory", str(sources)), ("Build.SourcesDirectory", str(sources)),
            ("Build.ArtifactStagingDirectory", str(self._folder / "a")),
            ("Agent.TempDirectory", str(self._folder / "tmp")),
            ("Agent.OS", "Linux"), ("Environment.Name", job.environment),
        ):  # fmt: skip
            variables[name] = value

    def steps(self, steps: tuple[Step, ...]) -> None:
        """Play steps in their order; add their records to the job's."""
        for step in steps:
            self._position += 1
            began = time.monotonic()
            record = Record(self._variables.expand(step.title))
            self._record.parts.append(record)
            try:
                self._step(step, record)
            except KeyboardInterrupt:
                self._player.canceled = True
                record.result, record.note = Result.CANCELED, "cancelled"
                _write("    cancelled: only steps with canceled() or always() still run")
            record.seconds = time.monotonic() - began
            self._after(step, record)

    def _step(self, step: Step, record: Record) -> None:
        functions = step_functions(self._record.result, canceled=self._player.canceled)
        if not step.enabled:
            record.result, record.note = Result.SKIPPED, "not enabled"
            return
        if not holds(step.condition, {"variables": self._variables}, functions):
            record.result = Result.SKIPPED
            return
        _write(f"    {self._stage.name}.{self._job.name}: {record.title}")
        self._command_problem = ""
        try:
            played = tasks.play(step, self._agent(step))
        except RunnerError as error:
            played = tasks.Played(1, problem=str(error))
        if played.skipped:
            record.result, record.note = Result.SKIPPED, played.skipped
            _write(f"      not played: {played.skipped}")
        elif played.code:
            record.result = Result.FAILED
            record.note = played.problem or f"exit code {played.code}; log {self._log()}"
            _write(f"      failed: {record.note}")
        elif self._command_problem:
            record.result, record.note = Result.FAILED, self._command_problem
            _write(f"      failed: {record.note}")

    def _after(self, step: Step, record: Record) -> None:
        if record.result is Result.FAILED and step.keeps_going:
            record.result = Result.ISSUES
        if record.result in _WORST:
            self._record.result = _worst([self._record.result, record.result])
            if record.result is Result.FAILED and not self._record.note:
                self._record.note = f"{record.title}: {record.note}"

    def _agent(self, step: Step) -> tasks.Agent:
        sources = self._folder / "s"

        def run(script: str, session: Mapping[str, str]) -> int:
            env = {**self._player.setting.shell, **self._variables.environment(), **session}
            env |= {str(name): self._variables.expand(value) for name, value in step.env.items()}
            env["PATH"] = ":".join([*reversed(self._paths), env.get("PATH", "/usr/bin:/bin")])
            folder = sources / self._variables.expand(step.folder)
            return agents.run(
                script, folder=folder, env=env, log=self._log(), quiet=self._player.setting.quiet,
                on_command=lambda command: self._command(step, command),
            )  # fmt: skip

        def cache(key: str) -> Path:
            name = hashlib.sha256(key.encode()).hexdigest()[:16]
            return self._player.setting.cache or self._player.setting.caches / name

        return tasks.Agent(
            sources, self._folder, self._player.workspace.artifacts, cache, self._variables, run,
            self._player.workspace.checkout, self._player.setting.connect,
        )  # fmt: skip

    def _log(self) -> Path:
        return self._player.workspace.log(self._stage.name, self._job.name, self._position)

    def _upload_summary(self, path: str) -> None:
        """Keep the file, or note why there is none: the step fails then, as on an agent.

        Source: microsoft/azure-pipelines-agent, TaskCommandExtension.cs (the file has to exist) and
        WorkerCommandManager.cs (an error of a command is the task's failure).
        """
        try:
            if not path:
                raise FileNotFoundError("the command names no file")
            kept = self._player.workspace.summary(self._stage.name, self._job.name, Path(path))
        except OSError as error:
            self._command_problem = f"##vso[task.uploadsummary]{path}: {error}"
            return
        _write(f"      summary: {kept}")

    def _command(self, step: Step, command: Command) -> None:
        match command.name:
            case "task.setvariable":
                name = command.properties["variable"]
                if command.properties.get("isoutput", "").lower() == "true":
                    key = f"{step.name}.{name}"
                    self._variables[key] = command.text
                    self._outputs[f"{self._job.name}.{key}" if self._job.deployment else key] = command.text
                else:
                    self._variables[name] = command.text
                if command.properties.get("issecret", "").lower() == "true":
                    self._variables.secrets.add(name.lower())
            case "task.prependpath":
                self._paths.append(command.text)
            case "task.uploadsummary":
                self._upload_summary(command.text)
            case "task.logissue":
                _write(f"      {command.properties.get('type', 'error')}: {command.text}")
            case _:
                _write(f"      not played: ##vso[{command.name}] {command.text}")


def _worst(results: list[Result]) -> Result:
    for result in _WORST:
        if result in results:
            return result
    ran = [result for result in results if result is not Result.SKIPPED]
    return Result.SUCCEEDED if ran or not results else Result.SKIPPED


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
