"""The stack's outputs, from Pulumi or from a CI stage's file: mlops has no other knowledge of a stack."""

from __future__ import annotations

import difflib
import json
import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from contract.outputs import OutputsError, PlatformOutputs, read_outputs
from mlops.errors import InvalidError, MissingError, RemoteError
from mlops.failures import CHECK_CONNECTION, NO_CONNECTION

_CONTAINER = re.compile(r"(?<=/)state-[^/?]+")
"""Name of a container, in the form of the bootstrap."""
_NO_STACK = re.compile(r"no stack named|ContainerNotFound|container (?:\S+ )?does not exist")
_ROOT = Path(__file__).resolve().parents[1]


def load_outputs(stack: str, file: Path | None = None) -> PlatformOutputs:
    """Return the validated outputs of `stack`; `file`, if any, has the output of `pulumi stack output --json`.

    Raises MissingError, InvalidError or RemoteError.
    """
    text = _from_file(file) if file is not None else _from_pulumi(stack)
    source = str(file) if file is not None else f"`pulumi stack output --json --stack {stack}`"
    try:
        values: Any = json.loads(text)
    except ValueError as error:
        raise InvalidError(f"{source} is not JSON: {error}.") from error
    if not isinstance(values, dict):
        raise InvalidError(f"{source} is not a JSON object of outputs by name.")
    try:
        return read_outputs(values, stack)
    except OutputsError as error:
        raise InvalidError(str(error)) from error


def load_own_outputs(stack: str, file: Path | None = None) -> PlatformOutputs:
    """Return the outputs as `load_outputs` does. Raises InvalidError too for a file of another stack.

    A promotion between two stacks names both: with the wrong file it would promote from, or to, a third one.
    """
    outputs = load_outputs(stack, file)
    name = stack.rpartition("/")[2]
    if file is not None and outputs.environment != name:
        raise InvalidError(
            f"{file} has the outputs of stack {outputs.environment}, not of {name}: write it with `pulumi stack output "
            f"--json --stack {stack}`."
        )
    return outputs


def loading(stack: str, file: Path | None = None) -> Callable[[], PlatformOutputs]:
    """Begin with `load_outputs` and return a function that waits for it: Pulumi and the caller run meanwhile."""
    threads = ThreadPoolExecutor(1)
    future = threads.submit(load_outputs, stack, file)
    threads.shutdown(wait=False)
    return future.result


def _from_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingError(f"There is no outputs file {file}: write it with `pulumi stack output --json`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(f"The outputs file {file} cannot be read: {error}.") from error


def stack_names(root: Path = _ROOT) -> list[str]:
    """Return the stacks that have a settings file in the checkout, sorted."""
    return sorted(file.name.split(".")[1] for file in root.glob("Pulumi.*.yaml"))


def _from_pulumi(stack: str) -> str:
    """Read from the backend that is signed in to, else from the stack's own container beside it."""
    words = ("stack", "output", "--json", "--stack", stack)
    completed = _pulumi(*words)
    reason, own = "", None
    if completed.returncode and "no stack named" in completed.stderr:
        own = _own_backend(stack)
        reason = f"{_cause(completed.stderr)}\nAnd in its own container, {own}:\n" if own else ""
        completed = _pulumi(*words, PULUMI_BACKEND_URL=own) if own else completed
        if completed.returncode and _NO_STACK.search(completed.stderr):
            raise MissingError(_unknown_stack(stack, own))
    if completed.returncode:
        cause = _cause(completed.stderr or completed.stdout)
        raise RemoteError(f"The outputs of stack {stack} cannot be read.\n{reason}{cause}")
    return completed.stdout


def _unknown_stack(stack: str, own: str | None) -> str:
    """Return one line: the searched backend, and similar names."""
    known = stack_names()
    close = difflib.get_close_matches(stack, known, n=2)
    if stack in known:
        hint = f"bring it up with `make up STACK={stack}` or `pulumi up --stack {stack}`."
    else:
        hint = f"did you mean {' or '.join(close)}?" if close else f"this checkout has {', '.join(known)}."
    return f"There is no stack {stack!r}{f', nor a container for it, {own}' if own else ''}: {hint}"


def _pulumi(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["pulumi", *words, "--non-interactive"]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=_ROOT,
            env=os.environ | variables,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise MissingError("`pulumi` is not on PATH: install it, or set up the shell first.") from error


def _own_backend(stack: str) -> str | None:
    """Return the backend with the name of the stack's own container, None if it is the shell's.

    Each environment's state is in a container of its own, and a promotion needs two of them.
    """
    backend = os.environ.get("PULUMI_BACKEND_URL", "")
    if not backend:
        try:
            backend = str(json.loads(_pulumi("whoami", "--json").stdout)["url"])
        except (ValueError, KeyError, TypeError):
            return None
    own = _CONTAINER.sub(f"state-{stack.rpartition('/')[2]}", backend)
    return None if own == backend else own


def _cause(text: str) -> str:
    """Entra's own sentence where signing in failed, else the end of Pulumi's output."""
    if refused := re.search(r"AADSTS\d+: [^\r\n\"]*", text):
        return refused[0]
    lines = [line.rstrip() for line in text.splitlines() if line.strip()][-12:]
    if NO_CONNECTION.search(text):
        lines.append(CHECK_CONNECTION)
    return "\n".join(lines)
