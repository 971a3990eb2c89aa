"""azure-native's semantics, one request at a time, against a running ARM."""

from __future__ import annotations

import pytest
from localcloud.plugins.azure_native import shape
from localcloud.plugins.azure_native.types import TYPES
from localcloud.plugins.values import UNKNOWN, Secret
from localcloud.testing.azure_session import AzureSession, unique
from localcloud.testing.plugin_process import Plain, Plugin, Refused

ACCOUNT = "azure-native:storage:StorageAccount"
IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
VERSION = "2024-01-01"


def account(group_name: str, name: str, **more: object) -> Plain:
    return {
        "accountName": name, "resourceGroupName": group_name, "kind": "StorageV2", "location": "westeurope",
        "sku": {"name": "Standard_LRS"}, **more,
    }  # fmt: skip


def test_an_omitted_name_is_generated_and_kept(azure_native: Plugin, group_name: str) -> None:
    inputs = account(group_name, "")
    del inputs["accountName"]

    first, failures = azure_native.check(ACCOUNT, inputs)
    again, _ = azure_native.check(ACCOUNT, inputs, old=first)

    assert failures == []
    assert first["accountName"].startswith("thing") and len(first["accountName"]) == len("thing") + 8
    assert again["accountName"] == first["accountName"]


def test_unknown_and_missing_properties_are_refused_by_path(azure_native: Plugin, group_name: str) -> None:
    wrong = account(group_name, "stx", minimumTls="TLS1_2", networkRuleSet={"defaultAction": "Deny", "ips": []})
    wrong["sku"] = {"tier": "Standard"}
    wrong["allowSharedKeyAccess"] = "no"
    del wrong["kind"]

    _, failures = azure_native.check(ACCOUNT, wrong)

    reasons = dict(failures)
    assert reasons.keys() == {
        "minimumTls",
        "networkRuleSet.ips",
        "sku.name",
        "sku.tier",
        "kind",
        "allowSharedKeyAccess",
    }
    assert reasons["kind"] == "missing required property 'kind'"
    assert reasons["sku.name"] == "missing required property 'sku.name'"
    assert reasons["allowSharedKeyAccess"] == ("'allowSharedKeyAccess' should be of type 'boolean' but got 'string'")
    assert reasons["minimumTls"].startswith("unknown property 'minimumTls'")


def test_inputs_are_sent_at_their_place_in_arm(azure_native: Plugin, azure: AzureSession, group_name: str) -> None:
    name = unique("st")
    rules = {"defaultAction": "Deny", "ipRules": [{"iPAddressOrRange": "20.1.2.3", "action": "Allow"}]}
    inputs = account(
        group_name, name, enableHttpsTrafficOnly=True, allowSharedKeyAccess=False, networkRuleSet=rules, tags={"a": "b"}
    )

    resource = azure_native.create(ACCOUNT, inputs)

    content = azure.arm("GET", resource.id, VERSION).json()
    assert content["sku"]["name"] == "Standard_LRS" and content["tags"] == {"a": "b"}
    assert content["properties"]["supportsHttpsTrafficOnly"] is True
    assert content["properties"]["networkAcls"]["ipRules"][0]["value"] == "20.1.2.3"
    assert resource.outputs["name"] == name and resource.outputs["azureApiVersion"] == VERSION
    assert resource.outputs["primaryEndpoints"]["blob"] == f"https://{name}.blob.core.windows.net/"


def test_a_new_resource_has_no_difference(azure_native: Plugin, group_name: str) -> None:
    inputs = account(group_name, unique("st"), networkRuleSet={"defaultAction": "Allow"}, location="West Europe")
    resource = azure_native.create(ACCOUNT, inputs)

    refreshed, read_inputs = azure_native.read(ACCOUNT, resource.id, resource)

    assert read_inputs == inputs
    assert refreshed is not None and refreshed.outputs == resource.outputs
    assert azure_native.diff(ACCOUNT, refreshed, inputs | {"location": "westeurope"}).changes == 1, "DIFF_NONE"


def test_drift_shows_in_declared_properties(azure_native: Plugin, azure: AzureSession, group_name: str) -> None:
    inputs = account(group_name, unique("st"), tags={"kept": "1", "taken": "2"}, minimumTlsVersion="TLS1_2")
    resource = azure_native.create(ACCOUNT, inputs)
    body = azure.arm("GET", resource.id, VERSION).json()
    body["tags"] = {"kept": "1", "added": "3"}
    body["properties"]["minimumTlsVersion"] = "TLS1_0"
    azure.put(resource.id, VERSION, body)

    refreshed, read_inputs = azure_native.read(ACCOUNT, resource.id, resource)

    assert read_inputs == inputs | {"tags": {"kept": "1", "added": "3"}, "minimumTlsVersion": "TLS1_0"}
    assert refreshed is not None
    difference = azure_native.diff(ACCOUNT, refreshed, inputs)
    assert sorted(difference.detailedDiff) == ["minimumTlsVersion", "tags.added", "tags.taken"]
    updated = azure_native.update(ACCOUNT, refreshed, inputs)
    assert updated.outputs["tags"] == {"kept": "1", "taken": "2"}
    assert updated.outputs["minimumTlsVersion"] == "TLS1_2"


@pytest.mark.parametrize(
    ("change", "replaced"),
    [
        ({"sku": {"name": "Standard_ZRS"}}, []),
        ({"isHnsEnabled": True}, ["isHnsEnabled"]),
        ({"location": "northeurope"}, ["location"]),
        ({"accountName": "another"}, ["accountName"]),
    ],
)
def test_a_change_of_an_immutable_property_replaces(
    azure_native: Plugin, group_name: str, change: Plain, replaced: list[str]
) -> None:
    inputs = account(group_name, "stdiff")
    resource = azure_native.create(ACCOUNT, inputs, preview=True)

    difference = azure_native.diff(
        ACCOUNT, type(resource)("id", resource.outputs | {"__inputs": inputs}), inputs | change
    )

    assert difference.changes == 2, "DIFF_SOME"
    assert list(difference.replaces) == replaced
    assert difference.deleteBeforeReplace == bool(replaced), "the replacement has the same name"


def test_removing_an_immutable_input_replaces(azure_native: Plugin, group_name: str) -> None:
    """The vendor's plugin does the same (provider/pkg/provider/diff.go: DELETE_REPLACE)."""
    inputs = account(group_name, "stdiff") | {"isHnsEnabled": False}
    resource = azure_native.create(ACCOUNT, inputs, preview=True)
    without = {key: value for key, value in inputs.items() if key != "isHnsEnabled"}

    difference = azure_native.diff(ACCOUNT, type(resource)("id", resource.outputs | {"__inputs": inputs}), without)

    assert list(difference.detailedDiff) == ["isHnsEnabled"]
    assert list(difference.replaces) == ["isHnsEnabled"]


@pytest.mark.parametrize(
    ("change", "path", "allowed"),
    [
        ({"sku": {"name": "Standard_LRSX"}}, "sku.name", "Standard_LRS, Standard_GRS"),
        ({"kind": "Storage2"}, "kind", "Storage, StorageV2"),
        ({"minimumTlsVersion": "1.2"}, "minimumTlsVersion", "TLS1_0, TLS1_1"),
        (
            {"identity": {"type": "Assigned"}},
            "identity.type",
            "None, SystemAssigned, UserAssigned",
        ),
    ],
)
def test_a_value_that_the_sdk_does_not_document_is_refused(
    azure_native: Plugin, group_name: str, change: Plain, path: str, allowed: str
) -> None:
    _, refused = azure_native.check(ACCOUNT, account(group_name, "stcheck") | change)

    ((where, reason),) = refused
    assert where == path
    assert reason.startswith(f"'{path}' should be one of {allowed}")


def test_a_preview_knows_only_the_declared_inputs(azure_native: Plugin, group_name: str) -> None:
    resource = azure_native.create(ACCOUNT, account(group_name, "stpreview", tags={"of": UNKNOWN}), preview=True)

    assert resource.id == ""
    assert resource.outputs["location"] == "westeurope"
    assert resource.outputs["tags"] == {"of": UNKNOWN}
    assert "primaryEndpoints" not in resource.outputs


def test_a_resource_of_another_owner_is_not_adopted(azure_native: Plugin, azure: AzureSession, group_name: str) -> None:
    inputs = account(group_name, unique("st"), tags={"owner": "me"})
    resource = azure_native.create(ACCOUNT, inputs)

    with pytest.raises(Refused) as refused:
        azure_native.create(ACCOUNT, inputs | {"tags": {"owner": "you"}})

    assert str(refused.value) == f"cannot create already existing resource '{resource.id}'"


def test_a_resource_of_a_killed_run_is_adopted(azure_native: Plugin, group_name: str) -> None:
    inputs = account(group_name, unique("st"), tags={"owner": "me"})
    resource = azure_native.create(ACCOUNT, inputs)

    again = azure_native.create(ACCOUNT, inputs)

    assert again == resource


def test_an_import_reads_the_inputs(azure_native: Plugin, azure: AzureSession, group: str, group_name: str) -> None:
    path = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-imported"
    azure.put(path, "2023-01-31", {"location": "westeurope", "tags": {"a": "b"}})

    state, inputs = azure_native.read(IDENTITY, path)

    assert inputs == {
        "resourceName": "id-imported", "resourceGroupName": group_name, "location": "westeurope", "tags": {"a": "b"},
    }  # fmt: skip
    assert state is not None
    assert azure_native.check(IDENTITY, inputs) == (inputs, []), "an import's inputs are a program's"
    assert azure_native.diff(IDENTITY, state, inputs).changes == 1, "DIFF_NONE"


def test_an_import_refuses_an_id_of_another_type(azure_native: Plugin, group: str) -> None:
    with pytest.raises(Refused, match="is not an id of the form"):
        azure_native.read(IDENTITY, f"{group}/providers/Microsoft.Storage/storageAccounts/some")


def test_a_resource_deleted_outside_reads_as_missing_and_deletes_without_error(
    azure_native: Plugin, azure: AzureSession, group_name: str
) -> None:
    inputs = {"resourceName": "id-gone", "resourceGroupName": group_name, "location": "westeurope"}
    resource = azure_native.create(IDENTITY, inputs)
    azure_native.delete(IDENTITY, resource)

    assert azure.arm("GET", resource.id, "2023-01-31").status_code == 404
    assert azure_native.read(IDENTITY, resource.id, resource) == (None, {})
    azure_native.delete(IDENTITY, resource)


def test_a_permanent_child_is_set_and_not_deleted(azure_native: Plugin, azure: AzureSession, group_name: str) -> None:
    name = unique("st")
    azure_native.create(ACCOUNT, account(group_name, name))
    token = "azure-native:storage:BlobServiceProperties"
    inputs = {"accountName": name, "resourceGroupName": group_name, "isVersioningEnabled": True}
    completed, failures = azure_native.check(token, inputs)
    assert (completed, failures) == (inputs, [])

    resource = azure_native.create(token, inputs)
    azure_native.delete(token, resource)

    assert resource.outputs["isVersioningEnabled"] is True
    assert azure.arm("GET", resource.id, VERSION).status_code == 200


def test_azure_s_refusals_are_reported_with_status_code_and_message(azure_native: Plugin, group_name: str) -> None:
    with pytest.raises(Refused) as refused:
        azure_native.create(ACCOUNT, account(group_name, "NotAName"))

    assert str(refused.value).startswith('Status=400 Code="AccountNameInvalid" Message="NotAName is not a valid')


def test_keys_are_returned_as_secrets(azure_native: Plugin, group_name: str) -> None:
    token = "azure-native:applicationinsights:Component"
    inputs = {
        "resourceName": unique("appi"), "resourceGroupName": group_name, "kind": "web", "applicationType": "web",
        "location": "westeurope",
    }  # fmt: skip

    resource = azure_native.create(token, inputs)
    refreshed, _ = azure_native.read(token, resource.id, resource)

    assert refreshed is not None
    for outputs in (resource.outputs, refreshed.outputs):
        assert isinstance(outputs["instrumentationKey"], Secret)
        assert isinstance(outputs["connectionString"], Secret)


def test_secret_inputs_remain_secret(azure_native: Plugin, group_name: str) -> None:
    inputs = account(group_name, unique("st"), tags={"hidden": Secret("s3cret")})

    resource = azure_native.create(ACCOUNT, inputs)
    refreshed, read_inputs = azure_native.read(ACCOUNT, resource.id, resource)

    assert resource.outputs["tags"] == Secret({"hidden": "s3cret"}) or resource.outputs["tags"] == {
        "hidden": Secret("s3cret")
    }
    assert refreshed is not None and read_inputs == inputs
    assert "s3cret" not in str(
        {key: value for key, value in resource.outputs.items() if key not in {"tags", "__inputs"}}
    )


def test_a_pinned_api_version_is_sent(azure_native: Plugin, group_name: str) -> None:
    token = "azure-native:storage/v20230501:StorageAccount"

    resource = azure_native.create(token, account(group_name, unique("st")))

    assert resource.outputs["azureApiVersion"] == "2023-05-01"


def test_programs_can_read_the_sign_in(azure_native: Plugin, azure: AzureSession) -> None:
    answer = azure_native.invoke("azure-native:authorization:getClientConfig")

    assert answer["objectId"] == azure.object_id
    assert answer["subscriptionId"] == azure.subscription_id
    assert answer["tenantId"] == azure.tenant_id


def test_tokens_are_secrets(azure_native: Plugin) -> None:
    assert isinstance(azure_native.invoke("azure-native:authorization:getClientToken")["token"], Secret)


def test_existing_resources_can_be_read(azure_native: Plugin, group_name: str) -> None:
    group = azure_native.invoke("azure-native:resources:getResourceGroup", resourceGroupName=group_name)

    assert group["location"] == "westeurope"
    with pytest.raises(Refused, match=r"the resource '.*/rg-nobody-has' was not found"):
        azure_native.invoke("azure-native:resources:getResourceGroup", resourceGroupName="rg-nobody-has")


def test_unknown_types_and_functions_are_refused_by_name(azure_native: Plugin) -> None:
    with pytest.raises(Refused, match="'azure-native:sql:Server' is not in this provider's table"):
        azure_native.check("azure-native:sql:Server", {})
    with pytest.raises(Refused, match="'azure-native:sql:getServer' is not in this provider's table"):
        azure_native.invoke("azure-native:sql:getServer")


def test_deleting_a_key_needs_a_role_on_its_vault(
    azure: AzureSession, azure_native: Plugin, group_name: str, group: str
) -> None:
    name = unique("kv-")
    properties = {
        "tenantId": azure.tenant_id, "sku": {"family": "A", "name": "standard"}, "enableRbacAuthorization": True,
    }  # fmt: skip
    vault = f"{group}/providers/Microsoft.KeyVault/vaults/{name}"
    azure.put(vault, "2024-11-01", {"location": "westeurope", "properties": properties})
    token = "azure-native:keyvault:Key"
    resource = azure_native.create(
        token,
        {"resourceGroupName": group_name, "vaultName": name, "keyName": "pulumi", "properties": {"kty": "RSA"}},
    )
    with pytest.raises(Refused, match=r"ForbiddenByRbac|not authorized"):
        azure_native.delete(token, resource)
    azure.assign(vault, "Key Vault Crypto Officer", azure.object_id)
    azure_native.delete(token, resource)
    assert azure.arm("GET", f"{vault}/keys/pulumi", "2024-11-01").status_code == 404


def test_properties_that_azure_fills_in_replace_an_imported_resource_when_left_out(
    azure_native: Plugin, group_name: str
) -> None:
    """An imported workspace has it among its inputs."""
    token = "azure-native:machinelearningservices:Workspace"
    inputs = {"resourceGroupName": group_name, "workspaceName": "aml-diff", "location": "westeurope"}
    resource = azure_native.create(token, inputs, preview=True)
    before = inputs | {"hbiWorkspace": False}
    there = type(resource)("id", resource.outputs | {"__inputs": before})

    taken_away = azure_native.diff(token, there, inputs)
    changed = azure_native.diff(token, there, inputs | {"hbiWorkspace": True})

    assert list(taken_away.detailedDiff) == list(taken_away.replaces) == ["hbiWorkspace"]
    assert list(changed.replaces) == ["hbiWorkspace"]


def test_an_object_s_own_inputs_are_sent_in_its_properties() -> None:
    """Python's SubnetArgs have defaults, which ARM takes in `properties` alone."""
    subnet = {"id": "/subscriptions/s/subnets/a", "privateEndpointNetworkPolicies": "Disabled"}
    body = shape.body_of(TYPES["network:PrivateEndpoint"], {"subnet": subnet, "location": "westeurope"})

    assert body["properties"]["subnet"] == {
        "id": "/subscriptions/s/subnets/a", "properties": {"privateEndpointNetworkPolicies": "Disabled"},
    }  # fmt: skip
