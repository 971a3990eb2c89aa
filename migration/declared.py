"""The resources that the stack declares, from the engine: `pulumi preview --json --import-file`.

This module does not import the program and repeats no name: logical names, parents and inputs are the engine's.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migration.errors import MigrationError
from migration.kinds import KINDS

Json = dict[str, Any]

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's placeholder for a value that is unknown before the deployment."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A resource of the program. `managed`: it is in the stack's state already. `name` is Azure's, None if unknown."""

    urn: str
    type: str
    logical_name: str
    name: str | None
    inputs: Json
    managed: bool


@dataclass(frozen=True)
class Declaration:
    """`resources` of the types that can be imported; `placeholders` as `pulumi import` wants them, without ids."""

    resources: list[Declared]
    placeholders: list[Json]


def preview(project: Path, stack: str) -> Declaration:
    """Ask the engine. Raises MigrationError with the engine's message when the preview fails."""
    if shutil.which("pulumi") is None:
        raise MigrationError("pulumi is not on PATH: install it, or run `make tools`.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "import.json"
        ran = subprocess.run(
            [
                "pulumi", "preview", "--stack", stack, "--json", "--show-sames", "--import-file", str(file),
                "--non-interactive",
            ],
            cwd=project, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if ran.returncode != 0:
            raise MigrationError(f"`pulumi preview --stack {stack}` failed:\n{_diagnostics(ran)}")
        placeholders = json.loads(file.read_text()).get("resources") or [] if file.exists() else []
    return Declaration(_resources(json.loads(ran.stdout)["steps"]), placeholders)


def _diagnostics(ran: subprocess.CompletedProcess[str]) -> str:
    """Return the diagnostics of a failed preview, which --json writes to its output."""
    try:
        diagnostics = json.loads(ran.stdout).get("diagnostics") or []
    except ValueError:
        return ran.stderr.strip() or ran.stdout.strip()
    return "".join(str(diagnostic.get("message", "")) for diagnostic in diagnostics).strip() or ran.stderr.strip()


def _resources(steps: list[Json]) -> list[Declared]:
    name_inputs = {kind.pulumi: kind.name_input for kind in KINDS.values()}
    states = {step["urn"]: step.get("newState") or step.get("oldState") or {} for step in steps}
    result = []
    for step in steps:
        state = states[step["urn"]]
        if state.get("type") in name_inputs:
            inputs = {key: _known(key, value, state, states) for key, value in (state.get("inputs") or {}).items()}
            name = inputs.get(name_inputs[state["type"]])
            result.append(
                Declared(
                    urn=step["urn"],
                    type=state["type"],
                    logical_name=step["urn"].rsplit("::", 1)[-1],
                    name=name if isinstance(name, str) and name != UNKNOWN else None,
                    inputs=inputs,
                    managed=step["op"] != "create",
                )
            )
    return result


def _known(key: str, value: Any, state: Mapping[str, Any], states: Mapping[str, Json]) -> Any:
    """Replace the unknown name or id of another resource by a reference to that resource."""
    if value != UNKNOWN:
        return value
    sources = (state.get("propertyDependencies") or {}).get(key) or []
    names = {kind.pulumi: kind.name_input for kind in KINDS.values()}
    for urn in sources:
        source = states.get(urn) or {}
        name = (source.get("inputs") or {}).get(names.get(source.get("type", ""), ""))
        if isinstance(name, str) and name != UNKNOWN:
            return Reference(source["type"], name)
    return value


@dataclass(frozen=True)
class Reference:
    """A value that comes from a declared resource: its id or its name."""

    type: str
    name: str

    def matches(self, value: object) -> bool:
        """Return whether an id or name is the resource's."""
        text = str(value or "").rstrip("/")
        return text.rsplit("/", 1)[-1].lower() == self.name.lower()

    def __str__(self) -> str:
        return f"the stack's '{self.name}'"
