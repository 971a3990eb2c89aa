"""Template deployments: by azure-ai-ml, which makes a workspace by one, and by ARM."""

from __future__ import annotations

from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Workspace
from localcloud.arm.deployments import expressions
from localcloud.arm.deployments.scope import Place, TemplateScope
from localcloud.core.errors import ServiceError
from localcloud.testing.azure_session import ROLES, AzureSession, error_of, unique
from localcloud.testing.principals import session_as

Json = dict[str, Any]

VERSION = "2024-03-01"
SUBSCRIPTION = "/subscriptions/s"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"
ACCOUNT: Json = {
    "type": "Microsoft.Storage/storageAccounts", "apiVersion": "2023-01-01", "name": "[parameters('account')]",
    "location": "[resourceGroup().location]", "kind": "StorageV2", "sku": {"name": "Standard_LRS"},
}  # fmt: skip


def _identity(name: str, **more: Any) -> Json:
    return {"type": IDENTITY, "apiVersion": "2023-01-31", "name": name, "location": "westeurope", **more}


def _template(*resources: Json, **more: Any) -> Json:
    return {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": list(resources), **more}


def _deploy(azure: AzureSession, scope: str, template: Json, name: str = "main", **parameters: Any) -> Any:
    arguments = {key: {"value": value} for key, value in parameters.items()}
    body: Json = {"properties": {"mode": "Incremental", "template": template, "parameters": arguments}}
    if "/resourceGroups/" not in scope:
        body["location"] = "westeurope"
    return azure.arm("PUT", f"{scope}/providers/Microsoft.Resources/deployments/{name}", VERSION, body)


def _deployed(azure: AzureSession, scope: str, template: Json, name: str = "main", **parameters: Any) -> Json:
    """Return the deployment's properties once it has ended."""
    answer = _deploy(azure, scope, template, name, **parameters)
    assert answer.status_code in {200, 201}, answer.text
    path = answer.headers["Azure-AsyncOperation"].split(".com", 1)[1].split("?")[0]
    while azure.arm("GET", path, VERSION).json()["status"] == "InProgress":
        pass
    deployment = azure.arm("GET", f"{scope}/providers/Microsoft.Resources/deployments/{name}", VERSION).json()
    properties: Json = deployment["properties"]
    return properties


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("[[not one]", "[not one]"),
        ("[concat('it''s ', parameters('n'))]", "it's 3"),
        ("[variables('list')[1].name]", "b"),
        ("[if(equals(parameters('n'), 3), 'three', parameters('none'))]", "three"),
        ("[and(true(), not(empty(variables('list'))), or(false(), contains('abc', 'b')))]", True),
        ("[format('{0}-{1}', toUpper('a'), string(2))]", "A-2"),
        ("[json('null')]", None),
        ("[coalesce(json('null'), 'b')]", "b"),
        ("[length(uniqueString('a', 'b'))]", 13),
        ("[resourceId('Microsoft.A/b', 'x')]", f"{SUBSCRIPTION}/providers/Microsoft.A/b/x"),
        (
            "[resourceId('g', 'Microsoft.A/b/c', 'x', 'y')]",
            f"{SUBSCRIPTION}/resourceGroups/g/providers/Microsoft.A/b/x/c/y",
        ),
        ("[subscriptionResourceId('Microsoft.A/b', 'x')]", f"{SUBSCRIPTION}/providers/Microsoft.A/b/x"),
        ("[extensionResourceId('/x', 'Microsoft.A/b', 'y')]", "/x/providers/Microsoft.A/b/y"),
        ("[environment().suffixes.storage]", "core.windows.net"),
    ],
)
def test_expressions_have_the_documented_values(text: str, expected: Any) -> None:
    scope = TemplateScope(
        Place(SUBSCRIPTION, None, "d"), {"n": 3}, {"list": "[createArray(createObject('name', 'a'), variables('b'))]",
                                                   "b": {"name": "b"}}
    )  # fmt: skip
    assert expressions.evaluate(text, scope) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[concat('a']", "Unable to parse"),
        ("[parameters('none')]", "parameter 'none' is not found"),
        ("[variables('none')]", "variable 'none' is not found"),
        ("[reference('x')]", "'reference' is not expected at this location"),
        ("[newGuid()]", "'newGuid' is not expected"),
        ("[copyIndex()]", "'copyIndex' is not expected"),
        ("[substring(1, 2)]", "Unable to evaluate template language function 'substring'"),
        ("[resourceId('Microsoft.A/b', 'x', 'y')]", "requires '1' resource name argument(s)"),
        ("[dateTimeAdd('a', 'b')]", "localcloud does not emulate the template function datetimeadd()"),
    ],
)
def test_an_expression_without_a_value_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ServiceError) as caught:
        expressions.evaluate(text, TemplateScope(Place(SUBSCRIPTION, None, "d"), {}))
    assert reason in str(caught.value)


def test_the_client_makes_a_workspace_with_its_dependencies_and_deletes_both(azure: AzureSession, group: str) -> None:
    client = MLClient(azure.credential, azure.subscription_id, group.rsplit("/", 1)[-1])
    name = unique("aml-")
    poller = client.workspaces.begin_create(Workspace(name=name, location="westeurope", description="by a template"))
    workspace = poller.result()
    assert workspace.description == "by a template"
    for part in (workspace.storage_account, workspace.key_vault, workspace.application_insights):
        assert str(part).lower().startswith(group.lower()), part
    client.workspaces.begin_delete(name, delete_dependent_resources=True, permanently_delete=True).result()
    assert list(client.workspaces.list()) == []
    assert azure.arm("GET", f"{group}/resources", "2021-04-01").json()["value"] == []


def test_resources_are_made_in_the_order_of_their_dependencies(azure: AzureSession, group: str) -> None:
    role = f"[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{ROLES['Storage Blob Data Reader']}')]"
    template = _template(
        {
            "type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01",
            "name": "[guid(resourceGroup().id, 'reader')]",
            "scope": "[resourceId('Microsoft.Storage/storageAccounts', parameters('account'))]",
            "properties": {
                "roleDefinitionId": role, "principalId": "[reference('id-one').principalId]",
                "principalType": "ServicePrincipal",
            },
            "dependsOn": ["[resourceId('Microsoft.Storage/storageAccounts', parameters('account'))]"],
        },
        {
            "type": "Microsoft.Storage/storageAccounts/blobServices/containers", "apiVersion": "2023-01-01",
            "name": "[format('{0}/default/data{1}', parameters('account'), copyIndex())]",
            "copy": {"name": "all", "count": 2}, "dependsOn": ["[parameters('account')]"],
        },
        ACCOUNT,
        _identity("id-one"),
        _identity("id-none", condition="[equals(parameters('secret'), 'no')]"),
        parameters={"account": {"type": "string"}, "secret": {"type": "securestring", "defaultValue": "hush"}},
        outputs={
            "blob": {"type": "string", "value": "[reference(parameters('account')).primaryEndpoints.blob]"},
            "key": {"type": "securestring", "value": "[listKeys(parameters('account'), '2023-01-01').keys[0].value]"},
        },
    )  # fmt: skip
    account = unique("st")
    properties = _deployed(azure, group, template, account=account)
    assert properties["provisioningState"] == "Succeeded", properties
    assert properties["outputs"]["blob"]["value"] == f"https://{account}.blob.core.windows.net/"
    assert properties["outputs"]["key"] == {"type": "SecureString"}, "secure outputs are not shown"
    assert properties["parameters"]["secret"] == {"type": "SecureString"}
    path = f"{group}/deployments/main/operations"
    names = [
        operation["properties"]["targetResource"]["resourceName"]
        for operation in azure.arm("GET", path, VERSION).json()["value"]
    ]
    assert names.index(account) < names.index(f"{account}/default/data1") and "id-none" not in names
    again = _deployed(azure, group, template, account=account)
    assert again["provisioningState"] == "Succeeded", "a deployment may be repeated"


def test_templates_in_templates_have_their_own_scope(azure: AzureSession, group: str) -> None:
    inner = _template(
        _identity("[concat('id-', parameters('which'))]"),
        parameters={"which": {"type": "string"}},
        outputs={"made": {"type": "string", "value": "[concat('id-', parameters('which'))]"}},
    )
    nested = {
        "type": "Microsoft.Resources/deployments", "apiVersion": "2022-09-01", "name": "inner",
        "properties": {
            "mode": "Incremental", "expressionEvaluationOptions": {"scope": "inner"}, "template": inner,
            "parameters": {"which": {"value": "[variables('name')]"}},
        },
    }  # fmt: skip
    template = _template(
        nested,
        variables={"name": "nested"},
        outputs={"made": {"type": "string", "value": "[reference('inner').outputs.made.value]"}},
    )
    assert _deployed(azure, group, template)["outputs"]["made"]["value"] == "id-nested"
    assert azure.arm("GET", f"{group}/providers/{IDENTITY}/id-nested", "2023-01-31").status_code == 200


def test_resources_may_have_symbolic_names_and_exist_already(azure: AzureSession, group: str) -> None:
    """Bicep writes templates of language version 2.0 so."""
    there = azure.put(f"{group}/providers/{IDENTITY}/id-there", "2023-01-31", {"location": "westeurope"})
    template = {
        "$schema": SCHEMA, "contentVersion": "1.0.0.0", "languageVersion": "2.0",
        "definitions": {"nameType": {"type": "string", "minLength": 3}},
        "parameters": {"called": {"$ref": "#/definitions/nameType"}},
        "resources": {
            "old": {"existing": True, "type": IDENTITY, "apiVersion": "2023-01-31", "name": "id-there"},
            "new": _identity("[parameters('called')]", tags={"of": "[reference('old').clientId]"}, dependsOn=["old"]),
        },
        "outputs": {"made": {"type": "string", "value": "[reference('new', '2023-01-31', 'full').tags.of]"}},
    }  # fmt: skip
    properties = _deployed(azure, group, template, called="id-new")
    assert properties["outputs"]["made"]["value"] == there["properties"]["clientId"]
    assert [resource["id"].rsplit("/", 1)[-1] for resource in properties["outputResources"]] == ["id-new"]
    short = _deploy(azure, group, template, called="id")
    assert error_of(short)[:2] == (400, "InvalidTemplate"), "the definition's own rules hold"


def test_a_subscription_s_deployment_makes_groups(azure: AzureSession) -> None:
    group, name = unique("rg-"), unique("d-")
    resource = {"type": "Microsoft.Resources/resourceGroups", "apiVersion": "2022-09-01", "name": group,
            "location": "westeurope"}  # fmt: skip
    properties = _deployed(azure, azure.subscription, _template(resource), name)
    assert properties["outputResources"] == [{"id": f"{azure.subscription}/resourceGroups/{group}"}]
    azure.finish(azure.arm("DELETE", f"{azure.subscription}/resourceGroups/{group}", "2024-03-01"))


@pytest.mark.parametrize(
    ("template", "parameters", "status", "reason"),
    [
        (_template(parameters={"a": {"type": "string"}}), {}, 400, "parameter 'a' is not provided"),
        (_template(), {"b": 1}, 400, "parameters 'b' in the parameters file are not valid"),
        (_template(parameters={"a": {"type": "string"}}), {"a": 5}, 400, "Expected 'String, Uri'"),
        (_template(parameters={"a": {"type": "int", "maxValue": 3}}), {"a": 5}, 400, "from 'None' to '3'"),
        (_template(parameters={"a": {"type": "string", "allowedValues": ["x"]}}), {"a": "y"}, 400, "allowed value(s)"),
        ({"resources": []}, {}, 400, "'$schema' not found"),
        (_template({"type": "Microsoft.Web/sites", "apiVersion": "2023-01-01", "name": "x"}), {}, 501, "Microsoft.Web"),
        (_template(_identity("[concat('a']")), {}, 400, "Unable to parse"),
    ],
)
def test_a_template_that_cannot_be_deployed_is_refused_at_once(
    azure: AzureSession, group: str, template: Json, parameters: Json, status: int, reason: str
) -> None:
    answer = _deploy(azure, group, template, **parameters)
    assert answer.status_code == status and reason in error_of(answer)[2], answer.text
    response = azure.arm("GET", f"{group}/providers/Microsoft.Resources/deployments/main", VERSION)
    assert error_of(response)[:2] == (404, "DeploymentNotFound")


def test_a_resource_that_is_refused_fails_the_deployment_and_is_named(azure: AzureSession, group: str) -> None:
    template = _template(_identity("id-first"), ACCOUNT, parameters={"account": {"type": "string"}})
    properties = _deployed(azure, group, template, account="Not_Valid")
    assert properties["provisioningState"] == "Failed"
    (detail,) = properties["error"]["details"]
    assert detail["code"] == "AccountNameInvalid" and detail["target"].endswith("/storageAccounts/Not_Valid")
    operations = azure.arm("GET", f"{group}/deployments/main/operations", VERSION).json()["value"]
    assert [operation["properties"]["provisioningState"] for operation in operations] == ["Succeeded", "Failed"]


def test_a_circular_dependency_is_refused(azure: AzureSession, group: str) -> None:
    template = _template(_identity("id-a", dependsOn=["id-b"]), _identity("id-b", dependsOn=["id-a"]))
    properties = _deployed(azure, group, template)
    assert properties["provisioningState"] == "Failed" and "Circular dependency" in properties["error"]["message"]


def test_a_deployment_has_its_caller_s_rights(azure: AzureSession, cloud: Any, group: str) -> None:
    identity = azure.put(f"{group}/providers/{IDENTITY}/id-caller", "2023-01-31", {"location": "westeurope"})
    azure.assign(group, "Contributor", identity["properties"]["principalId"])
    assignment = {
        "type": "Microsoft.Authorization/roleAssignments", "apiVersion": "2022-04-01", "name": "[guid('x')]",
        "properties": {"roleDefinitionId": "x", "principalId": "y"},
    }  # fmt: skip
    caller = session_as(cloud, identity["properties"]["principalId"])
    properties = _deployed(caller, group, _template(assignment))
    (detail,) = properties["error"]["details"]
    assert detail["code"] == "AuthorizationFailed", "Contributor makes no role assignments, in a template neither"


def test_unsupported_kinds_of_deployments_answer_501(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.Resources/deployments/main"
    for properties in (
        {"mode": "Complete", "template": _template()},
        {"mode": "Incremental", "templateLink": {"uri": "https://x"}},
    ):
        assert error_of(azure.arm("PUT", path, VERSION, {"properties": properties}))[0] == 501
    body = {"properties": {"mode": "Incremental", "template": _template(_identity("id-a"))}}
    linked = {"properties": {"mode": "Incremental", "templateLink": {"uri": "https://x"}}}
    assert error_of(azure.arm("POST", f"{path}/whatIf", VERSION, linked))[0] == 501
    validated = azure.arm("POST", f"{path}/validate", VERSION, body).json()
    assert [resource["id"].rsplit("/", 1)[-1] for resource in validated["properties"]["validatedResources"]] == ["id-a"]
