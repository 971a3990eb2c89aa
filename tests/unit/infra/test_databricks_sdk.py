"""The vendor's classes, without the vendor's whole package."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from infra.databricks_sdk import databricks
databricks.InstancePool, databricks.PermissionsAccessControlArgs, databricks.Provider
assert "pulumi_databricks.alert" not in sys.modules, "the whole package was imported"
import pulumi_databricks
assert pulumi_databricks is databricks
from pulumi_databricks.instance_pool import InstancePool
assert InstancePool is databricks.InstancePool
assert issubclass(pulumi_databricks.Alert, __import__("pulumi").CustomResource), "other names are found too"
try:
    databricks.NoSuchThing
except AttributeError as error:
    assert "NoSuchThing" in str(error)
else:
    raise AssertionError("a name that is not there was found")
"""


def test_only_what_is_used_is_imported_and_all_else_is_found() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
