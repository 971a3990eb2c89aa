"""Personal access tokens through the real client."""

from __future__ import annotations

import time

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service.workspace import AzureKeyVaultSecretScopeMetadata, ScopeBackendType


def _as(url: str, token: str | None) -> WorkspaceClient:
    return WorkspaceClient(host=url, token=token, auth_type="pat")


def test_a_token_represents_its_maker_until_it_is_revoked(databricks_url: str, admin: WorkspaceClient) -> None:
    created = admin.tokens.create(comment="ci", lifetime_seconds=600)
    assert created.token_value is not None and created.token_value.startswith("dapi")
    assert created.token_info is not None and created.token_info.token_id is not None
    client = _as(databricks_url, created.token_value)
    assert client.current_user.me().id == admin.current_user.me().id
    listed = [token for token in client.tokens.list() if token.token_id == created.token_info.token_id]
    assert [token.comment for token in listed] == ["ci"] and created.token_value not in str(listed)
    client.tokens.delete(created.token_info.token_id)
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        client.current_user.me()
    with pytest.raises(ResourceDoesNotExist):
        admin.tokens.delete(created.token_info.token_id)


def test_a_token_expires_and_has_its_maker_s_rights(databricks_url: str, member: WorkspaceClient) -> None:
    short = _as(databricks_url, member.tokens.create(lifetime_seconds=1).token_value)
    with pytest.raises(PermissionDenied, match="Only workspace admins"):
        short.users.create(user_name="a@b.co")
    time.sleep(1.1)
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        short.current_user.me()
    with pytest.raises(InvalidParameterValue, match="lifetime_seconds"):
        member.tokens.create(lifetime_seconds=0)


def test_admins_see_and_revoke_the_tokens_of_all(
    databricks_url: str, admin: WorkspaceClient, member: WorkspaceClient
) -> None:
    created = member.tokens.create(comment="of the member")
    assert created.token_info is not None and created.token_info.token_id is not None
    assert created.token_info.token_id not in {token.token_id for token in admin.tokens.list()}
    name = member.current_user.me().user_name
    managed = {token.token_id: token for token in admin.token_management.list(created_by_username=name)}
    assert managed[created.token_info.token_id].comment == "of the member"
    admin.token_management.delete(created.token_info.token_id)
    with pytest.raises(ResourceDoesNotExist):
        admin.token_management.get(created.token_info.token_id)
    with pytest.raises(PermissionDenied, match="Only workspace admins"):
        list(member.token_management.list())
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        _as(databricks_url, created.token_value).current_user.me()


def test_a_scope_in_a_key_vault_is_not_made_with_a_token(databricks_url: str, admin: WorkspaceClient) -> None:
    client = _as(databricks_url, admin.tokens.create().token_value)
    vault = AzureKeyVaultSecretScopeMetadata(resource_id="/x", dns_name="https://x.vault.azure.net/")
    with pytest.raises(InvalidParameterValue, match="must have userAADToken defined"):
        client.secrets.create_scope(
            "by-token", scope_backend_type=ScopeBackendType.AZURE_KEYVAULT, backend_azure_keyvault=vault
        )
