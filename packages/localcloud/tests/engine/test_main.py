"""`python -m localcloud.engine`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from localcloud.core.settings import Settings
from localcloud.engine.ready import leave_own_proxy, print_table
from localcloud.engine.toolchain import Toolchain


def test_installs_bypass_localcloud_s_own_proxy_but_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9901")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")

    leave_own_proxy(Settings(home=tmp_path, cache=tmp_path, port=9900))

    assert "HTTPS_PROXY" not in os.environ
    assert os.environ["https_proxy"] == "http://proxy.example:3128"


def test_a_failure_is_one_message_and_the_exit_code(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    completed = subprocess.run(
        [sys.executable, "-m", "localcloud.engine"],
        env={**os.environ, "LOCALCLOUD_CACHE": str(blocked / "cache"), "LOCALCLOUD_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 1
    assert f"The tool cache {blocked}/cache cannot be created" in completed.stderr
    assert "Traceback" not in completed.stderr


def test_the_table_of_tools_names_the_vendors_plugins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    tool = tmp_path / "tool"
    toolchain = Toolchain(
        pulumi=tool, java_home=tool, node=tool, azurite_blob=[str(tool)], abfs_jars=[tool], delta_jars=[tool],
        python=tool, notebook_python=tool, pulumi_home=tmp_path, path_entries=[],
        origins={"Node.js": "PATH", "Plugin databricks": "vendor /opt/bin/pulumi-resource-databricks"},
    )  # fmt: skip
    print_table(toolchain, 0.5)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in capsys.readouterr().out.splitlines()]
    assert ["Plugin databricks", "vendor", "/opt/bin/pulumi-resource-databricks"] in rows
    assert ["Node.js", "PATH", str(tool)] in rows
