"""One run from request to exit code: compile, set up the cloud, play, show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from rich.console import Console

from pipeline_runner import model, organisation, records
from pipeline_runner.checks import Approvals
from pipeline_runner.cloud import Cloud, check_shell
from pipeline_runner.errors import RehearsalError
from pipeline_runner.issuer import Issuer
from pipeline_runner.organisation import Organisation
from pipeline_runner.player import Player, Setting
from pipeline_runner.results import Result
from pipeline_runner.templates import compile_pipeline
from pipeline_runner.workspace import Workspace, git, next_build


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for; see `python -m pipeline_runner play --help`."""

    file: Path
    repository: Path
    commit: str
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
    started: datetime


def run(request: Request, console: Console) -> int:
    """0 when every stage that was to run succeeded. Raises RehearsalError."""
    check_shell()
    commit = git("rev-parse", "--verify", f"{request.commit}^{{commit}}", cwd=request.repository)
    build = next_build(request.home)
    workspace = Workspace(request.home, build, request.repository, commit)
    workspace.artifacts.mkdir(parents=True)
    source = workspace.root / "source"
    workspace.checkout(source)
    predefined = _predefined(request, commit, build)
    pipeline = model.read(compile_pipeline(source / request.file, source, request.parameters, predefined))
    unknown = request.stages - {stage.name for stage in pipeline.stages}
    if unknown:
        raise RehearsalError(f"{request.file} has no stage {', '.join(sorted(unknown))}.")
    known = _groups(organisation.read(), request)
    console.print(
        f"Build {build}: {request.file} at {commit[:10]}, {request.reason}; logs in {workspace.root / 'logs'}"
    )
    issuer = Issuer(request.home.parent / "tls" / "server.pem", os.environ["AZURE_TENANT_ID"])
    try:
        cloud = Cloud(known, issuer)
        groups = cloud.prepare(source)
        setting = Setting(
            groups=groups, environments=known.environments, shell=cloud.shell(), cache=_cache(),
            connect=lambda name: cloud.connect(name, workspace.root / "tokens"),
            approvals=Approvals(request.yes, request.expired, request.rejected),
            lock_seconds=request.lock_seconds, only=request.stages, quiet=request.quiet,
        )  # fmt: skip
        player = Player(pipeline, setting, workspace, predefined)
        played = player.play()
    finally:
        issuer.close()
    records.show(played, f"Build {build} of {commit[:10]}", console)
    if player.canceled:
        return 130
    through = all(
        record.result in (Result.SUCCEEDED, Result.ISSUES) or record.note.startswith("condition") for record in played
    )
    failed = any(record.result in (Result.FAILED, Result.CANCELED) for record in played)
    return 0 if through and not failed else 1


def _cache() -> Path:
    """Where this machine keeps built tools between runs."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "localcloud"
    return Path(os.environ.get("LOCALCLOUD_CACHE") or default)


def _groups(known: Organisation, request: Request) -> Organisation:
    subscription = {"SUBSCRIPTION_ID": os.environ["ARM_SUBSCRIPTION_ID"]}
    groups = {name: subscription | dict(one) for name, one in known.groups.items()}
    for key in (*request.variables, *request.unset):
        group, _, name = key.partition(".")
        if group not in groups or not name:
            raise RehearsalError(f"{key!r} should be GROUP.NAME; the groups are {', '.join(groups)}.")
        if key in request.variables:
            groups[group][name] = request.variables[key]
        elif groups[group].pop(name, None) is None:
            raise RehearsalError(f"Variable group {group} has no variable {name}.")
    return replace(known, groups=groups)


def _predefined(request: Request, commit: str, build: int) -> dict[str, str]:
    """Predefined variables, as far as pipelines here read them."""
    return {
        "Build.BuildId": str(build),
        "Build.BuildNumber": f"{request.started:%Y%m%d}.{build}",
        "Build.Reason": request.reason,
        "Build.SourceBranch": request.branch,
        "Build.SourceBranchName": request.branch.rsplit("/", 1)[-1],
        "Build.SourceVersion": commit,
        "Build.Repository.Name": "dataopsml",
        "Build.Repository.Provider": "TfsGit",
        "System.TeamProject": "dataopsml",
        "System.CollectionUri": "https://dev.azure.com/dataopsml/",
        "System.AccessToken": "",
        "TF_BUILD": "True",
    }
