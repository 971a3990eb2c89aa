"""A stack of an earlier commit works with this checkout: no resource with data or models is replaced.

The earlier commit comes from the repository's history, with an environment of its own. A plain run leaves it out,
since it brings the platform up twice: pytest -m upgrade
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, Machine, free_ports

pytestmark = [pytest.mark.e2e, pytest.mark.upgrade, pytest.mark.timeout(3600)]
EARLIER = "3019f3bc2431f9b37fc8a11fb88fb50f59819344"
_REPLACEABLE = {"databricks:index/instancePool:InstancePool", "databricks:index/permissions:Permissions"}
"""Types of resources that hold nothing and may be made anew; permissions go to the new folder of notebooks."""
_EARLIER_NOTEBOOKS = "/Shared/AzureMLDeployed"

_CLIENT = """
import json, subprocess, sys, time
from azure.ai.ml import Input, MLClient
from azure.identity import DefaultAzureCredential
outputs = json.loads(subprocess.check_output(["pulumi", "stack", "output", "--json", "-s", "local"]))
names = (outputs[name] for name in ("subscription_id", "resource_group", "workspace_name"))
client, endpoint = MLClient(DefaultAzureCredential(), *names), outputs["batch_endpoint"]
"""
_RUN = f"""{_CLIENT}
job = client.batch_endpoints.invoke(
    endpoint, deployment_name=sys.argv[1],
    inputs={{name: Input(type="string", default=value) for name, value in json.loads(sys.argv[2]).items()}},
)
while (status := client.jobs.get(job.name).status) not in ("Completed", "Failed", "Canceled"):
    time.sleep(0.5)
for step in client.jobs.list(parent_job_name=job.name):
    print("step", step.display_name, step.status)
print("ended", getattr(status, "value", status))
"""
_SEEN = f"""{_CLIENT}
job = client.jobs.get(next(iter(client.jobs.list())).name)
print(json.dumps({{
    "default": client.batch_endpoints.get(endpoint).defaults.deployment_name,
    "deployments": [deployment.name for deployment in client.batch_deployments.list(endpoint)],
    "inputs": {{name: value._data for name, value in job.inputs.items()}},  # of literals; `path` is of data alone
    "models": sorted(int(model.version) for model in client.models.list(name="diabetes")),
}}))
"""
_MAKE_DEFAULT = f"""{_CLIENT}
shown = client.batch_endpoints.get(endpoint)
shown.defaults.deployment_name = sys.argv[1]
client.batch_endpoints.begin_create_or_update(shown).result()
"""
_DELETE = f"""{_CLIENT}
client.batch_deployments.begin_delete(sys.argv[1], endpoint).result()
"""
_NOTEBOOKS = """
import json, subprocess, sys
from databricks.sdk import WorkspaceClient
outputs = json.loads(subprocess.check_output(["pulumi", "stack", "output", "--json", "-s", "local"]))
client = WorkspaceClient(
    host=outputs["databricks_host"], azure_workspace_resource_id=outputs["databricks_workspace_id"]
)
print(json.dumps(sorted(item.path for item in client.workspace.list(sys.argv[1]))))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Check out the earlier commit in its own folder."""
    folder = tmp_path_factory.mktemp("earlier") / "checkout"
    known = subprocess.run(["git", "cat-file", "-e", EARLIER], cwd=ROOT, check=False)
    assert known.returncode == 0, f"the history lacks {EARLIER}: fetch it, such as with `git fetch --unshallow`"
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "--quiet", EARLIER], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def earlier(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Make the user's machine with the earlier checkout; localcloud's home outlives the change of checkouts."""
    machine = Machine(home=tmp_path_factory.mktemp("machine") / "localcloud", port=free_ports(), checkout=checkout)
    yield machine
    replace(machine, checkout=ROOT).make("down")
    replace(machine, checkout=ROOT).make("clean")


@pytest.fixture(scope="module")
def now(earlier: Machine) -> Machine:
    return replace(earlier, checkout=ROOT)


def evaluate(machine: Machine, code: str, *arguments: str) -> Any:
    """Return the JSON that a user's script prints last."""
    result = machine.python(code, *arguments)
    assert result.code == 0, result.text
    return json.loads(result.text.strip().splitlines()[-1])


def resources(machine: Machine) -> dict[str, dict[str, Any]]:
    """Return the stack's resources by type and name: a parent may change, and aliases name the earlier one."""
    exported = machine.in_shell("pulumi", "stack", "export", "--stack", "local")
    assert exported.code == 0, exported.text
    held = json.loads(exported.text[exported.text.index("{") :])["deployment"]["resources"]
    custom = (resource for resource in held if resource.get("custom"))
    return {f"{resource['type']}::{resource['urn'].rsplit('::', 1)[-1]}": resource for resource in custom}


@pytest.fixture(scope="module")
def before(earlier: Machine) -> dict[str, Any]:
    """Bring the earlier stack up, publish and train once."""
    up = earlier.make("up", timeout=1500)
    assert up.code == 0, up.text
    seen: dict[str, Any] = evaluate(earlier, _SEEN)
    seen["resources"] = resources(earlier)
    seen["notebooks"] = evaluate(earlier, _NOTEBOOKS, _EARLIER_NOTEBOOKS)
    assert seen["models"] == [1]
    assert earlier.make("down").code == 0
    return seen


@pytest.fixture(scope="module")
def upgraded(before: dict[str, Any], now: Machine) -> dict[str, Any]:
    up = now.make("up", timeout=1500)
    assert up.code == 0, up.text
    seen: dict[str, Any] = evaluate(now, _SEEN)
    seen["resources"] = resources(now)
    return seen


def test_nothing_that_holds_data_or_models_is_replaced(before: dict[str, Any], upgraded: dict[str, Any]) -> None:
    after = upgraded["resources"]
    for urn, resource in before["resources"].items():
        if resource["type"].startswith("pulumi:providers:") or resource["type"] in _REPLACEABLE:
            continue
        assert urn in after, f"{urn} was deleted"
        assert (after[urn]["id"], after[urn]["created"]) == (resource["id"], resource["created"]), f"{urn} was replaced"
    assert 1 in upgraded["models"], "the registered version is kept, and numbers go on from it"


def test_earlier_published_versions_still_exist(before: dict[str, Any], upgraded: dict[str, Any], now: Machine) -> None:
    assert set(before["deployments"]) <= set(upgraded["deployments"])
    assert upgraded["default"] not in before["deployments"], "the new code is published beside it"
    assert evaluate(now, _NOTEBOOKS, _EARLIER_NOTEBOOKS) == before["notebooks"]


def test_the_earlier_deployment_still_runs(before: dict[str, Any], upgraded: dict[str, Any], now: Machine) -> None:
    inputs = {name: str(value) for name, value in before["inputs"].items()}
    ran = now.python(_RUN, before["default"], json.dumps(inputs))

    assert ran.code == 0, ran.text
    assert re.search(r"^ended Completed$", ran.text, re.MULTILINE), ran.text


def test_the_endpoint_can_be_rolled_back_and_moved_on(
    before: dict[str, Any], upgraded: dict[str, Any], now: Machine
) -> None:
    moved = now.python(_MAKE_DEFAULT, before["default"])
    assert moved.code == 0, moved.text
    assert evaluate(now, _SEEN)["default"] == before["default"]
    pruned = now.in_shell("python", "-m", "mlops", "prune", "--stack", "local")
    assert pruned.code == 0, pruned.text
    assert evaluate(now, _NOTEBOOKS, _EARLIER_NOTEBOOKS) == before["notebooks"], "a deployment names them"

    again = now.make("up", timeout=1500)

    assert again.code == 0, again.text
    assert not re.search(r"\d+ (replaced|deleted)", again.text), again.text


def test_notebooks_without_a_deployment_are_deleted(
    before: dict[str, Any], upgraded: dict[str, Any], now: Machine
) -> None:
    back = now.python(_MAKE_DEFAULT, upgraded["default"])
    assert back.code == 0, back.text
    for deployment in before["deployments"]:
        deleted = now.python(_DELETE, deployment)
        assert deleted.code == 0, deleted.text

    pruned = now.in_shell("python", "-m", "mlops", "prune", "--stack", "local")

    assert pruned.code == 0, pruned.text
    assert evaluate(now, _NOTEBOOKS, _EARLIER_NOTEBOOKS) == []
