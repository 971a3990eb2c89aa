"""Blob storage by azure-storage-blob: access, and the bytes of data."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobSasPermissions, BlobServiceClient, ContainerClient, generate_blob_sas
from localcloud.testing.azure_session import AzureSession, error_of, unique

_MEGABYTE = 1 << 20


def code_of(error: HttpResponseError) -> Any:
    """Return x-ms-error-code, which azure-storage-blob adds to azure-core's error, as text or an enumeration."""
    return vars(error)["error_code"]


@pytest.fixture
def account(azure: AzureSession, group: str) -> Iterator[str]:
    """Return the id of a storage account without shared keys, with the container `data`; without data roles."""
    id_ = f"{group}/providers/Microsoft.Storage/storageAccounts/{unique('st')}"
    body = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    azure.put(id_, "2024-01-01", {**body, "properties": {"allowSharedKeyAccess": False}})
    azure.put(f"{id_}/blobServices/default/containers/data", "2024-01-01", {"properties": {}})
    yield id_


def _url(account: str) -> str:
    return f"https://{account.rsplit('/', 1)[-1]}.blob.core.windows.net"


def _data(azure: AzureSession, account: str) -> ContainerClient:
    return BlobServiceClient(_url(account), credential=azure.credential).get_container_client("data")


def test_without_a_role_contributor_reads_no_data_and_with_it_does(azure: AzureSession, account: str) -> None:
    data = _data(azure, account)
    with pytest.raises(HttpResponseError) as caught:
        data.upload_blob("a.txt", b"1")
    assert (caught.value.status_code, code_of(caught.value)) == (403, "AuthorizationPermissionMismatch")
    assignment = azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    data.upload_blob("a folder/ä b+c.txt", b"hello", overwrite=True)
    assert data.download_blob("a folder/ä b+c.txt").readall() == b"hello"
    assert [blob.name for blob in data.list_blobs()] == ["a folder/ä b+c.txt"]
    assert azure.arm("DELETE", assignment, "2022-04-01").status_code == 200
    with pytest.raises(HttpResponseError, match="not authorized to perform this operation using this permission"):
        data.download_blob("a folder/ä b+c.txt")


def test_a_readers_role_on_one_container_is_for_reading_that_one(azure: AzureSession, account: str) -> None:
    container = f"{account}/blobServices/default/containers"
    azure.put(f"{container}/other", "2024-01-01", {"properties": {}})
    azure.assign(f"{container}/data", "Storage Blob Data Reader", azure.object_id)
    assert list(_data(azure, account).list_blobs()) == []
    with pytest.raises(HttpResponseError) as write:
        _data(azure, account).upload_blob("x", b"1")
    assert code_of(write.value) == "AuthorizationPermissionMismatch"
    with pytest.raises(HttpResponseError) as other:
        list(BlobServiceClient(_url(account), credential=azure.credential).get_container_client("other").list_blobs())
    assert code_of(other.value) == "AuthorizationPermissionMismatch"


def test_megabytes_stream_through_unchanged(azure: AzureSession, account: str) -> None:
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    content = os.urandom(9 * _MEGABYTE)
    service = BlobServiceClient(
        _url(account), credential=azure.credential, max_block_size=_MEGABYTE, max_single_put_size=_MEGABYTE
    )
    data = service.get_container_client("data")
    data.upload_blob("big", content)
    assert data.download_blob("big").readall() == content
    copy = data.get_blob_client("copy")
    copy.start_copy_from_url(f"{_url(account)}/data/big")
    assert copy.download_blob(offset=5, length=7).readall() == content[5:12]


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def test_a_range_has_its_hash_where_the_client_asks_for_it(azure: AzureSession, account: str) -> None:
    """Source: "Get Blob" of the Blob service REST API, x-ms-range-get-content-md5."""
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    content, length = os.urandom(3 * _MEGABYTE), _MEGABYTE + 7
    service = BlobServiceClient(
        _url(account), credential=azure.credential, max_block_size=_MEGABYTE, max_single_put_size=_MEGABYTE
    )
    data = service.get_container_client("data")
    data.upload_blob("blocks", content)
    data.upload_blob("whole", content[:_MEGABYTE])
    token = azure.credential.get_token("https://storage.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"}

    def read(blob: str, **more: str) -> tuple[int, bytes, str | None]:
        url, own = f"{_url(account)}/data/{blob}", {name.replace("_", "-"): value for name, value in more.items()}
        answer = requests.get(url, headers=headers | own, timeout=30)
        return answer.status_code, answer.content, answer.headers.get("Content-MD5")

    part = content[5 : 5 + length]
    wanted = f"bytes=5-{4 + length}"
    assert read("blocks", x_ms_range=wanted) == (206, part, None)
    assert read("blocks", x_ms_range=wanted, x_ms_range_get_content_md5="true") == (206, part, _md5(part))
    assert read("blocks", Range=wanted) == (206, part, None)
    assert read("whole", Range="bytes=0-9") == (206, content[:10], None)
    whole = _md5(content[:_MEGABYTE])
    assert read("whole") == (200, content[:_MEGABYTE], whole)
    assert read("whole", Range="nonsense") == (200, content[:_MEGABYTE], whole), "no range"
    assert data.download_blob("blocks", validate_content=True).readall() == content


def test_prefixes_and_blobs_are_listed_in_the_order_of_their_names(azure: AzureSession, account: str) -> None:
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    data = _data(azure, account)
    for name in ("b/2&3/x", "b", "a.txt", "b/1", "b-c", "z"):
        data.upload_blob(name, b"1")
    token = azure.credential.get_token("https://storage.azure.com/.default").token
    answer = requests.get(
        f"{_url(account)}/data?restype=container&comp=list&delimiter=/",
        headers={"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"},
        timeout=30,
    )
    root = ElementTree.fromstring(answer.content)  # noqa: S314 -- our own answer
    assert root.attrib["ServiceEndpoint"] == f"{_url(account)}/"
    assert [(entry.tag, entry.findtext("Name")) for entry in root.iterfind("Blobs/*")] == [
        ("Blob", "a.txt"), ("Blob", "b"), ("Blob", "b-c"), ("BlobPrefix", "b/"), ("Blob", "z")
    ], "ABFS knows a folder's marker and its prefix for one by this order"  # fmt: skip
    assert {blob.name for blob in data.walk_blobs("b/")} == {"b/1", "b/2&3/"}


def test_a_list_from_a_name_leaves_out_the_ones_before_it(azure: AzureSession, account: str) -> None:
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    data = _data(azure, account)
    for name in ("from/1", "from/2", "from/3/a", "from/3/b", "from/4&5"):
        data.upload_blob(name, b"", overwrite=True)

    assert [blob.name for blob in data.list_blobs("from/", start_from="from/2")] == [
        "from/2", "from/3/a", "from/3/b", "from/4&5",
    ]  # fmt: skip
    assert [blob.name for blob in data.list_blobs("from/", start_from="from/3/b", results_per_page=1)] == [
        "from/3/b", "from/4&5",
    ]  # fmt: skip
    assert [blob.name for blob in data.walk_blobs("from/", start_from="from/3")] == ["from/3/", "from/4&5"]
    assert list(data.list_blobs("from/", start_from="from/5")) == []


def test_shared_keys_work_only_where_they_are_allowed(azure: AzureSession, account: str) -> None:
    keys = azure.arm("POST", f"{account}/listKeys", "2024-01-01").json()["keys"]
    name = account.rsplit("/", 1)[-1]
    data = BlobServiceClient(_url(account), credential=keys[1]["value"]).get_container_client("data")
    soon = datetime.now(UTC) + timedelta(hours=1)
    token = generate_blob_sas(
        name, "data", "a", account_key=keys[0]["value"], expiry=soon, permission=BlobSasPermissions(read=True)
    )
    for refused in (
        lambda: data.upload_blob("a", b"1"),
        BlobClient.from_blob_url(f"{_url(account)}/data/a?{token}").download_blob,
    ):
        with pytest.raises(HttpResponseError) as caught:
            refused()
        assert (caught.value.status_code, code_of(caught.value)) == (403, "KeyBasedAuthenticationNotPermitted")
    assert azure.arm("PATCH", account, "2024-01-01", {"properties": {"allowSharedKeyAccess": True}}).status_code == 200
    data.upload_blob("a", b"1", metadata={"one": "two  three"})
    assert BlobClient.from_blob_url(f"{_url(account)}/data/a?{token}").download_blob().readall() == b"1"
    wrong = BlobServiceClient(_url(account), credential="YWJj").get_container_client("data")
    with pytest.raises(HttpResponseError) as caught:
        wrong.download_blob("a")
    assert code_of(caught.value) == "AuthenticationFailed"
    azure.arm("POST", f"{account}/regenerateKey", "2024-01-01", {"keyName": "key2"})
    with pytest.raises(HttpResponseError):
        data.download_blob("a")


def test_a_user_delegation_sas_is_limited_by_its_principals_role(azure: AzureSession, account: str) -> None:
    assignment = azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    _data(azure, account).upload_blob("a", b"1")
    service = BlobServiceClient(_url(account), credential=azure.credential)
    now = datetime.now(UTC)
    key = service.get_user_delegation_key(now - timedelta(minutes=1), now + timedelta(hours=1))
    token = generate_blob_sas(
        str(service.account_name),
        "data",
        "a",
        user_delegation_key=key,
        expiry=now + timedelta(hours=1),
        permission=BlobSasPermissions(read=True),
    )
    blob = BlobClient.from_blob_url(f"{_url(account)}/data/a?{token}")
    assert blob.download_blob().readall() == b"1"
    with pytest.raises(HttpResponseError) as write:
        blob.upload_blob(b"2", overwrite=True)
    assert write.value.status_code == 403, "the SAS is for reading"
    azure.arm("DELETE", assignment, "2022-04-01")
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob()
    assert code_of(caught.value) == "AuthorizationPermissionMismatch"


def test_containers_made_on_either_side_show_on_both(azure: AzureSession, account: str) -> None:
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    service = BlobServiceClient(_url(account), credential=azure.credential)
    service.create_container("from-data")
    path = f"{account}/blobServices/default/containers"
    assert [container["name"] for container in azure.arm("GET", path, "2024-01-01").json()["value"]] == [
        "data",
        "from-data",
    ]
    assert azure.arm("DELETE", f"{path}/data", "2024-01-01").status_code == 200
    assert [container.name for container in service.list_containers()] == ["from-data"]
    invalid = azure.arm("PUT", f"{path}/two--hyphens", "2024-01-01", {"properties": {}})
    assert error_of(invalid)[:2] == (400, "ContainerInvalidName")


def test_anonymous_and_unknown_callers_get_different_codes(azure: AzureSession, account: str) -> None:
    with pytest.raises(HttpResponseError) as anonymous:
        BlobServiceClient(_url(account)).get_container_client("data").download_blob("a")
    assert (anonymous.value.status_code, code_of(anonymous.value)) == (401, "NoAuthenticationInformation")
    with pytest.raises(HttpResponseError) as nowhere:
        BlobServiceClient("https://stnowhere.blob.core.windows.net", credential=azure.credential).get_container_client(
            "x"
        ).exists()
    assert code_of(nowhere.value) == "AccountDoesNotExist"
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    with pytest.raises(ResourceNotFoundError) as missing:
        _data(azure, account).download_blob("nope")
    assert code_of(missing.value) == "BlobNotFound"


def test_a_closed_network_refuses_even_the_owner(azure: AzureSession, account: str) -> None:
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    azure.arm("PATCH", account, "2024-01-01", {"properties": {"networkAcls": {"defaultAction": "Deny"}}})
    with pytest.raises(HttpResponseError) as caught:
        _data(azure, account).download_blob("a")
    assert (caught.value.status_code, code_of(caught.value)) == (403, "AuthorizationFailure")


def test_a_repeated_parameter_is_refused(azure: AzureSession, account: str) -> None:
    answer = requests.get(f"{_url(account)}/data/a?sig=a&skoid=b&skoid=c", timeout=30)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidQueryParameterValue")
    assert "skoid is given more than once" in answer.text


@pytest.mark.parametrize(("begins", "ends"), [(0, 8), (2, 1), (-1, 30)])
def test_a_user_delegation_key_is_valid_for_seven_days_at_most(
    azure: AzureSession, account: str, begins: int, ends: int
) -> None:
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    service = BlobServiceClient(_url(account), credential=azure.credential)
    now = datetime.now(UTC)
    with pytest.raises(HttpResponseError) as caught:
        service.get_user_delegation_key(now + timedelta(days=begins), now + timedelta(days=ends))
    assert (caught.value.status_code, code_of(caught.value)) == (400, "InvalidXmlNodeValue")
    assert service.get_user_delegation_key(now, now + timedelta(days=6)).value


def test_names_that_azure_refuses_are_refused_and_lists_continue(azure: AzureSession, account: str) -> None:
    azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    data = _data(azure, account)
    for name, code in (("a" * 1025, "OutOfRangeInput"), ("a\x00b", "InvalidUri")):
        with pytest.raises(HttpResponseError) as caught:
            data.upload_blob(name, b"1")
        assert (caught.value.status_code, code_of(caught.value)) == (400, code)
    data.upload_blob("b" * 1024, b"1")
    assert [len(blob.name) for blob in data.list_blobs()] == [1024]


def test_a_batch_deletes_the_permitted_blobs_and_answers_for_each(azure: AzureSession, account: str) -> None:
    assignment = azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    data = _data(azure, account)
    for name in ("a", "b/ü 1", "c"):
        data.upload_blob(name, b"1")
    answers = list(data.delete_blobs("a", "b/ü 1", "none", raise_on_any_failure=False))
    assert [answer.status_code for answer in answers] == [202, 202, 404]
    assert answers[2].headers["x-ms-error-code"] == "BlobNotFound"
    assert [blob.name for blob in data.list_blobs()] == ["c"]
    data.set_standard_blob_tier_blobs("Cool", "c")
    assert data.get_blob_client("c").get_blob_properties().blob_tier == "Cool"
    azure.arm("DELETE", assignment, "2022-04-01")
    azure.assign(account, "Storage Blob Data Reader", azure.object_id)
    (refused,) = data.delete_blobs("c", raise_on_any_failure=False)
    assert (refused.status_code, refused.headers["x-ms-error-code"]) == (403, "AuthorizationPermissionMismatch")
    assert [blob.name for blob in data.list_blobs()] == ["c"], "a reader deletes nothing, in a batch neither"


def test_a_malformed_batch_is_refused(azure: AzureSession, account: str) -> None:
    token = azure.credential.get_token("https://storage.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2023-11-03"}
    for kind, body in (("text/plain", b"x"), ("multipart/mixed; boundary=b", b"--b\r\n\r\nhello\r\n--b--\r\n")):
        answer = requests.post(
            f"{_url(account)}/?comp=batch", data=body, headers=headers | {"Content-Type": kind}, timeout=30
        )
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (400, "InvalidInput")


def test_a_copy_source_is_authorized_separately(azure: AzureSession, account: str) -> None:
    containers = f"{account}/blobServices/default/containers"
    azure.put(f"{containers}/other", "2024-01-01", {"properties": {}})
    azure.assign(account, "Storage Blob Delegator", azure.object_id)
    assignment = azure.assign(f"{containers}/other", "Storage Blob Data Contributor", azure.object_id)
    azure.assign(f"{containers}/data", "Storage Blob Data Contributor", azure.object_id)
    service = BlobServiceClient(_url(account), credential=azure.credential, retry_total=0)
    service.get_blob_client("other", "secret").upload_blob(b"1")
    source = f"{_url(account)}/other/secret"
    now = datetime.now(UTC)
    key = service.get_user_delegation_key(now - timedelta(minutes=1), now + timedelta(hours=1))

    def signed(container: str, blob: str, **permissions: bool) -> str:
        return generate_blob_sas(
            str(service.account_name), container, blob, user_delegation_key=key, expiry=now + timedelta(hours=1),
            permission=BlobSasPermissions(**permissions),
        )  # fmt: skip

    new = BlobClient.from_blob_url(f"{_url(account)}/data/new?{signed('data', 'new', write=True, create=True)}")
    readable = f"{source}?{signed('other', 'secret', read=True)}"
    for wrong in (
        source,
        f"{source}?{signed('data', 'secret', read=True)}",
        f"{source}?{signed('other', 'secret', write=True)}",
        f"{readable[:-5]}AAA%3D",
    ):
        for synchronous in (False, True):
            with pytest.raises(HttpResponseError) as caught:
                new.start_copy_from_url(wrong, requires_sync=synchronous)
            assert code_of(caught.value) == "CannotVerifyCopySource", wrong
            assert caught.value.status_code in {403, 409}
    new.start_copy_from_url(readable)
    new.start_copy_from_url(readable, requires_sync=True)
    data = service.get_blob_client("data", "copy")
    data.start_copy_from_url(source)
    azure.arm("DELETE", assignment, "2022-04-01")
    for refused in (source, readable, f"{source}?sig=AAAA&sv=2024-11-04&sr=b&sp=r"):
        with pytest.raises(HttpResponseError) as caught:
            data.start_copy_from_url(refused, requires_sync=True)
        assert caught.value.status_code == 403, refused


def test_no_header_turns_a_read_into_a_deletion(azure: AzureSession, account: str) -> None:
    assignment = azure.assign(account, "Storage Blob Data Contributor", azure.object_id)
    _data(azure, account).upload_blob("a", b"1")
    azure.arm("DELETE", assignment, "2022-04-01")
    azure.assign(account, "Storage Blob Data Reader", azure.object_id)
    token = azure.credential.get_token("https://storage.azure.com/.default").token
    headers = {"Authorization": f"Bearer {token}", "x-ms-version": "2024-11-04"}
    answer = requests.get(f"{_url(account)}/data/a", headers=headers | {"X-HTTP-Method": "DELETE"}, timeout=30)
    assert (answer.status_code, answer.content) == (200, b"1")
    for method, path in (("DELETE", "data?restype=container&comp=list"), ("DELETE", "data/a?comp=tags")):
        answer = requests.request(method, f"{_url(account)}/{path}", headers=headers, timeout=30)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (501, "NotImplemented")
    assert [blob.name for blob in _data(azure, account).list_blobs()] == ["a"]
