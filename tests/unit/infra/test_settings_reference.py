"""The reference page and Pulumi.yaml equal the settings."""

from __future__ import annotations

import yaml

from infra import settings_reference as reference
from infra.settings import Settings
from tests.unit.infra.test_settings import LEAVES

ADVICE = "run `python -m infra.settings_reference`"


def test_the_page_is_up_to_date() -> None:
    assert reference.REFERENCE.read_text(encoding="utf-8") == reference.reference(), ADVICE


def test_the_page_has_every_setting() -> None:
    page = reference.reference()
    for path in LEAVES:
        assert path == "environment" or f"| `{path}` |" in page, path


def test_pulumi_yaml_is_up_to_date() -> None:
    text = reference.PROJECT_FILE.read_text(encoding="utf-8")
    assert text == reference.project_file(text), ADVICE


def test_pulumi_yaml_describes_every_setting_with_its_default() -> None:
    config = yaml.safe_load(reference.PROJECT_FILE.read_text(encoding="utf-8"))["config"]
    assert set(config) == {f"dataopsml:{name}" for name in Settings.model_fields if name != "environment"}
    for name, declared in config.items():
        assert declared["description"] and "default" in declared and declared["type"] in ("string", "object"), name


def test_defaults_are_the_model_s() -> None:
    config = yaml.safe_load(reference.PROJECT_FILE.read_text(encoding="utf-8"))["config"]
    values = {name.removeprefix("dataopsml:"): declared["default"] for name, declared in config.items()}
    values |= {"environment": "dev", "base_name": "dataops", "location": "westeurope", "owner": "a@example.com",
              "cost_center": "x"}  # fmt: skip
    plain = {name: values[name] for name in ("environment", "base_name", "location", "owner", "cost_center")}
    assert Settings.model_validate(values) == Settings.model_validate(plain)
