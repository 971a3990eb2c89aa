"""A stack of the product's program on a localcloud, its updates as `make up` runs them, and the processes to kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import psutil
from localcloud.core import process_marks
from localcloud.gateway import instance
from localcloud.testing.cloud import Cloud

from tests.integration.infra.project import Project

_SETTINGS = {
    "location": "westeurope",
    "owner": "mlops@example.com",
    "cost_center": "faults",
    "key_vault": {"soft_delete_days": 7, "purge_protection": False},
    "training_data": {"replication": "LRS"},
    "unity_catalog": {"enabled": True},
}
_RULES: dict[str, dict[str, Any]] = {
    "429": {"status": 429, "retry_after": 1, "rate": 0.1, "code": "TooManyRequests"},
    "500": {"status": 500, "rate": 0.03, "code": "InternalServerError"},
    "503": {"status": 503, "retry_after": 1, "rate": 0.1, "code": "ServiceUnavailable"},
    "drops": {"drop": True, "rate": 0.05},
    "lost answers": {"lose": True, "rate": 0.05},
    "slowness": {"delay": 2, "rate": 0.1},
}
INJECTED = tuple(_RULES)
_FAULTS = """
import json, os, sys
import requests
from azure.identity import EnvironmentCredential
token = EnvironmentCredential().get_token("https://management.azure.com/.default").token
url, headers = sys.argv[1], {"Authorization": f"Bearer {token}"}
requests.delete(url, headers=headers, timeout=60).raise_for_status()
for rule in json.loads(sys.argv[2]):
    requests.post(url, json=rule, headers=headers, timeout=60).raise_for_status()
"""
_CHANGED = re.compile(r" (?:created|updated|deleted)\b.*\(\d")
STACK = "faults"
_LONGEST_SECONDS = 400
_PATIENCE = 20


@dataclass
class Command:
    """A command that runs in a session of its own; `lines` grow while it does."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line)

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def until(self, condition: Callable[[str], bool]) -> bool:
        """Wait until the output fulfils the condition; False if the command ends before."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        while not condition(self.text):
            if self.ended():
                self._reader.join(10)
                return condition(self.text)
            assert time.monotonic() < deadline, self.text
            time.sleep(0.02)
        return True

    def wait(self) -> int:
        """Return the exit code. A command that does not end is killed, with all its children."""
        try:
            code = self.process.wait(_LONGEST_SECONDS)
        except subprocess.TimeoutExpired as error:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise AssertionError(f"{self.process.args!r} does not end:\n{self.text}") from error
        self._reader.join(10)
        return code


def changes(text: str) -> int:
    """Count the resources that an update reports as created, updated or deleted."""
    return len(_CHANGED.findall(text))


def has_changed(count: int) -> Callable[[str], bool]:
    """Return the condition that an update has changed so many resources."""
    return lambda text: changes(text) >= count


@dataclass(frozen=True)
class Platform:
    """`project` is the checkout's program with a stack file of the test's own."""

    cloud: Cloud
    project: Project
    base: str

    @classmethod
    def make(cls, cloud: Cloud, folder: Path, base: str) -> Platform:
        project = Project.make(folder, cloud.environment)
        project.settings(STACK, {"base_name": base, **_SETTINGS})
        init = project.pulumi("stack", "init", stack=STACK)
        assert init.code == 0, init.text
        return cls(cloud, project, base)

    def start(self, *argv: str, **variables: str) -> Command:
        process = subprocess.Popen(
            argv, cwd=self.project.folder, env={**os.environ, **self.project.environment, **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        return Command(process)

    def update(self, verb: str = "up", **variables: str) -> Command:
        """Start `up` or `destroy` as the Makefile does."""
        engine = ("pulumi", verb, "--stack", STACK, "--yes", "--skip-preview", "--non-interactive", "--color", "never")
        mend = ("--mend", "localcloud.engine.stale_locks", "--stack", STACK)
        return self.start(sys.executable, "-m", "pipelines.up", *mend, "--", *engine, **variables)

    def mlops(self, *words: str) -> Command:
        """Start a verb of mlops on the stack's outputs."""
        return self.start(sys.executable, "-m", "mlops", *words, "--outputs", str(self.outputs))

    @property
    def outputs(self) -> Path:
        file = self.project.folder / "outputs.json"
        if not file.exists():
            printed = self.project.pulumi("stack", "output", "--json", "--show-secrets", stack=STACK)
            assert printed.code == 0, printed.text
            file.write_text(printed.text, encoding="utf-8")
        return file

    def kill(self, victim: str, update: Command) -> None:
        """Send SIGKILL to the engine, the gateway, Azurite or MLflow."""
        settings = self.cloud.settings
        process: psutil.Process | None
        if victim == "engine":
            children = psutil.Process(update.process.pid).children()
            process = next((child for child in children if "pulumi" in child.name()), None)
        elif victim == "gateway":
            process = instance.gateway(settings)
        else:
            process = process_marks.marked(process_marks.children_folder(settings) / f"{victim.lower()}.pid")
        assert process is not None, f"there is no {victim}"
        process.kill()

    @contextmanager
    def faults(self, *rules: dict[str, Any]) -> Iterator[None]:
        """Put rules of fault injection in force."""
        self._set_faults(rules)
        try:
            yield
        finally:
            self._set_faults(())

    def injected(self, kind: str) -> AbstractContextManager[None]:
        """Let a share of all requests meet one of INJECTED."""
        return self.faults(_RULES[kind])

    def _set_faults(self, rules: Sequence[dict[str, Any]]) -> None:
        """Replace the rules, also where one of them hits this very request."""
        url = f"{self.cloud.settings.gateway_url}/_localcloud/faults"
        for _ in range(_PATIENCE):
            completed = self.project.run(sys.executable, "-c", _FAULTS, url, json.dumps(rules))
            if completed.code == 0:
                return
        raise AssertionError(completed.text)

    def recover(self) -> None:
        """Prepare as `make up` does before its update."""
        started = self.cloud.command("start")
        assert started.returncode == 0, started.stdout + started.stderr

    def state(self) -> dict[str, Any]:
        exported = self.project.pulumi("stack", "export", stack=STACK)
        assert exported.code == 0, exported.text
        deployment: dict[str, Any] = json.loads(exported.text[exported.text.index("{") :])["deployment"]
        return deployment

    def has(self, pattern: str) -> bool:
        """Return whether the state has a resource whose id matches a pattern of fnmatch. Parts of it do not count."""
        ids = (str(resource.get("id")) for resource in self.state().get("resources") or [])
        return any(fnmatch(id_, pattern) and id_.count("/") == 8 + 2 * pattern.count("computes") for id_ in ids)

    def check_whole(self) -> None:
        """Assert that the stack equals its program, in state and in Azure, without anything else."""
        state = self.state()
        assert not state.get("pending_operations"), state["pending_operations"]
        for words in (
            ("refresh", "--yes", "--skip-preview", "--expect-no-changes"),
            ("preview", "--expect-no-changes"),
        ):
            same = self.project.pulumi(*words, stack=STACK)
            assert same.code == 0, same.text

    def destroy(self) -> None:
        """Destroy the stack, free its names and remove it, so that the next test can make one of its name."""
        destroyed = self.update("destroy")
        assert destroyed.wait() == 0, destroyed.text
        purged = self.project.purge(STACK)
        assert purged.code == 0, purged.text
        removed = self.project.pulumi("stack", "rm", "--yes", stack=STACK)
        assert removed.code == 0, removed.text
