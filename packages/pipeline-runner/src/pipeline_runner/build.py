"""A build from request to exit code: compile, prepare the cloud, play, show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from pipeline_runner import model, records
from pipeline_runner.checks import Approvals
from pipeline_runner.cloud import open_cloud
from pipeline_runner.errors import RunnerError
from pipeline_runner.organisation import Organisation, with_overrides
from pipeline_runner.player import Player, Setting
from pipeline_runner.records import Record
from pipeline_runner.results import Result
from pipeline_runner.templates import compile_pipeline
from pipeline_runner.workspace import Workspace, git, next_build


@dataclass(frozen=True, kw_only=True)
class Request:
    """The options of `pipeline-runner play`.

    `variables` and `unset` are keyed by GROUP.NAME. `home` keeps the builds; `cache` serves all Cache@2 steps, None
    means a folder for each key.
    """

    file: Path
    repository: Path
    commit: str
    organisation: Organisation
    reason: str
    branch: str
    parameters: Mapping[str, str]
    variables: Mapping[str, str]
    unset: tuple[str, ...]
    stages: frozenset[str]
    yes: bool
    expired: frozenset[str]
    rejected: frozenset[str]
    lock_seconds: float
    quiet: bool
    home: Path
    cache: Path | None
    started: datetime


def run(request: Request, console: Console) -> int:
    """Return 0 when every stage succeeded or its condition skipped it, 130 after Ctrl-C, 1 otherwise.

    Raises RunnerError when the build cannot start or go on.
    """
    with open_cloud(request.organisation) as cloud:
        commit = git("rev-parse", "--verify", f"{request.commit}^{{commit}}", cwd=request.repository)
        build = next_build(request.home)
        workspace = Workspace(request.home, build, request.repository, commit, request.organisation.shared_folders)
        workspace.artifacts.mkdir(parents=True)
        source = workspace.root / "source"
        workspace.checkout(source)
        predefined = predefined_variables(request, commit, build)
        pipeline = model.read(compile_pipeline(source / request.file, source, request.parameters, predefined))
        unknown = request.stages - {stage.name for stage in pipeline.stages}
        if unknown:
            raise RunnerError(f"{request.file} has no stage {', '.join(sorted(unknown))}.")
        console.print(
            f"Build {build}: {request.file} at {commit[:10]}, {request.reason}; logs in {workspace.root / 'logs'}"
        )
        prepared = cloud.prepare(source)
        groups = {name: {**prepared.get(name, {}), **own} for name, own in request.organisation.groups.items()}
        setting = Setting(
            groups=with_overrides(groups, request.variables, request.unset),
            environments=request.organisation.environments, shell=cloud.shell(),
            connect=lambda name: cloud.connect(name, workspace.root / "tokens"),
            caches=request.home / "caches", cache=request.cache,
            approvals=Approvals(request.yes, request.expired, request.rejected),
            lock_seconds=request.lock_seconds, only=request.stages, quiet=request.quiet,
        )  # fmt: skip
        player = Player(pipeline, setting, workspace, predefined)
        played = player.play()
    records.show(played, f"Build {build} of {commit[:10]}", console)
    return 130 if player.canceled else _exit_code(played)


def _exit_code(stages: list[Record]) -> int:
    complete = all(
        stage.result in (Result.SUCCEEDED, Result.ISSUES) or stage.note.startswith("condition") for stage in stages
    )
    failed = any(stage.result in (Result.FAILED, Result.CANCELED) for stage in stages)
    return 0 if complete and not failed else 1


def predefined_variables(request: Request, commit: str, build: int) -> dict[str, str]:
    """Return the predefined variables that do not depend on a job.

    Names: learn.microsoft.com/azure/devops/pipelines/build/variables. The build's token is empty: no server would
    accept it.
    """
    organisation, folder = request.organisation, request.repository.name
    return {
        "Build.BuildId": str(build),
        "Build.BuildNumber": f"{request.started:%Y%m%d}.{build}",
        "Build.Reason": request.reason,
        "Build.SourceBranch": request.branch,
        "Build.SourceBranchName": request.branch.rsplit("/", 1)[-1],
        "Build.SourceVersion": commit,
        "Build.Repository.Name": organisation.repository or folder,
        "Build.Repository.Provider": "TfsGit",
        "System.TeamProject": organisation.project or folder,
        "System.CollectionUri": f"https://dev.azure.com/{organisation.name}/",
        "System.AccessToken": "",
        "TF_BUILD": "True",
    }
