"""Two publications of the same content at the same instant: the loser uses the winner's version."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import load_component
from azure.core.exceptions import ResourceNotFoundError
from localcloud.testing.azure_session import AzureSession

from mlops import asset_versions
from tests.integration.mlops.stacks import Stack, make_stack, remove_stack

_COMPONENT = """
$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json
type: command
name: raced
code: ./src
command: python step.py
environment: {environment}
"""


@pytest.fixture(scope="module")
def stack(azure: AzureSession) -> Iterator[Stack]:
    stack = make_stack(azure, "dev", None)
    yield stack
    remove_stack(stack)


class Race:
    """`get` sees nothing at first, as before the other one was done."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._components, self._version = stack.clients.ml.components, "1"
        (folder / "src").mkdir()
        (folder / "src" / "step.py").write_text("print('a step')\n", encoding="utf-8")
        environment = f"azureml:{stack.workspace.environment}"
        file = folder / "component.yml"
        file.write_text(_COMPONENT.format(environment=environment), encoding="utf-8")
        self._component = load_component(source=file)
        self.requests = self.tries = 0

    def get(self) -> Any:
        self.requests += 1
        if self.requests == 1:
            raise ResourceNotFoundError("nobody has made it yet")
        return self._components.get("raced", self._version)

    def make(self) -> Any:
        self.tries += 1
        return self._components.create_or_update(self._component, version=self._version)


def test_the_version_of_the_other_publisher_is_used(stack: Stack, tmp_path: Path) -> None:
    theirs = f"{stack.workspace.id}/components/raced/versions/1"
    step = stack.workspace.azure.arm("GET", stack.step, "2024-04-01").json()["properties"]["componentSpec"]
    stack.workspace.azure.put(theirs, "2024-04-01", {"properties": {"componentSpec": step | {"name": "raced"}}})
    race = Race(stack, tmp_path)

    used = asset_versions.get_or_make(race.get, race.make)

    assert (used.id.lower(), race.requests, race.tries) == (theirs.lower(), 2, 1)
