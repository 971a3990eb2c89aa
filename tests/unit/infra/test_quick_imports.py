"""Quick imports change the program's duration and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from infra.stack_file import ROOT

REGISTRATIONS = """
import gc, json, sys
gc.disable()  # looking through the SDKs' objects again and again takes half of the time; see tests/unit/conftest.py
if "quick" in sys.argv:
    from infra import quick_aliases, quick_imports
    quick_imports.install()
    quick_aliases.install()
from tests.unit.infra.recorder import deploy
from tests.unit.infra.test_platform import FULL, NETWORKS
made = deploy("prod", network=NETWORKS["private"], **FULL)
rows = sorted(
    [each.urn, dict(each.inputs), each.provider, each.parent, each.protect, sorted(each.ignores),
     sorted(each.depends_on), {k: sorted(v) for k, v in each.reads.items()}, sorted(each.secret_outputs),
     each.aliases]
    for each in made
)
modules = [name for name in sys.modules if name.startswith(("pulumi_azure_native.", "pulumi_databricks."))]
print(json.dumps({"rows": rows, "outputs": made.outputs, "modules": len(modules)}))
"""
OLD_ENGINE = """
import sys
import pulumi
from pulumi.runtime.proto import resource_pb2
if "quick" in sys.argv:
    from infra import quick_aliases
    quick_aliases.install()
class Nothing(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return "id", args.inputs
    def call(self, args):
        return {}
pulumi.runtime.set_mocks(Nothing())
settings = pulumi.runtime.settings.SETTINGS
settings.monitor_features = set(settings.monitor_features) - {resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS}
register, sent = settings.monitor.RegisterResource, []
def record(request):
    sent.append(sorted(request.aliasURNs))
    return register(request)
settings.monitor.RegisterResource = record
@pulumi.runtime.test
def declare():
    renamed = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")])
    parent = pulumi.ComponentResource("a:b:New", "parent", None, renamed)
    retyped = pulumi.ResourceOptions(parent=parent, aliases=[pulumi.Alias(type_="a:b:Old")])
    pulumi.ComponentResource("a:b:New", "child", None, retyped)
declare()
print(sorted(sent))
"""
NAMES = """
from infra import quick_imports
quick_imports.install()
quick_imports.install()
import pulumi_databricks
from pulumi_azure_native import network, storage
from pulumi_azure_native.storage import StorageAccount, get_blob_container_output
from pulumi_databricks.instance_pool import InstancePool
import pulumi
assert storage.StorageAccount is StorageAccount and pulumi_databricks.InstancePool is InstancePool
assert network.PublicIPAddress.__name__ == "PublicIPAddress" and network.SubnetArgs.__name__ == "SubnetArgs"
assert storage.Kind.STORAGE_V2.value == "StorageV2"
assert issubclass(pulumi_databricks.Alert, pulumi.CustomResource), "what the platform does not use is found too"
from pulumi_azure_native import resources
assert resources.ResourceGroupArgs(location="westeurope").location == "westeurope", "arguments of a resource"
assert pulumi_databricks.InstancePoolArgs.__module__ == "pulumi_databricks.instance_pool"
assert resources.GetResourceGroupResult.__module__ == "pulumi_azure_native.resources.get_resource_group"
assert issubclass(resources.AwaitableGetResourceGroupResult, resources.GetResourceGroupResult)
assert pulumi_databricks.alert.Alert is pulumi_databricks.Alert
for missing in ("NoSuchThing", "no_such_module"):
    try:
        getattr(storage, missing)
    except AttributeError as error:
        assert missing in str(error)
    else:
        raise AssertionError(f"{missing} was found")
"""

STARTED = """
import gc, sys
from infra import quick_imports
quick_imports.start_fast()
print(gc.isenabled(), any(type(finder).__module__ == "infra.quick_imports" for finder in sys.meta_path))
"""


def python(code: str, *arguments: str) -> str:
    completed = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


@pytest.fixture(scope="module")
def runs() -> Sequence[dict[str, object]]:
    """Return the registrations of the same program without and with quick imports."""
    return [json.loads(python(REGISTRATIONS, *arguments)) for arguments in ((), ("quick",))]


@pytest.mark.parametrize(("switch", "state"), [(None, "False True"), ("1", "False True"), ("0", "True False")])
def test_the_fast_start_can_be_switched_off(switch: str | None, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATAOPSML_FAST_START", raising=False)
    if switch is not None:
        monkeypatch.setenv("DATAOPSML_FAST_START", switch)
    assert python(STARTED).strip() == state


def test_the_same_resources_are_registered(runs: Sequence[dict[str, object]]) -> None:
    plain, quick = runs
    assert quick["rows"] == plain["rows"]
    assert quick["outputs"] == plain["outputs"]


def test_resources_keep_the_aliases_of_other_api_versions(runs: Sequence[Any]) -> None:
    _, quick = runs
    aliases = [alias for row in quick["rows"] for alias in row[-1]]
    assert any("azure-native:storage/v" in alias for alias in aliases)


def test_an_engine_that_knows_no_alias_specs_gets_their_urns() -> None:
    plain, quick = python(OLD_ENGINE), python(OLD_ENGINE, "quick")
    assert "::a:b:New$a:b:Old::child" in plain, "the URN of the child's alias"
    assert quick == plain


def test_a_fraction_of_the_modules_is_imported(runs: Sequence[dict[str, object]]) -> None:
    plain, quick = (int(str(run["modules"])) for run in runs)
    assert quick * 5 < plain, (quick, plain)


def test_every_name_of_the_sdks_is_resolved() -> None:
    python(NAMES)
