"""A subscription accepts resources of registered providers only: localcloud without any registration."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from localcloud.arm.registrations import REGISTERED_BY_DEFAULT
from localcloud.arm.store import ResourceStore
from localcloud.cli.env import variables
from localcloud.core.database import Database
from localcloud.core.errors import ConfigurationError
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID, Settings
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.cloud import Cloud, free_port
from localcloud.testing.principals import session_as

from bootstrap.engine import BootstrapError
from bootstrap.resource_providers import compare
from contract.resource_providers import RESOURCE_PROVIDERS
from infra.stack_file import ROOT

VERSION = "2022-09-01"
REFUSED = (
    "The subscription is not registered to use namespace '{}'. See https://aka.ms/rps-not-found for how to register "
    "subscriptions."
)


@pytest.fixture(scope="module")
def bare(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Start a localcloud without any namespace."""
    home = tmp_path_factory.mktemp("bare") / "home"
    separate = Cloud(Settings(home=home, port=free_port(), cache=cloud.settings.cache), {})
    try:
        started = separate.command("start")
        assert started.returncode == 0, started.stderr + started.stdout
        separate.environment.update(variables(separate.settings))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in separate.environment.items():
                patch.setenv(name, value)
            yield separate
    finally:
        separate.command("stop")


@pytest.fixture(scope="module")
def session(bare: Cloud) -> AzureSession:
    credential = ClientSecretCredential(
        os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]
    )
    return AzureSession(credential, SUBSCRIPTION_ID, TENANT_ID, "")


@pytest.fixture(scope="module")
def client(session: AzureSession) -> ResourceManagementClient:
    return ResourceManagementClient(session.credential, session.subscription_id)


@pytest.fixture(scope="module")
def place(session: AzureSession) -> str:
    """Return the id of a resource group."""
    id_ = f"{session.subscription}/resourceGroups/rg-providers"
    session.put(id_, "2024-03-01", {"location": "westeurope"})
    return id_


def _state(client: ResourceManagementClient, namespace: str) -> str | None:
    state: str | None = client.providers.get(namespace).registration_state
    return state


def _vault(session: AzureSession, place: str) -> Any:
    properties = {"tenantId": TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True}
    path = f"{place}/providers/Microsoft.KeyVault/vaults/{unique('kv')}"
    return session.arm("PUT", path, "2023-07-01", {"location": "westeurope", "properties": properties})


def test_a_fresh_subscription_has_azures_registrations_and_the_state_accounts_provider(
    client: ResourceManagementClient,
) -> None:
    states = {provider.namespace: provider.registration_state for provider in client.providers.list()}
    registered = {name for name, state in states.items() if state == "Registered"}
    assert registered == {*REGISTERED_BY_DEFAULT, "Microsoft.Storage"}
    assert set(RESOURCE_PROVIDERS) - {"Microsoft.Storage", "Microsoft.Compute"} <= set(states)


def test_a_type_of_an_unregistered_namespace_is_refused_until_it_is_registered(
    session: AzureSession, client: ResourceManagementClient, place: str
) -> None:
    answer = _vault(session, place)
    message = REFUSED.format("Microsoft.KeyVault")
    assert error_of(answer) == (409, "MissingSubscriptionRegistration", message)
    assert answer.json()["error"]["details"] == [
        {"code": "MissingSubscriptionRegistration", "target": "Microsoft.KeyVault", "message": message}
    ]
    assert session.arm("GET", f"{place}/providers/Microsoft.KeyVault/vaults", "2023-07-01").json()["value"] == []
    assert client.providers.register("microsoft.keyvault").registration_state == "Registering"
    assert _state(client, "Microsoft.KeyVault") == "Registered"
    assert client.providers.register("Microsoft.KeyVault").registration_state == "Registered", "once is enough"
    assert _vault(session, place).status_code == 201


def test_a_namespace_in_use_remains_registered_and_an_unused_one_is_unregistered(
    session: AzureSession, client: ResourceManagementClient, place: str
) -> None:
    with pytest.raises(HttpResponseError, match=r"resources of type 'Microsoft\.Storage/storageAccounts'") as refused:
        client.providers.unregister("Microsoft.Storage")
    assert refused.value.status_code == 409
    client.providers.register("Microsoft.Network")
    assert client.providers.unregister("Microsoft.Network").registration_state == "Unregistering"
    assert _state(client, "Microsoft.Network") == "Unregistered"
    body = {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}
    answer = session.arm("PUT", f"{place}/providers/Microsoft.Network/virtualNetworks/vnet", "2024-05-01", body)
    assert error_of(answer)[:2] == (409, "MissingSubscriptionRegistration")


@pytest.mark.parametrize("namespace", ["Microsoft.Compute", "Dynatrace.Observability"])
def test_a_namespace_that_localcloud_does_not_know_is_registered_too(
    client: ResourceManagementClient, namespace: str
) -> None:
    assert _state(client, namespace) == "NotRegistered"
    assert client.providers.unregister(namespace).registration_state == "NotRegistered", "it never was"
    assert _state(client, namespace) == "NotRegistered"
    client.providers.register(namespace)
    provider = client.providers.get(namespace)
    assert (provider.registration_state, provider.resource_types) == ("Registered", [])
    assert namespace in {provider.namespace for provider in client.providers.list()}


def test_an_invalid_namespace_is_refused(client: ResourceManagementClient) -> None:
    with pytest.raises(HttpResponseError, match=r"The resource namespace 'storage' is invalid\.") as refused:
        client.providers.register("storage")
    assert refused.value.error is not None
    assert (refused.value.status_code, refused.value.error.code) == (404, "InvalidResourceNamespace")


def test_a_template_deployment_registers_its_namespaces(session: AzureSession, place: str) -> None:
    name = unique("id")
    identity = {
        "type": "Microsoft.ManagedIdentity/userAssignedIdentities", "apiVersion": "2023-01-31", "name": name,
        "location": "westeurope",
    }  # fmt: skip
    answer = session.arm(
        "PUT", f"{place}/providers/{identity['type']}/{name}", "2023-01-31", {"location": "westeurope"}
    )
    assert error_of(answer)[:2] == (409, "MissingSubscriptionRegistration")
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0", "resources": [identity],
    }  # fmt: skip
    body = {"properties": {"mode": "Incremental", "template": template}}
    session.put(f"{place}/providers/Microsoft.Resources/deployments/d{uuid.uuid4().hex[:8]}", "2022-09-01", body)
    assert session.arm("GET", f"{place}/providers/{identity['type']}/{name}", "2023-01-31").status_code == 200


def test_registering_requires_a_right_that_a_stranger_lacks(session: AzureSession, bare: Cloud, place: str) -> None:
    session.arm("POST", f"{session.subscription}/providers/Microsoft.ManagedIdentity/register", VERSION)
    path = f"{place}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id')}"
    identity = session.put(path, "2023-01-31", {"location": "westeurope"})
    stranger = session_as(bare, identity["properties"]["principalId"])
    answer = stranger.arm("POST", f"{session.subscription}/providers/Microsoft.Databricks/register", VERSION)
    status, code, message = error_of(answer)
    assert (status, code) == (403, "AuthorizationFailed")
    assert "'Microsoft.Databricks/register/action'" in message


def test_starting_again_registers_more_while_it_runs(bare: Cloud, client: ResourceManagementClient) -> None:
    assert _state(client, "Microsoft.Databricks") == "NotRegistered"
    again = bare.command("start", "--register", "Microsoft.Databricks", LOCALCLOUD_RESOURCE_PROVIDERS="Contoso.Tools")
    assert again.returncode == 0 and "runs at" in again.stdout, again.stderr + again.stdout
    assert [_state(client, name) for name in ("Microsoft.Databricks", "Contoso.Tools")] == ["Registered"] * 2


def test_a_home_of_an_earlier_localcloud_registers_the_namespaces_of_its_resources(tmp_path: Path) -> None:
    database = Database(tmp_path / "localcloud.db")
    store = ResourceStore(database)
    id_ = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv"
    store.put(Resource(id=id_, type="Microsoft.KeyVault/vaults", name="kv"))
    database.execute("DROP TABLE arm_registrations")  # the tables of an earlier localcloud
    again = ResourceStore(database).registrations
    assert [again.state(name) for name in ("Microsoft.KeyVault", "Microsoft.Network")] == [
        "Registered",
        "NotRegistered",
    ]


def test_a_registration_that_takes_time_is_under_way_and_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALCLOUD_REGISTRATION_SECONDS", "3600")
    registrations = ResourceStore(Database(tmp_path / "localcloud.db")).registrations
    registrations.register(["Microsoft.Network"])
    assert registrations.state("Microsoft.Network") == "Registering"
    assert registrations.is_registered("microsoft.network")


def test_unregistering_changes_registered_namespaces_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCALCLOUD_REGISTRATION_SECONDS", "3600")
    registrations = ResourceStore(Database(tmp_path / "localcloud.db")).registrations
    registrations.unregister("Microsoft.Network")
    assert registrations.state("Microsoft.Network") == "NotRegistered"
    assert "Microsoft.Network" not in registrations.all()
    registrations.register(["Microsoft.Network"])
    registrations.unregister("microsoft.network")
    assert registrations.state("Microsoft.Network") == "Unregistering"


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_wrong_duration_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("LOCALCLOUD_REGISTRATION_SECONDS", text)
    with pytest.raises(ConfigurationError) as caught:
        ResourceStore(Database(tmp_path / "localcloud.db"))
    assert str(caught.value) == (f"LOCALCLOUD_REGISTRATION_SECONDS is {text!r}: give a number of seconds, such as 2.")


def test_a_wrong_namespace_is_named_before_anything_starts(bare: Cloud) -> None:
    answer = bare.command("start", "--register", "Microsoft.KeyVault,storage")
    assert answer.returncode == 1 and answer.stderr.startswith("storage is not a resource provider: give namespaces")


def test_the_makefile_registers_the_namespaces_of_the_contract() -> None:
    printed = subprocess.run(
        [sys.executable, "-I", "-S", "contract/resource_providers.py"], cwd=ROOT, capture_output=True, text=True,
        check=True,
    ).stdout.strip()  # fmt: skip
    assert printed == ",".join(RESOURCE_PROVIDERS)
    commands = subprocess.run(["make", "-n", "rehearse"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert f'{"localcloud start"} --register "$(.venv/bin/python -I -S contract/resource_providers.py)"' in commands


def test_the_bootstrap_registers_only_missing_namespaces(client: ResourceManagementClient) -> None:
    first = compare(SUBSCRIPTION_ID, client.providers)
    assert set(first.missing) <= set(RESOURCE_PROVIDERS) and "Microsoft.MachineLearningServices" in first.missing
    first.complete(pause=0.1)
    assert compare(SUBSCRIPTION_ID, client.providers).missing == []
    assert {_state(client, name) for name in RESOURCE_PROVIDERS} == {"Registered"}


def test_the_bootstrap_names_a_subscription_without_access(session: AzureSession) -> None:
    foreign = str(uuid.uuid4())
    other = ResourceManagementClient(session.credential, foreign)
    with pytest.raises(BootstrapError, match=rf"in subscription {foreign}: .*SubscriptionNotFound.* Contributor"):
        compare(foreign, other.providers)
