"""A variable group's values are added to a stack's settings beside the existing ones, through the real CLI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from localcloud.core.settings import Settings, load_settings
from localcloud.engine import provision

from infra.stack_file import stack_settings
from pipelines.agent.configure import ConfigureError, additions, configure

ROOT = Path(__file__).resolve().parents[3]
_DEPLOYER, _PROD = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
_GROUP = {
    "BASE_NAME": "acme", "LOCATION": "northeurope",
    "MLPIPELINE_SP_OBJECT_ID": _DEPLOYER, "MODEL_REGISTRY_USER_OBJECT_ID": _PROD,
}  # fmt: skip


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Provide the project's own Pulumi CLI, with nothing of the developer's, and stacks in a folder."""
    home = tmp_path_factory.mktemp("home")
    tools = provision.ensure(Settings(home=home, cache=load_settings().cache))
    state = home / "state"
    state.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([*map(str, tools.path_entries), os.environ["PATH"]]))
        patch.setenv("PULUMI_HOME", str(tools.pulumi_home))
        patch.setenv("PULUMI_BACKEND_URL", f"file://{state}")
        patch.setenv("PULUMI_CONFIG_PASSPHRASE", "none")
        patch.setenv("PULUMI_SKIP_UPDATE_CHECK", "true")
        for name in _GROUP:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def project(cli: None, tmp_path: Path) -> Path:
    """Copy the committed settings of the project and make the stack staging."""
    for name in ("Pulumi.yaml", "Pulumi.staging.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    command = ["pulumi", "stack", "select", "staging", "--create", "--non-interactive"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def _config(project: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((project / "Pulumi.staging.yaml").read_text(encoding="utf-8"))
    return content["config"]  # type: ignore[no-any-return]


def test_a_variable_group_adds_to_an_object_and_changes_nothing_more(project: Path) -> None:
    expected = _config(project)
    assert expected["dataopsml:model_registry"]["create"] is True

    configure("staging", _GROUP, project)

    expected["dataopsml:base_name"], expected["dataopsml:location"] = "acme", "northeurope"
    expected["dataopsml:access"]["operators"] = [{"object_id": _DEPLOYER, "type": "ServicePrincipal"}]
    expected["dataopsml:model_registry"]["users"] = [{"object_id": _PROD, "type": "ServicePrincipal"}]
    assert _config(project) == expected
    assert stack_settings("staging", project).base_name == "acme"


def test_a_principal_is_appended_to_the_existing_ones_only_once(project: Path) -> None:
    file, group = project / "Pulumi.staging.yaml", "11111111-0000-4000-8000-000000000009"
    known = f"operators:\n      - object_id: {group}\n        type: Group"
    file.write_text(file.read_text(encoding="utf-8").replace("operators: []", known), encoding="utf-8")

    configure("staging", _GROUP, project)
    once = _config(project)
    configure("staging", _GROUP, project)

    assert once["dataopsml:access"]["operators"] == [
        {"object_id": group, "type": "Group"},
        {"object_id": _DEPLOYER, "type": "ServicePrincipal"},
    ]
    assert _config(project) == once


def test_without_variables_the_file_is_not_touched(project: Path) -> None:
    before = (project / "Pulumi.staging.yaml").read_bytes()

    assert configure("staging", dict.fromkeys(_GROUP, ""), project) == {}

    assert (project / "Pulumi.staging.yaml").read_bytes() == before


def test_a_missing_section_is_added() -> None:
    added = additions({"MLPIPELINE_SP_OBJECT_ID": _DEPLOYER}, {"dataopsml:access": None})

    assert added == {
        "dataopsml:access.operators[0].object_id": _DEPLOYER,
        "dataopsml:access.operators[0].type": "ServicePrincipal",
    }


@pytest.mark.parametrize(
    "access", ["all", {"operators": "all"}, {"operators": {"object_id": "x"}}, {"operators": ["x"]}]
)
def test_a_section_of_another_shape_is_named(access: Any) -> None:
    with pytest.raises(ConfigureError, match=r"dataopsml:access\.operators is .*should be a list of principals"):
        additions({"MLPIPELINE_SP_OBJECT_ID": _DEPLOYER}, {"dataopsml:access": access})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"There is no Pulumi\.staging\.yaml"),
        ("config: [", r"Pulumi\.staging\.yaml is not a settings file: "),
        ("- config\n", r"Pulumi\.staging\.yaml is not a settings file: "),
        ("config: text\n", r"Pulumi\.staging\.yaml is not a settings file: "),
    ],
)
def test_an_invalid_settings_file_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "Pulumi.staging.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigureError, match=message):
        configure("staging", _GROUP, tmp_path)


def test_a_stack_that_was_never_made_is_named_in_one_line(project: Path) -> None:
    (project / "Pulumi.staging.yaml").rename(project / "Pulumi.other.yaml")

    completed = subprocess.run(
        [sys.executable, "-m", "pipelines.agent", "configure", "other"],
        cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT), "BASE_NAME": "acme"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert completed.returncode == 1
    assert completed.stderr.startswith("Error: The settings of stack other cannot be written: error: "), (
        completed.stderr
    )
    assert "other" in completed.stderr.split("error: ", 1)[1]
