"""Builds played against a machine's localcloud, and their results in the vendors' clients."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from pipelines.rehearsal import ORGANISATION
from tests.e2e.conftest import Machine, Result

STATE = "azblob://state-{}?storage_account=stdataopsmlstate"
_GROUPS = """
import os
from azure.identity import DefaultAzureCredential
from azure.mgmt.resource.resources import ResourceManagementClient
client = ResourceManagementClient(DefaultAzureCredential(), os.environ["AZURE_SUBSCRIPTION_ID"])
"""
_SERVING = """
import json, os
from azure.ai.ml import MLClient
from azure.identity import DefaultAzureCredential
subscription = os.environ["AZURE_SUBSCRIPTION_ID"]
client = MLClient(DefaultAzureCredential(), subscription, "rg-dataops-STACK", "aml-dataops-STACK")
newest = max(client.models.list(name="MODEL"), key=lambda model: int(model.version))
(endpoint,) = (one for one in client.batch_endpoints.list() if one.name.startswith("PREFIX"))
default = endpoint.defaults.deployment_name
runs = sorted(client.jobs.list(), key=lambda job: job.creation_context.created_at)
print("SERVING", json.dumps({"default": default, "tags": newest.tags, "run": runs[-1].status}))
"""


def command(machine: Machine, *words: str) -> list[str]:
    """`pipeline-runner play` as `make rehearse` calls it."""
    runner = str(Path(sys.executable).with_name("pipeline-runner"))
    home, cache = str(machine.home / "rehearsal"), os.environ["LOCALCLOUD_CACHE"]
    return [runner, "play", *words, "--organisation", str(ORGANISATION), "--home", home, "--cache", cache]


def play(machine: Machine, *words: str, timeout: float = 900) -> Result:
    """Play a build in a shell of the machine."""
    return machine.in_shell(*command(machine, *words), timeout=timeout)


def tag_group(machine: Machine, stack: str, owner: str) -> None:
    """Change a declared resource behind the stack's back."""
    code = f'client.resource_groups.update("rg-dataops-{stack}", {{"tags": {{"owner": "{owner}"}}}})'
    tagged = machine.python(_GROUPS + code)
    assert tagged.code == 0, tagged.text


def resource_groups(machine: Machine) -> list[str]:
    listed = machine.python(_GROUPS + "print(*(group.name for group in client.resource_groups.list()))")
    assert listed.code == 0, listed.text
    return listed.text.split()


def serving(machine: Machine, stack: str, model: str = "diabetes") -> dict[str, Any]:
    """Return the endpoint's `default` deployment, the newest model's `tags`, and the newest `run`'s state.

    azure-ai-ml is asked. `model` is the default pipeline's, or a pipeline's of the same name.
    """
    prefix = f"bep-dataops-{stack}-" if model == "diabetes" else f"bep-{model.replace('_', '-')}-"
    code = _SERVING.replace("STACK", stack).replace("PREFIX", prefix).replace("MODEL", model)
    script = machine.python(code)
    assert script.code == 0, script.text
    line = next(line for line in script.text.splitlines() if line.startswith("SERVING "))
    outputs: dict[str, Any] = json.loads(line.removeprefix("SERVING "))
    return outputs
