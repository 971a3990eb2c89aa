"""Settings of the bootstrap: refusals, all at once and by path."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from bootstrap import __main__ as command_line
from bootstrap.engine import BootstrapError, Engine, PulumiError
from bootstrap.settings import SettingsError, read_settings
from tests.unit.bootstrap.recorder import config, settings
from tests.unit.environments import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[3]
_DEVOPS: dict[str, Any] = {
    "organization": "contoso", "project": "p", "repository": {"name": "r"},
}  # fmt: skip
_TENANT = "22222222-2222-2222-2222-222222222222"
_ISSUER, _OLD = f"https://login.microsoftonline.com/{_TENANT}/v2.0", f"https://vstoken.dev.azure.com/{_TENANT}"


def _connections(name: str, issuer: str, subject: str, *, enabled: bool = False) -> dict[str, Any]:
    presented = {name: {"issuer": issuer, "subject": subject}}
    return {"azure_devops": {**_DEVOPS, "enabled": enabled, "connections": presented}}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"base_name": "Data-Ops"}, "base_name = 'Data-Ops': must be 1 to 10 lowercase letters and digits"),
        ({"allowed_ips": ["10.0.0.4"]}, "allowed_ips.0 = '10.0.0.4': is not a public range"),
        ({"allowed_ips": ["203.0.113.1", "here"]}, "allowed_ips.1 = 'here': must be a public IPv4 address or range"),
        ({"allowed_ips": ["203.0.113.4/31"]}, "is a /31 range"),
        ({"base_name": "elevenchars"}, "'elevenchars'"),
        ({"location": "West Europe"}, "location = 'West Europe'"),
        ({"owner": ""}, "owner = ''"),
        ({"environments": []}, "environments = []"),
        ({"environments": [{"name": "Dev"}]}, "environments.0.name = 'Dev'"),
        ({"environments": [{"name": "dev"}, {"name": "dev"}]}, "names of their own"),
        ({"environments": [{"name": "preview"}]}, "not ['preview']"),
        ({"environments": [{"name": "dev", "subscription_id": "mine"}]}, "environments.0.subscription_id = 'mine'"),
        ({"environments": [{"name": "dev", "approvers": ["me"]}]}, "environments.0.approvers.0 = 'me'"),
        ({"environments": [{"name": "dev", "approval_minutes": 0}]}, "environments.0.approval_minutes = 0"),
        (
            _connections("DataOpsML ARM Connection", "https://token.actions.githubusercontent.com", "/eid1/c"),
            "issuer = 'https://token.actions.githubusercontent.com': is no issuer of a service connection",
        ),
        (
            _connections("DataOpsML ARM Connection", _ISSUER, "sc://o/p/c"),
            "subject = 'sc://o/p/c': should begin with /eid1/",
        ),
        (_connections("DataOpsML ARM Connection", _OLD, "/eid1/c"), "subject = '/eid1/c': should begin with sc://"),
        (
            _connections("DataOpsML ARM Connection - nowhere", _ISSUER, "/eid1/c"),
            "connections names ['DataOpsML ARM Connection - nowhere']; the pipelines use ['DataOpsML ARM Connection', ",
        ),
        (
            _connections("DataOpsML ARM Connection", _ISSUER, "/eid1/c", enabled=True),
            "connections are made by the bootstrap itself while `enabled` is true",
        ),
        ({"azure_devops": {**_DEVOPS, "repository": {"kind": "gitlab", "name": "r"}}}, "azure_devops.repository.kind"),
        ({"azure_devops": {**_DEVOPS, "repository": {"kind": "github", "name": "o/r"}}}, "needs connection_id"),
        ({"azure_devops": {**_DEVOPS, "token": "secret"}}, "azure_devops.token: there is no such setting"),
        ({"environments": [{"name": "dev"}, {"name": "live"}]}, "every commit would reach live by itself"),
        ({"operators": [{"object_id": "me"}]}, "operators.0.object_id = 'me'"),
        ({"soft_delete_days": 3}, "soft_delete_days = '3'"),
        ({"replication": "RAID"}, "replication = 'RAID'"),
        ({"location": "westus"}, "replication = 'ZRS': is not available in westus, which has no availability zones"),
        ({"protect": "perhaps"}, "protect = 'perhaps'"),
    ],
)
def test_an_invalid_setting_is_named_with_its_value(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**changes)
    assert path in str(caught.value)
    assert "nothing was changed" in str(caught.value)


def test_a_last_environment_has_no_approval_only_if_the_settings_declare_it() -> None:
    assert settings(environments=[{"name": "dev"}, {"name": "live", "unapproved": True}]).names == ["dev", "live"]


def test_a_text_of_digits_is_a_text_everywhere() -> None:
    parsed = settings(cost_center="4711", azure_devops={**_DEVOPS, "enabled": False, "project": 2026})
    assert (parsed.cost_center, parsed.azure_devops.project) == ("4711", "2026")
    assert (parsed.soft_delete_days, parsed.protect) == (90, True)
    assert settings(soft_delete_days="30", protect="false").model_dump(include={"soft_delete_days", "protect"}) == {
        "soft_delete_days": 30,
        "protect": False,
    }


def test_all_errors_are_reported_at_once() -> None:
    invalid = config(soft_delete_days=3, base_name="Data-Ops", environments=[{"name": "dev"}, {"name": "dev"}])
    del invalid["dataopsml-bootstrap:owner"]
    with pytest.raises(SettingsError) as caught:
        read_settings(invalid)
    for message in (
        "owner is missing",
        "soft_delete_days = '3'",
        "base_name = 'Data-Ops'",
        "must have names of their own",
    ):
        assert message in str(caught.value)


def test_the_settings_file_in_the_repository_is_valid_and_omits_azure_devops() -> None:
    committed = Engine(ROOT / "bootstrap", "main").settings()
    assert committed.names == list(ENVIRONMENTS), "the pipelines have the same environments"
    assert not committed.azure_devops.enabled, "a clone must not reach for somebody's organisation"


def test_a_missing_settings_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(BootstrapError, match=r"Pulumi\.mine\.yaml is missing: copy Pulumi\.main\.yaml"):
        Engine(tmp_path, "mine").settings()


@pytest.mark.parametrize("text", ["config: [", "config: text", "- config", "config: {a: 2026-01-01}"])
def test_an_invalid_bootstrap_settings_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BootstrapError, match=r"Pulumi\.mine\.yaml is not a settings file: "):
        Engine(tmp_path, "mine").settings()


@pytest.mark.parametrize("error", [PulumiError, BootstrapError])
def test_brackets_in_pulumi_s_output_are_printed(
    error: type[BootstrapError], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    message = "`pulumi up` failed: [red] is no stack, and [/dev] is no folder."
    monkeypatch.setattr(command_line, "app", Mock(side_effect=error(message)))

    with pytest.raises(SystemExit) as ended:
        command_line.main()

    assert ended.value.code == 1
    assert message in capsys.readouterr().err
