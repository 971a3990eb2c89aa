"""Conditions on role assignments: their language, and their effect on a principal's requests."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from localcloud.arm.conditions import ConditionError, parse
from localcloud.testing.azure_session import ROLES, AzureSession, error_of, unique
from localcloud.testing.principals import session_as

WRITE = "Microsoft.Authorization/roleAssignments/write"
DELETE = "Microsoft.Authorization/roleAssignments/delete"
_NAME = "microsoft.authorization/roleassignments:"
READER, OWNER = ROLES["Storage Blob Data Reader"], ROLES["Owner"]


def _condition(role: str) -> str:
    """Return a condition as the portal writes it for "constrain roles and principal types"."""
    attribute = "Microsoft.Authorization/roleAssignments"
    return (
        f"((!(ActionMatches{{'{WRITE}'}})) OR (@Request[{attribute}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals "
        f"{{{role}}} AND @Request[{attribute}:PrincipalType] ForAnyOfAnyValues:StringEqualsIgnoreCase "
        f"{{'ServicePrincipal'}})) AND ((!(ActionMatches{{'{DELETE}'}})) OR "
        f"(@Resource[{attribute}:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals {{{role}}}))"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ActionMatches{'Microsoft.Authorization/*'}", True),
        ("!(ActionMatches{'*/write'})", False),
        ("NOT ActionMatches{'*/read'} AND ActionMatches{'*/write'}", True),
        ("@Request[a:x] StringEquals 'One'", True),
        ("@Request[a:x] StringEquals 'one'", False),
        ("@Request[a:x] StringEqualsIgnoreCase 'one'", True),
        ("@Request[a:x] StringNotEquals 'two'", True),
        ("@Request[a:x] StringLike 'O*'", True),
        ("@Request[a:x] StringStartsWith 'On' && @Request[a:n] NumericLessThan 10", True),
        ("@Request[a:x] ForAnyOfAnyValues:StringEquals {'Two', 'One'}", True),
        ("@Request[a:l] ForAllOfAnyValues:StringEquals {'p', 'q', 'r'}", True),
        ("@Request[a:l] ForAllOfAnyValues:StringEquals {'p', 'r'}", False),
        ("@Request[a:l] ForAnyOfAllValues:StringNotEquals {'r', 's'}", True),
        ("@Request[a:g] GuidEquals ACDD72A7-3385-48EF-BD42-F606FBA81AE7", True),
        ("@Request[a:missing] StringNotEquals 'x'", False),
        ("Exists @Request[a:missing] || Exists @Request[a:x]", True),
        ("(@Request[a:x] StringEquals 'no' OR @Request[a:x] StringEquals 'One') AND !(Exists @Resource[a:x])", True),
    ],
)
def test_expressions_are_evaluated_as_documented(text: str, expected: bool) -> None:
    guid = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    attributes = {"request": {"a:x": ["One"], "a:n": ["9"], "a:l": ["p", "q"], "a:g": [guid]}}
    assert parse(text).holds(WRITE, attributes) is expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "an attribute"),
        ("@Request[a:x] StringEquals", "a value"),
        ("@Request[a:x] Resembles 'y'", "'Resembles' is not an operator"),
        ("@Request[a:x] ForSome:StringEquals 'y'", "'ForSome'"),
        ("(@Request[a:x] StringEquals 'y'", "expected ')'"),
        ("@Request[a:x] StringEquals 'y' 'z'", "after the end"),
        ("RoleDefinitionId StringEquals 'y'", "expected an attribute"),
        ("@Request[a:x] StringEquals 'open", "unexpected"),
    ],
)
def test_a_malformed_condition_is_refused_with_the_position(text: str, reason: str) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert reason in str(caught.value)


@pytest.fixture
def identity(azure: AzureSession, group: str) -> str:
    """Return the object id of an identity without roles."""
    id_ = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}"
    return str(azure.put(id_, "2023-01-31", {"location": "westeurope"})["properties"]["principalId"])


def _assign(azure: AzureSession, scope: str, role: str, principal: str, **more: Any) -> Any:
    definition = f"{azure.subscription}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    properties = {
        "principalId": principal, "roleDefinitionId": definition, "principalType": "ServicePrincipal", **more,
    }  # fmt: skip
    path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
    return azure.arm("PUT", path, "2022-04-01", {"properties": properties})


def test_under_a_condition_one_role_is_assigned_and_removed_and_no_other(
    azure: AzureSession, cloud: Any, group: str, identity: str
) -> None:
    administrator = ROLES["Role Based Access Control Administrator"]
    response = _assign(azure, group, administrator, identity, condition=_condition(READER), conditionVersion="2.0")
    assert response.status_code == 201, response.text
    limited = session_as(cloud, identity)
    allowed = _assign(limited, group, READER, identity)
    assert allowed.status_code == 201, allowed.text
    status, code, message = error_of(_assign(limited, group, OWNER, identity))
    assert (status, code) == (403, "AuthorizationFailed") and WRITE in message
    person = _assign(limited, group, READER, azure.object_id, principalType="User")
    assert error_of(person)[:2] == (403, "AuthorizationFailed"), "the condition names the principal type"
    assert limited.arm("DELETE", response.json()["id"], "2022-04-01").status_code == 403, (
        "its own role is not its to take"
    )
    assert limited.arm("DELETE", allowed.json()["id"], "2022-04-01").status_code == 200


def test_a_condition_that_cannot_be_read_is_refused(azure: AzureSession, group: str, identity: str) -> None:
    answer = _assign(azure, group, READER, identity, condition="@Request[x", conditionVersion="2.0")
    assert error_of(answer)[:2] == (400, "InvalidCondition")
    unversioned = _assign(azure, group, READER, identity, condition=_condition(READER))
    assert error_of(unversioned)[:2] == (400, "InvalidConditionVersion")


def test_a_condition_on_a_container_opens_that_container_alone(
    azure: AzureSession, cloud: Any, group: str, identity: str
) -> None:
    name = unique("st")
    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{name}"
    azure.put(
        account, "2024-01-01", {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    )  # fmt: skip
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    url = f"https://{name}.blob.core.windows.net"
    owner = BlobServiceClient(url, credential=azure.credential)
    for container in ("open", "closed"):
        owner.create_container(container).upload_blob("a", b"1")
    attribute = "Microsoft.Storage/storageAccounts/blobServices/containers:name"
    condition = f"@Resource[{attribute}] StringEquals 'open'"
    assert _assign(azure, account, READER, identity, condition=condition, conditionVersion="2.0").status_code == 201
    credential: Any = session_as(cloud, identity).credential
    reader = BlobServiceClient(url, credential=credential, retry_total=0)
    assert reader.get_blob_client("open", "a").download_blob().readall() == b"1"
    with pytest.raises(HttpResponseError) as caught:
        reader.get_blob_client("closed", "a").download_blob()
    assert caught.value.status_code == 403
