"""Connections by azure-ai-ml."""

from __future__ import annotations

from typing import Any

import pytest
from azure.ai.ml.entities import (
    ApiKeyConfiguration,
    PatTokenConfiguration,
    UsernamePasswordConfiguration,
    WorkspaceConnection,
)
from azure.core.exceptions import HttpResponseError
from localcloud.testing.azure_session import error_of, unique
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml


def test_secrets_of_a_connection_are_shown_on_request_only(ml: MlWorkspace) -> None:
    name = unique("git-")
    pat = PatTokenConfiguration(pat="hush")
    ml.client.connections.create_or_update(
        WorkspaceConnection(name=name, type="git", target="https://github.com/a", credentials=pat)
    )
    stored = ml.client.connections.get(name)
    assert (stored.target, stored.type, stored.credentials.pat) == ("https://github.com/a", "git", None)
    assert name in {connection.name for connection in ml.client.connections.list(connection_type="git")}
    path = f"{ml.id}/connections/{name}"
    assert "hush" not in ml.azure.arm("GET", path, ML).text
    assert ml.azure.arm("POST", f"{path}/listsecrets", ML).json()["properties"]["credentials"]["pat"] == "hush"
    ml.client.connections.delete(name)
    with pytest.raises(HttpResponseError, match=name):
        ml.client.connections.get(name)


def test_the_client_fills_in_an_api_key(ml: MlWorkspace) -> None:
    name = unique("key-")
    connection: Any = WorkspaceConnection(
        name=name, type="api_key", target="https://a", credentials=ApiKeyConfiguration(key="k"), metadata={"a": "b"}
    )
    ml.client.connections.create_or_update(connection)
    assert ml.client.connections.get(name, populate_secrets=True).credentials.key == "k"
    assert ml.client.connections.get(name).metadata["a"] == "b"


def test_a_feed_is_listed_only_by_its_category(ml: MlWorkspace) -> None:
    name = unique("feed-")
    login = UsernamePasswordConfiguration(username="u", password="p")
    ml.client.connections.create_or_update(
        WorkspaceConnection(name=name, type="python_feed", target="https://b", credentials=login)
    )
    assert name not in {connection.name for connection in ml.client.connections.list(connection_type="git")}
    assert name in {connection.name for connection in ml.client.connections.list()}


@pytest.mark.parametrize(
    ("properties", "code", "reason"),
    [
        ({"category": "Git", "target": "x"}, "InvalidRequestContent", "properties.authType"),
        ({"category": "Git", "target": "x", "authType": "Luck"}, "ValidationError", "'Luck'"),
        ({"category": "Git", "target": "x", "authType": "PAT"}, "ValidationError", "credentials.pat"),
    ],
)
def test_an_invalid_connection_is_refused(ml: MlWorkspace, properties: dict[str, Any], code: str, reason: str) -> None:
    status, actual_code, message = error_of(
        ml.azure.arm("PUT", f"{ml.id}/connections/bad-one", ML, {"properties": properties})
    )
    assert (status, actual_code) == (400, code) and reason in message
