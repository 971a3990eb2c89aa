"""Settings of a stack, and the messages for invalid ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra import new_data_settings
from infra.configuration import SettingsError, read_settings
from infra.settings import Settings
from tests.unit.infra.recorder import MINIMAL, PROJECT, SPARK_CONF

NETWORK = (
    "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/rg-agents/providers/Microsoft.Network"
    "/virtualNetworks/vnet-agents"
)
HOST = "stdataopsdevtr.dfs.core.windows.net"
GUID = "11111111-2222-3333-4444-555555555555"


def read(stack: str = "dev", /, **config: Any) -> Settings:
    """Read settings in the engine's form: texts unchanged, the rest as JSON. None removes a setting."""
    merged = {key: value for key, value in (MINIMAL | config).items() if value is not None}
    return read_settings(
        {f"{PROJECT}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in merged.items()},
        PROJECT,
        stack,
    )


# Stacks' wrong settings, and their messages.
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"base_name": None}, "base_name is missing. Valid example: dataops"),
    ({"base_name": ""}, "base_name is missing. Valid example: dataops"),
    (
        {"base_name": "DataOps"},
        "base_name = DataOps: must be 1 to 10 lowercase letters and digits. Valid example: dataops",
    ),
    ({"base_name": "data-ops"}, "base_name = data-ops: must be 1 to 10 lowercase letters and digits"),
    ({"base_name": "dataopsprod"}, "base_name = dataopsprod: must be 1 to 10 lowercase letters and digits"),
    ({"base_name": "ümlaut"}, "base_name = ümlaut: must be 1 to 10 lowercase letters and digits"),
    ({"location": None}, "location is missing. Valid example: westeurope"),
    ({"location": "West Europe"}, "location = West Europe: is not an Azure region; write westeurope"),
    ({"location": "europe"}, "location = europe: is not an Azure region. Valid example: westeurope"),
    ({"owner": None}, "owner is missing. Valid example: mlops@example.com"),
    ({"owner": "the team"}, "owner = the team: string should match pattern"),
    ({"cost_center": None}, "cost_center is missing. Valid example: research-42"),
    ({"cost_center": "x" * 257}, "string should have at most 256 characters. Valid example: research-42"),
    ({"tags": {"a/b": "c"}}, "tags.a/b.[key] = a/b: string should match pattern"),
    ({"tags": {"team": ""}}, 'tags.team = "": string should have at least 1 character'),
    ({"tags": {"owner": "me@example.com"}}, "must not set owner: the platform does"),
    ({"tags": {f"tag{n}": "x" for n in range(11)}}, "has 11 tags; a storage account takes 10"),
    ({"tags": {"Owner": "me@example.com"}}, "must not set owner: the platform does"),
    ({"tags": {"Team": "a", "team": "b"}}, "has names that differ in letter case alone, which are one name to Azure"),
    ({"tags": {"azure-team": "a"}}, "must not begin with microsoft, azure or windows, which Azure keeps for itself"),
    ({"tags": "team=ml"}, "tags = team=ml: input should be a valid dictionary"),
    ({"basename": "dataops"}, "basename = dataops: there is no such setting. Did you mean base_name?"),
    ({"wibble": "1"}, "wibble = 1: there is no such setting. There are: base_name, location,"),
    ({"network": "private"}, "network = private: input should be a valid dictionary or instance of NetworkSettings"),
    ({"network": "{profile: private"}, "network = {profile: private: input should be a valid dictionary"),
    ({"network": {"profile": "open"}}, "network.profile = open: input should be 'public', 'restricted' or 'private'"),
    ({"network": {"profil": "public"}}, "network.profil = public: there is no such setting. Did you mean profile?"),
    (
        {"network": {"profile": "restricted", "allowed_ips": []}},
        "network.allowed_ips = []: must name at least one address when network.profile is restricted",
    ),
    (
        {"network": {"profile": "public", "allowed_ips": ["203.0.113.4"]}},
        "has no effect when network.profile is public",
    ),
    (
        {"network": {"profile": "restricted", "allowed_ips": ["10.1.2.3"]}},
        "network.allowed_ips.0 = 10.1.2.3: is not a public range, and Azure's firewalls refuse it. "
        "Valid example: 203.0.113.0/24",
    ),
    (
        {"network": {"profile": "restricted", "allowed_ips": ["203.0.113.4", "here"]}},
        "network.allowed_ips.1 = here: must be a public IPv4 address or range",
    ),
    (
        {"network": {"profile": "restricted", "allowed_ips": ["203.0.113.4/31"]}},
        "is a /31 range, which Azure's firewalls refuse: name its two addresses",
    ),
    (
        {"network": {"profile": "restricted", "allowed_ips": ["203.0.113.9/24"]}},
        "network.allowed_ips.0 = 203.0.113.9/24: must be a public IPv4 address or range",
    ),
    ({"network": {"address_space": "8.8.8.0/24"}}, "network.address_space = 8.8.8.0/24: must be a private range"),
    ({"network": {"address_space": "10.0.0.0/8"}}, "network.address_space = 10.0.0.0/8: must be /16 or smaller"),
    ({"network": {"address_space": "10.20.0.0/25"}}, "network.address_space = 10.20.0.0/25: must be /24 or larger"),
    ({"network": {"endpoint_subnet": "10.20.2.0/30"}}, "network.endpoint_subnet = 10.20.2.0/30: must be /29 or larger"),
    ({"network": {"address_space": "10.20.0.0/33"}}, "network.address_space = 10.20.0.0/33: must be an IPv4 range"),
    (
        {"network": {"databricks_host_subnet": "10.20.0.0/27"}},
        "network.databricks_host_subnet = 10.20.0.0/27: must be /26 or larger",
    ),
    (
        {"network": {"databricks_host_subnet": "10.99.0.0/24"}},
        "network.databricks_host_subnet = 10.99.0.0/24: must lie within network.address_space, 10.20.0.0/22",
    ),
    (
        {"network": {"endpoint_subnet": "10.20.1.0/25"}},
        "network.endpoint_subnet = 10.20.1.0/25: must not overlap network.databricks_container_subnet, 10.20.1.0/24",
    ),
    (
        {"network": {"profile": "private", "peered_networks": ["vnet-agents"]}},
        "network.peered_networks.0 = vnet-agents: string should match pattern",
    ),
    (
        {"network": {"profile": "restricted", "allowed_ips": ["203.0.113.4"], "peered_networks": [NETWORK]}},
        "has no effect when network.profile is restricted",
    ),
    (
        {"network": {"profile": "private", "peered_networks": [NETWORK, NETWORK.upper()]}},
        "network.peered_networks",
    ),
    ({"network": {"dns_zone_group": "rg-hub"}}, "network.dns_zone_group = rg-hub: string should match pattern"),
    (
        {"network": {"profile": "private", "outbound_hosts": ["https://pypi.org"]}},
        "network.outbound_hosts.0 = https://pypi.org: string should match pattern",
    ),
    ({"network": {"outbound_hosts": ["pypi.org"]}}, "has no effect when network.profile is public"),
    (
        {"network": {"profile": "restricted"}},
        "network.allowed_ips = []: must name at least one address when network.profile is restricted",
    ),
    (
        {"network": {"address_space": "10.99.0.0/22"}},
        "network.databricks_host_subnet = 10.20.0.0/24: must lie within network.address_space, 10.99.0.0/22",
    ),
    ({"compute": {"vm_size": "DS3_v2"}}, "compute.vm_size = DS3_v2: string should match pattern"),
    ({"compute": {"max_nodes": 0}}, "compute.max_nodes = 0: input should be greater than or equal to 1"),
    ({"compute": {"max_nodes": 101}}, "compute.max_nodes = 101: input should be less than or equal to 100"),
    ({"compute": {"max_nodes": "2"}}, "compute.max_nodes = 2: input should be a valid integer. Valid example: 2"),
    ({"compute": {"max_nodes": 1.5}}, "compute.max_nodes = 1.5: input should be a valid integer"),
    ({"compute": {"priority": "spot"}}, "compute.priority = spot: input should be 'dedicated' or 'low_priority'"),
    ({"compute": {"idle_seconds": 1}}, "compute.idle_seconds = 1: input should be greater than or equal to 60"),
    ({"databricks": {"spark_version": "17.3 LTS"}}, "Valid example: 17.3.x-scala2.13"),
    ({"databricks": {"node_type": "big one"}}, "databricks.node_type = big one: string should match pattern"),
    ({"databricks": {"pool_idle_minutes": -1}}, "databricks.pool_idle_minutes = -1: input should be greater than"),
    (
        {"training_data": {"scoring_output_days": 365, "scoring_watch_days": 90}},
        "training_data.scoring_watch_days = 90: must not be less than training_data.scoring_output_days, 365",
    ),
    (
        {"databricks": {"pool_capacity": 2, "max_workers": 2}},
        "databricks.max_workers = 2: must be less than databricks.pool_capacity, 2: the driver needs",
    ),
    (
        {"databricks": {"spark_conf": {"wibble": "1"}}},
        "databricks.spark_conf.wibble.[key] = wibble: string should match",
    ),
    (
        {"databricks": {"spark_conf": {"fs.azure.account.oauth2.client.secret": "hunter2"}}},
        "databricks.spark_conf: must refer to the secret of fs.azure.account.oauth2.client.secret, not hold it. "
        'Valid example: {"fs.azure.account.oauth2.client.secret": "{{secrets/platform/reader}}"}',
    ),
    ({"databricks": {"availability": "cheap"}}, "input should be 'on_demand' or 'spot'. Valid example: on_demand"),
    ({"databricks": {"managed_resource_group": "rg/dbw"}}, "databricks.managed_resource_group = rg/dbw"),
    ({"databricks": {"managed_resource_group": "rg-dbw."}}, "databricks.managed_resource_group = rg-dbw."),
    ({"databricks": {"managed_resource_group": "r" * 91}}, "string should have at most 90 characters"),
    (
        {"network": {"profile": "private", "peered_networks": [f"{NETWORK}-ü"]}},
        "network.peered_networks.0 = /subscriptions/",
    ),
    (
        {"network": {"profile": "private", "peered_networks": [NETWORK + "x" * 60]}},
        "network.peered_networks.0 = /subscriptions/",
    ),
    ({"training_data": {"replication": "RAGRS"}}, "input should be 'LRS', 'ZRS', 'GRS' or 'GZRS'. Valid example: ZRS"),
    ({"training_data": {"soft_delete_days": 366}}, "input should be less than or equal to 365"),
    ({"training_data": {"engineered_days": 0}}, "training_data.engineered_days = 0: input should be greater than"),
    ({"training_data": {"old_version_days": 30}}, "training_data.old_version_days = 30: there is no such setting"),
    ({"training_data": {"cool_after_days": "never"}}, "training_data.cool_after_days = never: input should be a valid"),
    (
        {"key_vault": {"soft_delete_days": 6}},
        "key_vault.soft_delete_days = 6: input should be greater than or equal to 7",
    ),
    ({"key_vault": {"purge_protection": "yes"}}, "key_vault.purge_protection = yes: input should be a valid boolean"),
    (
        {"monitoring": {"retention_days": 7}},
        "monitoring.retention_days = 7: input should be greater than or equal to 30",
    ),
    (
        {"monitoring": {"alert_emails": ["on call"]}},
        "monitoring.alert_emails.0 = on call: string should match pattern",
    ),
    (
        {"monitoring": {"alert_emails": "a@example.com"}},
        "monitoring.alert_emails = a@example.com: input should be a valid list",
    ),
    (
        {"monitoring": {"alert_webhooks": ["http://hooks.example.com/?code=secret"]}},
        "monitoring.alert_webhooks.0: must be an https URL with a host name, and without a user name or a fragment. "
        "Valid example: https://hooks.example.com/alerts",
    ),
    ({"monitoring": {"alert_webhooks": "https://secret"}}, "monitoring.alert_webhooks: Input should be a valid list"),
    ({"monitoring": {"alert_webhook": ["https://secret"]}}, "monitoring.alert_webhook: there is no such setting."),
    (
        {"location": "westus"},
        "training_data.replication = ZRS: is not available in westus, which has no availability zones: use LRS. "
        "Valid example: ZRS",
    ),
    (
        {"location": "westus", "training_data": {"replication": "GZRS"}},
        "training_data.replication = GZRS: is not available in westus, which has no availability zones: use GRS",
    ),
    (
        {"location": "italynorth", "workspace_storage": {"replication": "GRS"}},
        "workspace_storage.replication = GRS: is not available in italynorth, which has no paired region: use LRS",
    ),
    (
        {"budget": {"monthly_amount": 500}},
        "budget.monthly_amount = 500: needs monitoring.alert_emails: alerts would reach no one. Valid example: 500",
    ),
    ({"budget": {"monthly_amount": -5}}, "budget.monthly_amount = -5: input should be greater than or equal to 0"),
    ({"budget": {"warn_percent": 120}}, "budget.warn_percent = 120: input should be less than or equal to 100"),
    ({"protection": {"lock": "on"}}, "protection.lock = on: input should be a valid boolean. Valid example: true"),
    ({"unity_catalog": {"catalog": "Data-Ops"}}, "unity_catalog.catalog = Data-Ops: string should match pattern"),
    (
        {"unity_catalog": {"enabled": False}},
        "unity_catalog.enabled = false: leaves notebook runs without a way to the training data: set "
        "unity_catalog.enabled to true (the workspace needs a metastore), or let databricks.spark_conf sign in as a "
        "service principal, which takes fs.azure.account.auth.type.stdataopsdevtr.dfs.core.windows.net, "
        "fs.azure.account.oauth.provider.type.stdataopsdevtr.dfs.core.windows.net, ",
    ),
    (
        {
            "unity_catalog": {"enabled": False},
            "databricks": {"spark_conf": SPARK_CONF | {f"fs.azure.account.auth.type.{HOST}": "SAS"}},
        },
        f"sign in as a service principal, which takes fs.azure.account.auth.type.{HOST}. ",
    ),
    ({"model_registry": {"create": True}}, "model_registry.create = true: needs model_registry.name"),
    ({"model_registry": {"name": "m"}}, "model_registry.name = m: string should match pattern"),
    (
        {"model_registry": {"name": "mlr-dataops", "create": True, "resource_group": "rg-hub"}},
        "model_registry.resource_group = rg-hub: must not be set when model_registry.create is true",
    ),
    ({"access": {"operators": [{"object_id": GUID}]}}, "access.operators.0.type is missing"),
    (
        {"access": {"operators": [{"object_id": GUID, "type": "User"}, {"object_id": GUID.upper(), "type": "Group"}]}},
        f"has {GUID} more than once",
    ),
    (
        {"monitoring": {"alert_emails": ["a@example.com", "b@example.com", "A@example.com"]}},
        "has a@example.com more than once. Valid example: ",
    ),
    (
        {"access": {"operators": [{"object_id": "me", "type": "User"}]}},
        "access.operators.0.object_id = me: string should",
    ),
    ({"access": {"deployer_type": "Person"}}, "input should be 'User', 'Group' or 'ServicePrincipal'"),
]


@pytest.mark.parametrize(("config", "message"), INVALID, ids=[message[:60] for _, message in INVALID])
def test_an_invalid_setting_is_named_with_its_value_and_an_example(config: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(**config)
    assert message in str(caught.value)
    assert "Traceback" not in str(caught.value) and "pydantic" not in str(caught.value)


def test_at_least_forty_kinds_of_mistakes_are_tried() -> None:
    assert len(INVALID) >= 40


@pytest.mark.parametrize("stack", ["d", "Dev", "dev-1", "1dev", "environment"])
def test_a_stack_s_name_has_to_fit_into_names(stack: str) -> None:
    with pytest.raises(SettingsError, match=rf"environment = {stack}: the stack's name must be 2 to 10"):
        read(stack)


def test_a_secret_in_the_settings_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        read(databricks={"spark_conf": {"fs.azure.account.key.st.dfs.core.windows.net": "hunter2"}})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "spark.hadoop."])
@pytest.mark.parametrize("end", ["", f".{HOST}"], ids=["every account", "the training account"])
def test_a_service_principal_in_spark_conf_replaces_unity_catalog(prefix: str, end: str) -> None:
    conf = {f"{prefix}{key.removesuffix(f'.{HOST}')}{end}": value for key, value in SPARK_CONF.items()}
    settings = read(unity_catalog={"enabled": False}, databricks={"spark_conf": conf})
    assert not settings.unity_catalog.enabled and settings.databricks.spark_conf == conf


@pytest.mark.parametrize("key", SPARK_CONF)
def test_each_key_of_the_sign_in_is_needed(key: str) -> None:
    conf = {name: value for name, value in SPARK_CONF.items() if name != key}
    with pytest.raises(SettingsError, match=f"which takes {key}\\."):
        read(unity_catalog={"enabled": False}, databricks={"spark_conf": conf})
    other = {name.replace("stdataopsdevtr", "stother"): value for name, value in SPARK_CONF.items()}
    with pytest.raises(SettingsError, match=f"{key}"):
        read(unity_catalog={"enabled": False}, databricks={"spark_conf": conf | other})


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        read(
            base_name="Data Ops", location="mars", compute={"max_nodes": 0, "vm_sise": "x"}, budget={"warn_percent": 0}
        )
    text = str(caught.value)
    assert "have 5 problems; nothing was changed" in text
    for path in ("base_name", "location", "compute.max_nodes", "compute.vm_sise", "budget.warn_percent"):
        assert f"  {path} = " in text
    assert "Correct them in Pulumi.dev.yaml" in text


def test_a_stack_without_settings_is_refused_with_the_remedy() -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({}, PROJECT, "qa")
    assert "Stack qa seems to have no settings of its own: write Pulumi.qa.yaml" in str(caught.value)


def test_settings_of_other_projects_and_providers_are_ignored() -> None:
    config = {f"{PROJECT}:{key}": value for key, value in MINIMAL.items()}
    settings = read_settings(config | {"azure-native:location": "mars", "other:base_name": "X"}, PROJECT, "dev")
    assert settings.base_name == "dataops"


def test_a_stack_s_name_is_its_environment() -> None:
    assert read("staging").environment == "staging"


def test_a_single_address_is_accepted_without_its_length() -> None:
    network = {"profile": "restricted", "allowed_ips": ["203.0.113.4/32", "198.51.100.0/24"]}
    assert read(network=network).network.allowed_ips == ["203.0.113.4", "198.51.100.0/24"]


def leaves(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from leaves(annotation, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


LEAVES = dict(leaves(Settings))


@pytest.mark.parametrize("path", LEAVES)
def test_every_setting_is_described_and_has_an_example_that_is_valid(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_data_settings, "all_pipelines", lambda: ["houses"])
    field = LEAVES[path]
    assert field.description and field.examples
    if path == "environment":
        return
    section, _, name = path.rpartition(".")
    value: Any = field.examples[0]
    # Other settings that an example needs.
    beside: dict[str, Any] = {
        "network.allowed_ips": {"profile": "restricted"},
        "network.outbound_hosts": {"profile": "private"},
        "network.peered_networks": {"profile": "private"},
        "model_registry.create": {"name": "mlr-dataops"},
        "serving.callers": {"caller_role": "11111111-2222-3333-4444-555555555555"},
    }.get(path, {})
    elsewhere: dict[str, Any] = {
        "budget.monthly_amount": {"monitoring": {"alert_emails": ["mlops@example.com"]}},
    }.get(path, {})
    read(**elsewhere, **({section: beside | {name: value}} if section else {name: value}))
