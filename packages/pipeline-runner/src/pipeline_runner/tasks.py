"""Steps by kind and task, and the reasons why some are not played."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline_runner.errors import RunnerError
from pipeline_runner.model import Step
from pipeline_runner.session_refresh import session_kept_active
from pipeline_runner.variables import Variables

Run = Callable[[str, Mapping[str, str]], int]
Connection = Callable[[str], Mapping[str, str]]

NOT_PLAYED: Mapping[str, str] = {
    "publishtestresults@2": "the Tests tab of Azure DevOps; the file was checked to exist",
    "publishcodecoverageresults@2": "the Coverage tab of Azure DevOps; the file was checked to exist",
    "docker@2": "signing in to a registry needs Docker and that registry",
    "pulumi@1": "the Pulumi task runs in Azure DevOps only",
    "invokerestapi@1": "agentless: Azure DevOps' own server calls the address",
    "azuremljobwaittask@1": "agentless: Azure DevOps' own server waits",
}
_TOKEN = "SYSTEM_ACCESSTOKEN"  # noqa: S105 - the name of a variable
"""Scripts receive the build's token in this variable."""
_FILES = {"publishtestresults@2": "testResultsFiles", "publishcodecoverageresults@2": "summaryFileLocation"}


@dataclass(frozen=True)
class Played:
    """The outcome of a step. `code` 0 is success; `skipped` is the reason why nothing was run."""

    code: int = 0
    skipped: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Agent:
    """The job's folders and variables, a shell, and service connections. `cache` returns the folder of a key."""

    sources: Path
    workspace: Path
    artifacts: Path
    cache: Callable[[str], Path]
    variables: Variables
    run: Run
    checkout: Callable[[Path], None]
    connect: Connection


def play(step: Step, agent: Agent) -> Played:
    """Play one step. Raises RunnerError when the step refers to something that does not exist."""
    expand = agent.variables.expand
    match step.kind:
        case "checkout":
            if step.argument == "none":
                return Played(skipped="the step names no checkout")
            if step.argument != "self":
                return Played(skipped="other repositories are not played")
            agent.checkout(agent.sources)
            return Played()
        case "script" | "bash":
            if _TOKEN in step.env and not agent.variables.get("System.AccessToken"):
                return Played(skipped="it calls Azure DevOps with the build's own token, which exists there only")
            return Played(agent.run(expand(step.argument), {}))
        case "pwsh" | "powershell":
            return Played(skipped="PowerShell steps are not played")
        case "publish":
            return _publish(expand(step.argument), expand(step.inputs.get("artifact", "")), agent)
        case "download":
            return _download(step, agent)
        case "task":
            return _task(step, agent)
    return Played(skipped=f"{step.kind} steps are not played")


def _task(step: Step, agent: Agent) -> Played:
    task, expand = step.argument.lower(), agent.variables.expand
    inputs = {name.lower(): value for name, value in step.inputs.items()}
    if task == "azurecli@2":
        if str(inputs.get("scripttype", "")).lower() != "bash" or "inlinescript" not in inputs:
            return Played(skipped="only inline bash scripts of AzureCLI@2 are played")
        connection = expand(inputs["azuresubscription"])
        session = agent.connect(connection)
        if str(inputs.get("addspntoenvironment", "")).lower() != "true":
            session = {
                name: value
                for name, value in session.items()
                if name not in ("servicePrincipalId", "idToken", "tenantId")
            }
        if str(inputs.get("keepazsessionactive", "")).lower() != "true":
            return Played(agent.run(expand(inputs["inlinescript"]), session))
        with session_kept_active(lambda: agent.connect(connection)):
            return Played(agent.run(expand(inputs["inlinescript"]), session))
    if task in ("bash@3", "cmdline@2") and ("script" in inputs):
        return Played(agent.run(expand(inputs["script"]), {}))
    if task == "cache@2":
        return _cache(expand(inputs["path"]), expand(inputs["key"]), agent)
    if task == "publishpipelineartifact@1":
        return _publish(expand(inputs["targetpath"]), expand(inputs.get("artifact", "")), agent)
    if task in _FILES:
        pattern = expand(inputs[_FILES[task].lower()])
        if not any(agent.sources.glob(pattern)):
            return Played(1, problem=f"No file matches {pattern}.")
    return Played(skipped=NOT_PLAYED.get(task, "an extension's task, which only Azure DevOps has"))


def _cache(path: str, key: str, agent: Agent) -> Played:
    """Link a path of the job to the folder that this machine keeps between builds.

    Files that a key names do not change the folder, so that it is restored as `restoreKeys` restores older caches.
    """
    target = agent.sources / path
    if target.exists():
        return Played()
    if not target.resolve().is_relative_to(agent.workspace.resolve()):
        return Played(skipped=f"the cache {path} is outside of the job's folder")
    cache = agent.cache(key)
    cache.mkdir(parents=True, exist_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(cache)
    return Played()


def _publish(path: str, artifact: str, agent: Agent) -> Played:
    source = agent.sources / path
    if not source.exists():
        return Played(1, problem=f"Path does not exist: {path}")
    target = agent.artifacts / (artifact or "drop")
    if target.exists():
        return Played(1, problem=f"Artifact {target.name} already exists for this run.")
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.mkdir(parents=True)
        shutil.copy2(source, target)
    return Played()


def _download(step: Step, agent: Agent) -> Played:
    if step.argument == "none":
        return Played(skipped="the step names no download")
    if step.argument != "current":
        return Played(skipped="artifacts of other pipelines are not played")
    artifact = agent.variables.expand(step.inputs.get("artifact", ""))
    names = [artifact] if artifact else [folder.name for folder in agent.artifacts.iterdir()]
    for name in names:
        source = agent.artifacts / name
        if not source.exists():
            raise RunnerError(f"Artifact {name} was not found for this run: no job before published it.")
        shutil.copytree(source, agent.workspace / name, dirs_exist_ok=True)
    return Played()
