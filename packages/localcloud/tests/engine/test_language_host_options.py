"""The Python of a project, and the providers of an environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from localcloud.engine.language_host import inspect_environment
from localcloud.engine.language_host.install_dependencies import install_steps
from localcloud.engine.language_host.options import OptionsError, PythonOptions


def test_without_options_the_host_s_own_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_PYTHON_CMD", raising=False)
    assert PythonOptions.parse("/project", {}).python() == Path(sys.executable)


def test_a_named_python_command_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_PYTHON_CMD", "python9.9")
    with pytest.raises(OptionsError, match=r"PULUMI_PYTHON_CMD is 'python9\.9', which is not a program on PATH"):
        PythonOptions.parse("/project", {}).python()


def test_a_virtualenv_is_relative_to_the_project(tmp_path: Path) -> None:
    python = tmp_path / "own" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "own" / "pyvenv.cfg").touch()
    options = PythonOptions.parse(str(tmp_path), {"virtualenv": "own"})
    assert options.python() == python
    assert options.environment()["VIRTUAL_ENV"] == str(tmp_path / "own")
    assert options.environment()["PATH"].startswith(f"{tmp_path}/own/bin:")


def test_uv_projects_have_their_environment_in_dot_venv() -> None:
    assert PythonOptions.parse("/project", {"toolchain": "uv"}).virtualenv == Path("/project/.venv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"toolchain": "conda"}, "runtime.options.toolchain is 'conda'; use pip, uv or poetry"),
        ({"typechecker": "pytype"}, "runtime.options.typechecker is 'pytype'; use mypy or pyright"),
        ({"virtualenv": 3}, "runtime.options.virtualenv is 3; it must be a string"),
    ],
)
def test_unsupported_options_are_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionsError) as caught:
        PythonOptions.parse("/project", options)
    assert message in str(caught.value)


def test_install_makes_the_environment_then_the_requirements(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").touch()
    steps = install_steps(PythonOptions.parse(str(tmp_path), {"virtualenv": "own"}), tmp_path)
    assert [step[1:3] for step in steps] == [["-m", "venv"], ["-m", "pip"]]
    assert steps[1][0] == str(tmp_path / "own" / "bin" / "python")


@pytest.mark.parametrize(
    ("version", "expected"),
    [("3.29.0", "3.29.0"), ("1.2", "1.2.0"), ("1.2.3a4", "1.2.3-alpha.4"), ("2.0.0rc1", "2.0.0-rc.1")],
)
def test_python_versions_become_the_engine_s(version: str, expected: str) -> None:
    assert inspect_environment.semver(version) == expected


def test_the_plugins_of_a_program_are_the_installed_providers() -> None:
    script = Path(inspect_environment.__file__)
    answer = subprocess.run([sys.executable, script, "plugins"], capture_output=True, text=True, check=True)
    providers = json.loads(answer.stdout)
    assert providers == inspect_environment.plugins(), "the same from outside and from inside of the environment"
    assert {provider["name"] for provider in providers} >= {"azure-native", "databricks"}
    assert all(provider["version"].startswith("v") for provider in providers)


def test_dependencies_leave_out_indirect_ones() -> None:
    every = {package["name"].lower() for package in inspect_environment.distributions(transitive=True)}
    direct = {package["name"].lower() for package in inspect_environment.distributions(transitive=False)}
    assert direct < every
    assert "grpcio" in every - direct, "pulumi brings it"
