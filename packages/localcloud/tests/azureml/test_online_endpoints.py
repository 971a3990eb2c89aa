"""Online endpoints as resources: sign-in modes, keys, traffic, names, identities. Running ones are elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
import requests
from azure.ai.ml.entities import (
    BatchEndpoint,
    IdentityConfiguration,
    KubernetesOnlineEndpoint,
    ManagedIdentityConfiguration,
    ManagedOnlineEndpoint,
)
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.plugin_process import Plugin
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml

Json = dict[str, Any]
Make = Callable[..., ManagedOnlineEndpoint]


@pytest.fixture(scope="module")
def make(ml: MlWorkspace) -> Iterator[Make]:
    """Return a function that creates an endpoint, which is deleted after the module's tests."""
    names: list[str] = []

    def create(**settings: Any) -> ManagedOnlineEndpoint:
        name = settings.pop("name", "") or unique("oep")
        names.append(name)
        return ml.client.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, **settings)).result()

    yield create
    for name in names:
        ml.client.online_endpoints.begin_delete(name).result()


def _put(ml: MlWorkspace, name: str, **properties: Any) -> requests.Response:
    body: Json = {
        "location": "westeurope", "identity": {"type": "SystemAssigned"},
        "properties": {"authMode": "Key"} | properties,
    }  # fmt: skip
    return ml.azure.arm("PUT", f"{ml.id}/onlineEndpoints/{name}", ML, body)


def test_an_endpoint_is_created_updated_listed_and_deleted(ml: MlWorkspace) -> None:
    name = unique("oep")
    created = ml.client.online_endpoints.begin_create_or_update(
        ManagedOnlineEndpoint(name=name, auth_mode="key", description="first", tags={"a": "1"})
    ).result()
    assert created.scoring_uri == f"https://{name}.westeurope.inference.ml.azure.com/score"
    assert created.openapi_uri == f"https://{name}.westeurope.inference.ml.azure.com/swagger.json"
    assert (created.provisioning_state, created.public_network_access, created.kind) == (
        "Succeeded",
        "Enabled",
        "Managed",
    )
    assert created.identity is not None and created.identity.principal_id

    created.description = "second"
    ml.client.online_endpoints.begin_create_or_update(created).result()
    current = ml.client.online_endpoints.get(name)
    assert (current.description, current.tags, current.traffic) == ("second", {"a": "1"}, {})
    assert name in {endpoint.name for endpoint in ml.client.online_endpoints.list()}

    ml.client.online_endpoints.begin_delete(name).result()
    assert ml.azure.arm("GET", f"{ml.id}/onlineEndpoints/{name}", ML).status_code == 404


def test_creation_and_deletion_are_long_running_operations(ml: MlWorkspace) -> None:
    name = unique("oep")
    created = _put(ml, name)
    assert created.status_code == 201
    assert created.json()["properties"]["provisioningState"] == "Creating"
    assert {"azure-asyncoperation", "location", "retry-after"} <= {name.lower() for name in created.headers}
    ml.azure.finish(created)
    deleted = ml.azure.arm("DELETE", f"{ml.id}/onlineEndpoints/{name}", ML)
    assert deleted.status_code == 202
    ml.azure.finish(deleted)


def test_keys_are_generated_set_and_regenerated_one_at_a_time(ml: MlWorkspace, make: Make) -> None:
    name = make(auth_mode="key").name
    before = ml.client.online_endpoints.get_keys(name)
    assert len({before.primary_key, before.secondary_key}) == 2 and len(before.primary_key) == 32

    ml.client.online_endpoints.begin_regenerate_keys(name, key_type="secondary").result()
    after = ml.client.online_endpoints.get_keys(name)
    assert after.primary_key == before.primary_key
    assert after.secondary_key != before.secondary_key

    body = {"keyType": "Primary", "keyValue": "chosen-by-the-caller"}
    assert ml.azure.arm("POST", f"{ml.id}/onlineEndpoints/{name}/regenerateKeys", ML, body).status_code == 200
    assert ml.client.online_endpoints.get_keys(name).primary_key == "chosen-by-the-caller"


def test_a_body_never_shows_the_keys_that_it_was_sent_with(ml: MlWorkspace, make: Make) -> None:
    name = make(auth_mode="key").name
    keys = {"primaryKey": "one", "secondaryKey": "two"}
    answer = _put(ml, name, keys=keys)
    ml.azure.finish(answer)
    body_of_endpoint = ml.azure.arm("GET", f"{ml.id}/onlineEndpoints/{name}", ML).json()
    assert "keys" not in answer.json()["properties"] and "keys" not in body_of_endpoint["properties"]
    assert ml.azure.arm("POST", f"{ml.id}/onlineEndpoints/{name}/listKeys", ML).json() == keys


@pytest.mark.parametrize(("mode", "token"), [("aml_token", True), ("aad_token", False)])
def test_an_endpoint_with_tokens_has_no_keys(ml: MlWorkspace, make: Make, mode: str, token: bool) -> None:
    name = make(auth_mode=mode).name
    status, code, message = error_of(ml.azure.arm("POST", f"{ml.id}/onlineEndpoints/{name}/listKeys", ML))
    assert (status, code) == (400, "UserError")
    assert "no keys" in message
    assert ml.azure.arm("POST", f"{ml.id}/onlineEndpoints/{name}/token", ML).status_code == (200 if token else 400)
    access = ml.client.online_endpoints.get_keys(name).access_token
    if not token:
        claims = jwt.decode(access, options={"verify_signature": False})
        assert claims["aud"] == "https://ml.azure.com", "the token is Entra's own"


@pytest.mark.parametrize("name", ["ab", "1abc", "a" * 33, "abc-", "a--b", "a_b"])
def test_a_name_that_no_endpoint_can_have_is_refused(ml: MlWorkspace, name: str) -> None:
    status, code, message = error_of(_put(ml, name))
    assert (status, code) == (400, "UserError")
    assert f"'{name}'" in message


def test_batch_and_online_endpoints_share_the_names_of_a_region(ml: MlWorkspace, make: Make) -> None:
    name = make().name
    with pytest.raises(HttpResponseError, match="already exists an endpoint with this name") as refused:
        ml.client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)).result()
    assert refused.value.status_code == 409


@pytest.mark.parametrize(
    ("properties", "part"),
    [
        ({"authMode": "Password"}, "authMode 'Password'"),
        ({"publicNetworkAccess": "Sometimes"}, "publicNetworkAccess 'Sometimes'"),
        ({"traffic": {"blue": 100}}, "'blue', which does not exist"),
        ({"traffic": {"blue": "100"}}, "properties.traffic['blue']"),
        ({"traffic": {"blue": 101}}, "properties.traffic['blue']"),
        ({"mirrorTraffic": {"blue": 10}}, "'blue', which does not exist"),
    ],
)
def test_settings_that_no_endpoint_can_have_are_refused(ml: MlWorkspace, properties: Json, part: str) -> None:
    status, _, message = error_of(_put(ml, unique("oep"), **properties))
    assert status == 400
    assert part in message


def test_kubernetes_endpoints_are_not_emulated(ml: MlWorkspace) -> None:
    endpoint = KubernetesOnlineEndpoint(name=unique("oep"), compute=f"{ml.id}/computes/{ml.compute}", auth_mode="key")
    with pytest.raises(HttpResponseError, match="Kubernetes online endpoints") as refused:
        ml.client.online_endpoints.begin_create_or_update(endpoint).result()
    assert refused.value.status_code == 501


def test_the_service_gives_a_system_assigned_identity_its_roles(ml: MlWorkspace, make: Make) -> None:
    endpoint = make(auth_mode="aad_token")
    path = f"{ml.account_id}/providers/Microsoft.Authorization/roleAssignments"
    assignments = ml.azure.arm("GET", path, "2022-04-01").json()["value"]
    roles = [
        assignment["properties"]["roleDefinitionId"].rsplit("/", 1)[-1]
        for assignment in assignments
        if assignment["properties"]["principalId"] == endpoint.identity.principal_id
    ]
    assert roles == ["2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"], "Storage Blob Data Reader"


def test_a_user_assigned_identity_is_shown_and_gets_no_role(ml: MlWorkspace, make: Make) -> None:
    identity = IdentityConfiguration(
        type="user_assigned", user_assigned_identities=[ManagedIdentityConfiguration(resource_id=ml.identity_id)]
    )
    endpoint = make(auth_mode="aad_token", identity=identity)
    identity_body = ml.azure.arm("GET", str(endpoint.id), ML).json()["identity"]
    assert identity_body["userAssignedIdentities"][ml.identity_id]["principalId"] == ml.identity["principalId"]
    assert "principalId" not in identity_body, "there is no system-assigned one"


def test_an_unknown_operation_on_an_endpoint_names_itself(ml: MlWorkspace, make: Make) -> None:
    name = make().name
    status, code, message = error_of(ml.azure.arm("POST", f"{ml.id}/onlineEndpoints/{name}/rotate", ML))
    assert (status, code) == (501, "NotImplemented")
    assert f"onlineEndpoints/{name}/rotate" in message


def test_pulumi_s_azure_native_creates_reads_and_updates_an_endpoint(ml: MlWorkspace) -> None:
    plugin = Plugin("azure_native", dict(os.environ))
    plugin.configure()
    name = unique("oep")
    inputs: Json = {
        "endpointName": name, "workspaceName": ml.name, "resourceGroupName": ml.group.rsplit("/", 1)[-1],
        "location": "westeurope", "identity": {"type": "SystemAssigned"},
        "properties": {"authMode": "AADToken", "description": "of a program"},
    }  # fmt: skip
    kind = "azure-native:machinelearningservices:OnlineEndpoint"
    resource = plugin.create(kind, inputs)
    assert resource.outputs["properties"]["scoringUri"] == f"https://{name}.westeurope.inference.ml.azure.com/score"
    refreshed, read_inputs = plugin.read(kind, resource.id, resource)
    assert refreshed is not None and read_inputs == inputs
    assert plugin.diff(kind, refreshed, inputs).changes == 1, "DIFF_NONE"
    changed = inputs | {"properties": {"authMode": "AADToken", "description": "changed"}}
    assert plugin.diff(kind, refreshed, changed).replaces == [], "an endpoint is updated"
    assert plugin.stop() == ""
    assert ml.azure.finish(ml.azure.arm("DELETE", resource.id, ML)).status_code in {200, 204}
