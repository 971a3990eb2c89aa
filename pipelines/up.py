"""`python -m pipelines.up [--mend MODULE --stack NAME] -- pulumi up …`: run the engine, and once more if that helps.

A second run follows in three cases. After an update that failed only because role assignments had no effect yet
(CAUSES): Azure answers an assignment before it has, and the effect of another identity's roles cannot be read. When
`python -m MODULE --stack NAME` exits 0, which is run where the engine did not start an update, such as for the lock of
a killed engine. And after a moment where the stack was locked: of two engines that start at the same instant each may
see the other's lock and give up (pulumi/pulumi pkg/backend/diy/lock.go, `Lock`: it writes its own, then looks for
others).

The engine's events are read from the file that Pulumi's own Automation API reads them from
(pulumi/automation/_stack.py: `--event-log` with PULUMI_DEBUG_COMMANDS): the terminal's output stays the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from pipelines.state import pending


@dataclass(frozen=True)
class Cause:
    """An error that a role assignment without effect causes, with its source."""

    pattern: re.Pattern[str]
    role: str


CAUSES = (
    # People report it whose first deployment made the roles and the workspace together; Azure/bicep#16601 is the same
    # race. Some report that Azure ML then refuses the same workspace name for tens of minutes: where that happens,
    # the second run fails as well, with its own error.
    Cause(re.compile(r"User assigned identity doesn't have enough permissions"), "the ML workspace's identity"),
    # ARM's own text: "this error might be related to a replication delay".
    Cause(re.compile(r'Code="PrincipalNotFound"'), "an identity that is seconds old"),
    # Azure/azure-rest-api-specs#9467: "the endpoint often comes back with HTTP 201 before the role is in place".
    Cause(re.compile(r"AuthorizationPermissionMismatch"), "a role on storage"),
    # Databricks reads the storage as the access connector's identity when an external location is made.
    Cause(
        re.compile(r"(Azure )?Managed Identity.* does not have .* permissions on url", re.IGNORECASE | re.DOTALL),
        "the access connector's identity",
    ),
)


_LOCKED = b"the stack is currently locked by"
_PAUSE_SECONDS = (1.0, 6.0)
"""The shortest and the longest wait for another engine: random waits let one of two that gave up begin first."""
_RELAY_SECONDS = 5
"""Time for the rest of the engine's errors: a plugin of a killed engine may hold the stream open for longer."""
_VERBS = frozenset({"up", "destroy", "refresh"})
_AFTERMATH = re.compile(r"context canceled|update canceled")
"""Messages of resources that the engine had in hand when it stopped because of another one's error."""


def errors_of(lines: Sequence[str]) -> list[str]:
    """Return the error messages about single resources in an event log; the engine's summary is about the stack."""
    messages = []
    for line in lines:
        event: dict[str, Any] = json.loads(line)
        diagnostic = event.get("diagnosticEvent") or {}
        urn, message = str(diagnostic.get("urn") or ""), str(diagnostic.get("message") or "")
        single = urn and "::pulumi:pulumi:Stack::" not in urn
        if diagnostic.get("severity") == "error" and single and not _AFTERMATH.search(message):
            messages.append(message)
    return messages


def causes_of(errors: Sequence[str]) -> list[Cause]:
    """Return the errors that role assignments caused; nothing if an error has another cause, which stays."""
    causes = [next((cause for cause in CAUSES if cause.pattern.search(error)), None) for error in errors]
    return [] if None in causes else list(dict.fromkeys(cause for cause in causes if cause is not None))


def run(command: Sequence[str], mend: Sequence[str]) -> int:
    """Run the engine, twice if that is worth it. Return its last exit code."""
    code, lines, locked = _engine(command)
    if code != 0:
        causes = causes_of(errors_of(lines))
        if causes:
            roles = ", ".join(cause.role for cause in causes)
            sys.stdout.write(f"Role assignments had no effect yet ({roles}). Trying once more.\n")
        elif lines:
            return code
        elif mend and subprocess.run(mend, check=False).returncode == 0:
            pass  # the module has printed its repair
        elif locked:
            pause = random.uniform(*_PAUSE_SECONDS)  # noqa: S311 -- chance, not a secret
            sys.stdout.write(f"Another update has locked the stack. Trying once more in {pause:.1f} s.\n")
            sys.stdout.flush()
            time.sleep(pause)
        else:
            if damage := _damage_of_state(command):
                sys.stderr.write(f"{damage}\n")
            return code
        sys.stdout.flush()
        code, lines, _ = _engine(command)
    if code == 0 and any(pending.WARNING in line for line in lines):
        sys.stdout.write(f"{pending.clear(_program(command), _stack(command))}\n")
    return code


def _engine(command: Sequence[str]) -> tuple[int, list[str], bool]:
    """Run the engine. Return its exit code, its event log's lines (none without an update), and whether it was locked.

    The engine gets Ctrl-C from the terminal as well and ends its update in order: this process waits for it.
    """
    with tempfile.TemporaryFile() as log:  # a file without a name: nothing is left if this process is killed
        descriptor = log.fileno()
        process = subprocess.Popen(
            [*command, "--event-log", f"/dev/fd/{descriptor}"],
            env=os.environ | {"PULUMI_DEBUG_COMMANDS": "true"}, pass_fds=(descriptor,), stderr=subprocess.PIPE,
        )  # fmt: skip
        errors: list[bytes] = []
        relay = threading.Thread(target=_relay, args=(process.stderr, errors), daemon=True)
        relay.start()
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
        relay.join(_RELAY_SECONDS)
        log.seek(0)
        # An engine that was killed leaves half a line.
        lines = log.read().decode("utf-8", "replace").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return code, whole, any(_LOCKED in line for line in errors)


def _relay(stream: IO[bytes], lines: list[bytes]) -> None:
    """Pass the engine's error stream on as it comes, and keep it."""
    for line in stream:
        lines.append(line)
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


def _program(command: Sequence[str]) -> Sequence[str]:
    """Return the words before the engine's verb: the program and its global options."""
    return command[: next(index for index, word in enumerate(command) if word in _VERBS)]


def _stack(command: Sequence[str]) -> str:
    return command[command.index("--stack") + 1] if "--stack" in command[:-1] else ""


def _damage_of_state(command: Sequence[str]) -> str:
    """Return the fault of the command's stack's state and its remedy; empty for a whole state."""
    from azure.core.exceptions import AzureError

    from pipelines.state.backend import BackendError, container_of, project_name

    stack = _stack(command)
    try:
        current, _ = container_of(os.environ.get("PULUMI_BACKEND_URL", ""), project_name(), stack).current()
    except (AzureError, BackendError):
        return ""  # the engine has printed the problem with its backend
    if current is None or not current.damage:
        return ""
    return (
        f"The state of stack {stack} is damaged: {current.damage}. `make state-restore STACK={stack}` lists its copies."
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pipelines.up", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--mend", help="Module that runs when the engine did not start an update.")
    parser.add_argument("--stack", default="", help="Stack that the module checks.")
    parser.add_argument("command", nargs="+", help="The engine's command, after --.")
    arguments = parser.parse_args()
    try:
        mend = [sys.executable, "-m", arguments.mend, "--stack", arguments.stack] if arguments.mend else []
        return run(arguments.command, mend)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
