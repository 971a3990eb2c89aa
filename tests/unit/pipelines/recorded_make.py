"""The repository's own pipelines, played with a `make` that only writes down its callers and targets."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline_runner import model, organisation
from pipeline_runner.checks import Approvals
from pipeline_runner.player import Player, Setting
from pipeline_runner.records import Record
from pipeline_runner.templates import compile_pipeline
from pipeline_runner.workspace import Workspace, git

from pipelines.rehearsal import ORGANISATION

ROOT = Path(__file__).resolve().parents[3]
PREVIEW = "DataOpsML ARM Connection - preview"
# Files that targets leave for later steps, as in pipelines/targets.mk.
_MAKE = """\
#!/usr/bin/env bash
[[ ${PIPELINE:-} == default ]] && PIPELINE=  # as without a name
words="$*${RELEASE:+ RELEASE=$RELEASE}${PIPELINE:+ PIPELINE=$PIPELINE}${MODEL_VERSION:+ MODEL_VERSION=$MODEL_VERSION}"
words+="${KEEP_DEFAULT:+ (default kept)}"
echo "${servicePrincipalId:-nobody}|$words" >> "$MAKE_LOG"
echo "$ARM_SUBSCRIPTION_ID|$*" >> "$MAKE_LOG.subscriptions"
mkdir -p build
stack=${2#*=}
case $1 in
    preview | drift) echo "what $1 says" > "build/$1-$stack.txt" ;;
    test-report) touch "build/tests-$stack.xml" "build/coverage-$stack.xml" ;;
    release) mkdir -p "build/release-$stack"; echo "$AMLPIPELINE_ID" > "build/release-$stack/release.json" ;;
    smoke) echo "##vso[task.setvariable variable=AMLRUN_ID]run-of-$stack" ;;
    report) mkdir -p "build/report-$stack"; echo "$AMLRUN_ID" > "build/report-$stack/report.html"
            echo "##vso[task.uploadsummary]$PWD/build/report-$stack/report.html" ;;
    publish) echo "##vso[task.setvariable variable=AMLPIPELINE_ID;isOutput=true]${PIPELINE:-pipeline}-of-$stack" ;;
esac
if [[ -n $MAKE_STOPS && $words == $MAKE_STOPS ]]; then kill -INT "$PLAYER"; sleep 60; fi
if [[ -n $MAKE_FAILS && $words == $MAKE_FAILS ]]; then exit 2; fi
"""


@dataclass
class Played:
    """Records, calls of make and log of a played build."""

    records: list[Record]
    calls: list[tuple[str, str]]
    """The identity, and the words after `make`; agents' own preparation is left out."""
    log: str
    subscriptions: list[tuple[str, str]]
    """The subscription, and the words after `make`."""

    @property
    def results(self) -> dict[str, str]:
        return {record.title: str(record.result) for record in self.records}

    def by(self, connection: str) -> list[str]:
        return [words for identity, words in self.calls if identity == connection]

    @property
    def words(self) -> list[str]:
        return [words for _, words in self.calls]


@dataclass
class Pipelines:
    """A repository with the checkout's pipelines."""

    folder: Path
    builds: int = field(default=0)

    def __post_init__(self) -> None:
        source = self.folder / "repository"
        source.mkdir()
        shutil.copytree(ROOT / "pipelines", source / "pipelines", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(ROOT / "azure-pipelines.yml", source)
        git("init", "--quiet", cwd=source)
        git("add", ".", cwd=source)
        git("-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "one", cwd=source)
        tools = self.folder / "bin"
        tools.mkdir()
        (tools / "make").write_text(_MAKE, encoding="utf-8")
        (tools / "make").chmod(0o755)

    def play(
        self,
        file: str = "azure-pipelines.yml",
        *,
        reason: str = "IndividualCI",
        parameters: Mapping[str, Any] | None = None,
        fails: str = "",
        stops: str = "",
        without: tuple[str, str] | None = None,
        approvals: Approvals | None = None,
        token: str = "t",
    ) -> Played:
        """Play a build with recorded calls of make.

        `fails` and `stops` are patterns of make's words: it exits with 2, or the build is cancelled meanwhile.
        `without` removes a variable from a group.
        """
        self.builds += 1
        repository, known = self.folder / "repository", organisation.read(ORGANISATION)
        groups = {
            name: dict(values) | {"SUBSCRIPTION_ID": f"subscription of {name}"} for name, values in known.groups.items()
        }
        if without is not None:
            del groups[without[0]][without[1]]
        predefined = {
            "Build.Reason": reason, "Build.SourceBranch": "refs/heads/main", "Build.BuildId": str(self.builds),
            "Build.Repository.Provider": "TfsGit", "System.AccessToken": token,
        }  # fmt: skip
        compiled = compile_pipeline(repository / file, repository, parameters or {}, predefined)
        log = self.folder / f"make-{self.builds}"
        where = log.with_name(f"{log.name}.subscriptions")
        log.touch()
        where.touch()
        shell = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "MAKE_LOG": str(log),
            "MAKE_FAILS": fails, "MAKE_STOPS": stops, "PLAYER": str(os.getpid()),
        }  # fmt: skip
        setting = Setting(
            groups=groups, environments=known.environments, shell=shell, caches=self.folder / "caches", quiet=True,
            connect=lambda name: {"servicePrincipalId": name, "tenantId": "t", "idToken": "i"},
            approvals=approvals or Approvals(yes=True),
        )  # fmt: skip
        workspace = Workspace(self.folder / "home", self.builds, repository, git("rev-parse", "HEAD", cwd=repository))
        workspace.artifacts.mkdir(parents=True)
        records = Player(model.read(compiled), setting, workspace, predefined).play()
        lines, subscriptions = (
            [tuple(line.split("|", 1)) for line in record.read_text(encoding="utf-8").splitlines()]
            for record in (log, where)
        )
        output = "".join(log.read_text(encoding="utf-8") for log in sorted((workspace.root / "logs").glob("*.log")))
        calls = [(identity, words) for identity, words in lines if words != "agent"]
        return Played(records, calls, output, [(subscription, words) for subscription, words in subscriptions])


def connection(environment: str) -> str:
    return f"DataOpsML ARM Connection - {environment}"
