"""An agent's work in prod between builds: commands in a checkout, as the environment's service connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from pipeline_runner.errors import RunnerError

from pipelines.rehearsal import ORGANISATION
from pipelines.rehearsal.cloud import Cloud

_SHOWN_LINES = 15


class Agent(Protocol):
    """Commands of the stack prod, and pipelines that are played."""

    def run(self, *words: str) -> str:
        """Run a command as prod's deployer; return its standard output. Raises RunnerError with its last lines."""

    def play(self, pipeline: str, parameters: Mapping[str, str]) -> None:
        """Play a pipeline of the commit. Raises RunnerError when it does not succeed."""


def mlops(agent: Agent, *words: str) -> str:
    """Return the output of a verb of mlops on prod."""
    return agent.run(".venv/bin/python", "-m", "mlops", *words, "--stack", "prod")


def mlops_json(agent: Agent, *words: str) -> Any:
    """Return the JSON that a verb prints. Raises RunnerError when it prints something else."""
    text = mlops(agent, *words)
    try:
        return json.loads(text)
    except ValueError as error:
        raise RunnerError(f"`mlops {' '.join(words)}` printed no JSON: {text[-500:]}") from error


class ProdAgent:
    """An agent whose commands run in a checkout by `pipelines/session.sh`, as pipelines' steps do."""

    def __init__(self, cloud: Cloud, variables: Mapping[str, str], checkout: Path, home: Path, *, yes: bool) -> None:
        self._cloud, self._variables, self._checkout, self._yes = cloud, variables, checkout, yes
        self._home = home
        self._sessions = home / "life"
        self._log = self._sessions / "agent.log"

    def run(self, *words: str) -> str:
        """Run a command; its standard error goes to the log."""
        self._sessions.mkdir(parents=True, exist_ok=True, mode=0o700)
        session = self._cloud.connect("DataOpsML ARM Connection - prod", self._sessions)
        environment = {**self._cloud.shell(), **self._variables, **session, "TF_BUILD": "True"}
        # The command is another checkout's: its own modules come first.
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            ["pipelines/session.sh", *words], cwd=self._checkout, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n{done.stderr}{done.stdout}\n")
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_SHOWN_LINES:])
            raise RunnerError(f"`{' '.join(words)}` ended with {done.returncode}; log {self._log}\n{last}")
        return done.stdout

    def play(self, pipeline: str, parameters: Mapping[str, str]) -> None:
        """Play a pipeline with an issuer of its own, and let the connections trust this agent's again."""
        code = subprocess.call(
            play_command(self._home, pipeline, self._checkout, yes=self._yes, reason="Manual", parameters=parameters)
        )
        self._cloud.prepare(self._checkout)
        if code:
            raise RunnerError(f"{pipeline} did not succeed: its table is above.")


def play_command(
    home: Path,
    pipeline: str,
    repository: Path,
    *,
    yes: bool,
    quiet: bool = True,
    reason: str = "IndividualCI",
    parameters: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the command that plays a pipeline of a repository's HEAD."""
    runner = Path(sys.executable).with_name("pipeline-runner")
    words = [
        str(runner), "play", pipeline, "--organisation", str(ORGANISATION), "--home", str(home),
        "--cache", os.environ["LOCALCLOUD_CACHE"], "--repository", str(repository), "--reason", reason,
    ]  # fmt: skip
    words += [word for name, value in (parameters or {}).items() for word in ("--parameter", f"{name}={value}")]
    return [*words, *(["--yes"] if yes else []), *(["--quiet"] if quiet else [])]
