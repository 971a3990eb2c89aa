"""Microsoft Graph: principals by their ids."""

from __future__ import annotations

import os
from typing import Any

import requests
from localcloud.testing.azure_session import AzureSession

_GRAPH = "https://graph.microsoft.com/v1.0"


def _get(azure: AzureSession, path: str, **query: str) -> requests.Response:
    token = azure.credential.get_token("https://graph.microsoft.com/.default").token
    return requests.get(f"{_GRAPH}{path}", params=query, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def test_a_principal_is_read_by_object_id_and_by_client_id(azure: AzureSession) -> None:
    client_id = os.environ["AZURE_CLIENT_ID"]
    answers: list[Any] = [
        _get(azure, f"/servicePrincipals/{azure.object_id}").json(),
        _get(azure, f"/servicePrincipals(appId='{client_id}')").json(),
        *_get(azure, "/servicePrincipals", **{"$filter": f"appId eq '{client_id}'"}).json()["value"],
    ]
    assert [(answer["id"], answer["appId"]) for answer in answers] == [(azure.object_id, client_id)] * 3


def test_an_unknown_principal_is_graph_s_404(azure: AzureSession) -> None:
    answer = _get(azure, "/servicePrincipals/00000000-0000-4000-8000-000000000000")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "Request_ResourceNotFound")


def test_graph_needs_its_own_token_and_answers_501_to_other_operations(azure: AzureSession) -> None:
    token = azure.credential.get_token("https://management.azure.com/.default").token
    wrong = requests.get(f"{_GRAPH}/servicePrincipals", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    users = _get(azure, "/users")
    assert users.status_code == 501
    assert "GET https://graph.microsoft.com/v1.0/users" in users.json()["error"]["message"]
