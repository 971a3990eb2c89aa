"""Access at the dfs endpoint, as at the blob endpoint; and operations of flat accounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import requests
from azure.core.exceptions import HttpResponseError
from azure.storage.filedatalake import DataLakeServiceClient, FileSasPermissions, generate_file_sas
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.lake import ROLE, Lake, code_of, make_lake, refusal
from localcloud.testing.networks import make_network, make_private_path, subnet

_LIST = "/data?resource=filesystem&recursive=true"


def test_roles_decide_operation_by_operation(azure: AzureSession, group: str) -> None:
    lake = make_lake(azure, group, role=None)
    forbidden = (403, "AuthorizationPermissionMismatch")
    assert refusal(lake.ask("GET", _LIST)) == forbidden
    reader = azure.assign(lake.id, "Storage Blob Data Reader", azure.object_id)
    assert lake.ask("GET", _LIST).json() == {"paths": []}
    assert lake.ask("HEAD", "/data/?action=getAccessControl").headers["x-ms-permissions"] == "rwxr-x---"
    for method, path, headers in (
        ("PUT", "/data/a?resource=file", {}),
        ("PUT", "/data/a", {"x-ms-rename-source": "/data/b"}),
        ("PATCH", "/data/a?action=append&position=0", {}),
        ("DELETE", "/data/a", {}),
        ("POST", "/data/a", {"x-ms-lease-action": "break"}),
    ):
        assert refusal(lake.ask(method, path, headers)) == forbidden, (method, path)
    azure.assign(f"{lake.id}/blobServices/default/containers/data", ROLE, azure.object_id)
    assert lake.ask("PUT", "/data/a?resource=file").status_code == 201
    assert refusal(lake.ask("PUT", "/other/a", {"x-ms-rename-source": "/data/a"})) == forbidden
    azure.arm("DELETE", reader, "2022-04-01")
    assert refusal(lake.ask("GET", _LIST.replace("data", "other"))) == forbidden
    assert lake.ask("GET", _LIST).json()["paths"][0]["name"] == "a"


def test_conditions_on_paths_apply(azure: AzureSession, group: str) -> None:
    lake = make_lake(azure, group, role=None)
    blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
    condition = (
        f"(( !(ActionMatches{{'{blobs}/write'}}) ) OR "
        f"( @Resource[{blobs}:path] StringLike 'open/*' ))"
    )  # fmt: skip
    assignment = azure.assign(lake.id, ROLE, azure.object_id)
    kept = azure.arm("GET", assignment, "2022-04-01").json()["properties"]
    changed = {name: kept[name] for name in ("principalId", "roleDefinitionId", "principalType")}
    answer = azure.arm(
        "PUT", assignment, "2022-04-01",
        {"properties": {**changed, "condition": condition, "conditionVersion": "2.0"}},
    )  # fmt: skip
    assert answer.status_code in {200, 201}, answer.text
    assert lake.ask("PUT", "/data/open/a?resource=file").status_code == 201
    assert refusal(lake.ask("PUT", "/data/shut/a?resource=file"))[0] == 403
    assert refusal(lake.ask("PUT", "/data/b", {"x-ms-rename-source": "/data/open/a"}))[0] == 403


def test_keys_and_signatures_work_where_they_are_allowed(azure: AzureSession, group: str) -> None:
    lake = make_lake(azure, group)
    key = azure.arm("POST", f"{lake.id}/listKeys", "2024-01-01").json()["keys"][0]["value"]
    data = DataLakeServiceClient(lake.url, credential=key, retry_total=0).get_file_system_client("data")
    soon = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_file_sas(lake.name, "data", "", "f", key, FileSasPermissions(read=True), soon)
    with pytest.raises(HttpResponseError) as caught:
        data.create_directory("d")
    assert (caught.value.status_code, code_of(caught.value)) == (403, "KeyBasedAuthenticationNotPermitted")
    signed = requests.get(f"{lake.url}/data/f?{sas}", timeout=30)
    assert refusal(signed) == (403, "KeyBasedAuthenticationNotPermitted")
    azure.arm("PATCH", lake.id, "2024-01-01", {"properties": {"allowSharedKeyAccess": True}})
    data.create_directory("d ä").create_file("f").append_data(b"1", 0, flush=True)
    assert data.get_directory_client("d ä").get_access_control()["owner"] == "$superuser"
    assert refusal(requests.get(f"{lake.url}/data/f?{sas}", timeout=30)) == (501, "NotImplemented")
    wrong = DataLakeServiceClient(lake.url, credential="YWJj", retry_total=0).get_file_system_client("data")
    with pytest.raises(HttpResponseError) as caught:
        wrong.create_directory("d")
    assert code_of(caught.value) == "AuthenticationFailed"


def test_strangers_are_refused_and_unknown_accounts_are_not_found(azure: AzureSession, group: str) -> None:
    lake = make_lake(azure, group, allowBlobPublicAccess=True)
    assert refusal(requests.get(f"{lake.url}/data/f", timeout=30)) == (401, "NoAuthenticationInformation")
    token = azure.credential.get_token("https://management.azure.com/.default").token
    other = requests.get(f"{lake.url}/data/f", headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert refusal(other) == (401, "InvalidAuthenticationInfo")
    nowhere = Lake(azure, "/x/stnowhere1")
    assert refusal(nowhere.ask("GET", _LIST)) == (400, "AccountDoesNotExist")


def test_a_closed_account_opens_by_a_private_endpoint_for_dfs_alone(azure: AzureSession, group: str) -> None:
    lake = make_lake(azure, group, publicNetworkAccess="Disabled")
    network = make_network(azure, group, subnet("endpoints", "10.20.1.0/24"))
    subnet_id = f"{network}/subnets/endpoints"
    make_private_path(azure, group, subnet_id, lake.id, "blob", "privatelink.blob.core.windows.net")
    assert refusal(lake.ask("GET", _LIST)) == (403, "AuthorizationFailure")
    make_private_path(azure, group, subnet_id, lake.id, "dfs", "privatelink.dfs.core.windows.net")
    assert lake.ask("GET", _LIST).status_code == 200


def test_a_flat_account_has_paths_without_access_control(azure: AzureSession, group: str) -> None:
    lake = make_lake(azure, group, isHnsEnabled=False)
    lake.data.get_file_client("a/b").upload_data(b"1", overwrite=True)
    assert lake.paths() == ["a", "a/b"]
    lake.data.get_directory_client("a").rename_directory("data/c")
    assert lake.data.get_file_client("c/b").download_file().readall() == b"1"
    assert "x-ms-owner" not in lake.ask("HEAD", "/data/c/b").headers
    assert lake.ask("HEAD", "/data?resource=filesystem").headers["x-ms-namespace-enabled"] == "false"
    none = (400, "HierarchicalNamespaceNotEnabled")
    assert refusal(lake.ask("HEAD", "/data/?action=getAccessControl")) == none
    assert refusal(lake.ask("PATCH", "/data/c?action=setAccessControl", {"x-ms-permissions": "0777"})) == none


def test_soft_delete_closes_the_endpoint_of_a_flat_account_alone(azure: AzureSession, group: str) -> None:
    kept = {"properties": {"deleteRetentionPolicy": {"enabled": True, "days": 7}}}
    flat, hierarchical = (
        make_lake(azure, group, isHnsEnabled=hierarchical_namespace) for hierarchical_namespace in (False, True)
    )
    for lake in (flat, hierarchical):
        azure.put(f"{lake.id}/blobServices/default", "2024-01-01", kept)
    refused = flat.ask("GET", _LIST)
    assert refusal(refused) == (409, "EndpointUnsupportedAccountFeatures")
    assert "This endpoint does not support BlobStorageEvents or SoftDelete" in refused.json()["error"]["message"]
    assert hierarchical.ask("GET", _LIST).status_code == 200
