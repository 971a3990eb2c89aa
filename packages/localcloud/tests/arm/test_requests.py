"""ARM's answers before any resource provider's: sign-in, api-version, scopes, metadata."""

from __future__ import annotations

from typing import Any

import requests
from localcloud.testing.azure_session import AzureSession, error_of, unique
from localcloud.testing.principals import session_as

_SENTENCE = "does not have authorization to perform action"


def test_a_request_without_a_token_is_challenged(azure: AzureSession) -> None:
    answer = requests.get(
        f"https://management.azure.com{azure.subscription}/resourceGroups",
        params={"api-version": "2024-03-01"},
        timeout=30,
    )
    status, code, _ = error_of(answer)
    assert (status, code) == (401, "AuthenticationFailed")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri="), "clients find the tenant there"


def test_a_token_of_another_audience_is_refused(azure: AzureSession) -> None:
    token = azure.credential.get_token("https://storage.azure.com/.default").token
    answer = requests.get(
        "https://management.azure.com/subscriptions",
        params={"api-version": "2022-12-01"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert error_of(answer)[:2] == (401, "InvalidAuthenticationTokenAudience")


def test_the_api_version_is_required(azure: AzureSession) -> None:
    assert error_of(azure.arm("GET", azure.subscription, ""))[:2] == (400, "MissingApiVersionParameter")


def test_an_unknown_api_version_is_refused_with_the_known_ones(azure: AzureSession, group: str) -> None:
    path = f"{group}/providers/Microsoft.Storage/storageAccounts/stx"
    status, code, message = error_of(azure.arm("GET", path, "2001-01-01"))
    assert (status, code) == (400, "NoRegisteredProviderFound")
    assert "2024-01-01" in message and "'storageAccounts'" in message, message


def test_a_type_that_is_not_emulated_answers_501(azure: AzureSession, group: str) -> None:
    status, code, message = error_of(azure.arm("GET", f"{group}/providers/Microsoft.Web/sites/x", "2024-01-01"))
    assert (status, code) == (501, "NotImplemented")
    assert "Microsoft.Web/sites" in message


def test_another_subscription_does_not_exist(azure: AzureSession) -> None:
    other = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/x"
    assert error_of(azure.arm("GET", other, "2024-03-01"))[:2] == (404, "SubscriptionNotFound")


def test_contributor_may_not_write_locks(azure: AzureSession, cloud: Any, group: str) -> None:
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{unique('id-')}"
    identity_ = azure.put(identity, "2023-01-31", {"location": "westeurope"})
    contributor = session_as(cloud, identity_["properties"]["principalId"])
    azure.assign(group, "Contributor", contributor.object_id)
    path = f"{group}/providers/Microsoft.Authorization/locks/keep"
    answer = contributor.arm("PUT", path, "2020-05-01", {"properties": {"level": "CanNotDelete"}})
    status, code, message = error_of(answer)
    assert (status, code) == (403, "AuthorizationFailed")
    assert _SENTENCE in message and "'Microsoft.Authorization/locks/write'" in message
    assert contributor.object_id in message


def test_a_body_that_is_not_json_is_refused(azure: AzureSession) -> None:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    answer = requests.put(
        f"https://management.azure.com{azure.subscription}/resourceGroups/{unique('rg-')}",
        params={"api-version": "2024-03-01"},
        data="{not json",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    assert error_of(answer)[:2] == (400, "InvalidRequestContent")


def test_metadata_names_the_cloud_of_the_requested_address(azure: AzureSession) -> None:
    url = "https://management.azure.com/metadata/endpoints"
    clouds = requests.get(url, params={"api-version": "2020-09-01"}, timeout=30).json()
    assert [cloud["name"] for cloud in clouds] == ["AzureCloud"]
    assert clouds[0]["resourceManager"] == "https://management.azure.com"
    assert clouds[0]["suffixes"]["storage"] == "core.windows.net"
    assert "portalEndpoint" in requests.get(url, params={"api-version": "2015-01-01"}, timeout=30).json()


def test_ids_are_compared_without_case_and_keep_their_own(azure: AzureSession, group: str) -> None:
    resource = azure.arm("GET", group.upper().replace("/SUBSCRIPTIONS", "/subscriptions"), "2024-03-01").json()
    assert resource["name"] == group.rsplit("/", 1)[-1]


def test_paths_are_the_same_in_any_letter_case(azure: AzureSession, group: str) -> None:
    assert azure.arm("GET", group.upper(), "2024-03-01").json()["name"] == group.rsplit("/", 1)[-1]
    assert (
        azure.arm("GET", "/SUBSCRIPTIONS", "2022-12-01").json()["value"][0]["subscriptionId"] == azure.subscription_id
    )


def test_a_subscription_that_is_no_guid_is_malformed(azure: AzureSession) -> None:
    status, code, message = error_of(azure.arm("GET", "/subscriptions/mine/resourceGroups", "2024-03-01"))
    assert (status, code) == (400, "InvalidSubscriptionId")
    assert "'mine'" in message
    other = f"/subscriptions/{azure.tenant_id}/resourceGroups"
    assert error_of(azure.arm("GET", other, "2024-03-01"))[:2] == (404, "SubscriptionNotFound")
