"""User delegation SAS at the dfs endpoint: made by the vendor's client, held to their directory and permissions."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from azure.storage.blob._serialize import _SUPPORTED_API_VERSIONS
from azure.storage.filedatalake import (
    DataLakeServiceClient,
    DirectorySasPermissions,
    FileSasPermissions,
    FileSystemSasPermissions,
    UserDelegationKey,
    generate_directory_sas,
    generate_file_sas,
    generate_file_system_sas,
)
from localcloud.core.errors import ServiceError
from localcloud.storage import delegation_keys
from localcloud.storage.addresses import Target
from localcloud.storage.dfs import signature
from localcloud.storage.dfs.needs import Operation
from localcloud.testing.azure_session import AzureSession, resource_group
from localcloud.testing.lake import Lake, make_lake, refusal

FORBIDDEN, FAILED = (403, "AuthorizationPermissionMismatch"), (403, "AuthenticationFailed")
ALL = DirectorySasPermissions(read=True, add=True, create=True, write=True, delete=True, list=True, move=True)


@pytest.fixture
def lake(azure: AzureSession, group: str) -> Lake:
    return _lake_with_files(azure, group)


@pytest.fixture(scope="module")
def unchanged(azure: AzureSession) -> Iterator[Lake]:
    """Yield a lake for requests that are refused."""
    with resource_group(azure) as group:
        yield _lake_with_files(azure, group)


def _lake_with_files(azure: AzureSession, group: str) -> Lake:
    """Return a lake with the files open/deep/a, open.b and shut/a."""
    lake = make_lake(azure, group)
    for path in ("open/deep/a", "open.b", "shut/a"):
        lake.data.get_file_client(path).upload_data(b"text", overwrite=True)
    return lake


def key_of(lake: Lake) -> UserDelegationKey:
    now = datetime.now(UTC)
    return lake.service.get_user_delegation_key(now - timedelta(minutes=5), now + timedelta(hours=1))


def directory_sas(lake: Lake, directory: str, permission: object = ALL, minutes: float = 30) -> str:
    end = datetime.now(UTC) + timedelta(minutes=minutes)
    return str(generate_directory_sas(lake.name, "data", directory, key_of(lake), permission, end))  # type: ignore[arg-type]


def ask(lake: Lake, method: str, path: str, sas: str, **headers: str) -> requests.Response:
    joined = f"{lake.url}{path}{'&' if '?' in path else '?'}{sas}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.request(method, joined, headers=named, timeout=60)


def test_a_directory_s_sas_opens_the_directory_and_its_content(lake: Lake) -> None:
    sas = directory_sas(lake, "open")
    client = DataLakeServiceClient(lake.url, credential=sas, retry_total=0).get_file_system_client("data")
    assert ask(lake, "GET", "/data/open/deep/a", sas).content == b"text"  # the client reads at the blob endpoint
    client.get_file_client("open/new/c").upload_data(b"more", overwrite=True)
    assert [path.name for path in client.get_paths("open")] == ["open/deep", "open/deep/a", "open/new", "open/new/c"]
    client.get_directory_client("open/new").delete_directory()
    owner = lake.data.get_file_client("open/deep/a").get_access_control()["owner"]
    client.get_file_client("open/mine").upload_data(b"more", overwrite=True)
    assert lake.data.get_file_client("open/mine").get_access_control()["owner"] == owner, "the delegator's"


@pytest.mark.parametrize(
    "path",
    [
        "shut/a", "open.b", "open/../shut/a", "open/%2e%2e/shut/a", "open%2f..%2fshut/a", "open%2F%2E%2E%2Fshut/a", "",
        "open/./deep/a", "Open/deep/a",
    ],
)  # fmt: skip
def test_a_directory_s_sas_opens_nothing_beside_the_directory(unchanged: Lake, path: str) -> None:
    sas = directory_sas(unchanged, "open")
    request = requests.Request("GET", f"{unchanged.url}/data/").prepare()
    for method, more in (("GET", ""), ("HEAD", ""), ("PUT", "resource=file&"), ("DELETE", "recursive=true&")):
        request.method, request.url = (
            method,
            f"{unchanged.url}/data/{path}?{more}{sas}",
        )  # clients resolve dots
        with requests.Session() as session:
            answer = session.send(request, timeout=60, proxies=session.merge_environment_settings(
                request.url, {}, None, None, None)["proxies"], verify=session.merge_environment_settings(
                request.url, {}, None, None, None)["verify"])  # fmt: skip
        assert answer.status_code in {400, 403, 404}, (method, answer.text)
        assert answer.status_code != 404 or method == "HEAD", "the answer does not tell which files exist"


def test_lists_and_renames_are_confined_to_the_sas_s_directory(lake: Lake) -> None:
    sas, other = directory_sas(lake, "open"), directory_sas(lake, "shut", DirectorySasPermissions(read=True))
    listing = "/data?resource=filesystem&recursive=true"
    for directory in ("", "&directory=", "&directory=shut", "&directory=op", "&directory=open.b"):
        assert refusal(ask(lake, "GET", f"{listing}{directory}", sas)) == FAILED, directory
    for directory in ("open/../shut", "open%2F..%2Fshut"):
        assert ask(lake, "GET", f"{listing}&directory={directory}", sas).status_code == 400, directory
    assert ask(lake, "GET", f"{listing}&directory=open%2Fdeep", sas).json()["paths"][0]["name"] == "open/deep/a"
    rename = {"x_ms_rename_source": f"/data/shut/a?{sas}"}
    assert refusal(ask(lake, "PUT", "/data/open/stolen", sas, **rename)) == FAILED
    assert refusal(ask(lake, "PUT", "/data/open/stolen", sas, x_ms_rename_source=f"/data/shut/a?{other}")) == FORBIDDEN
    assert refusal(ask(lake, "PUT", "/data/open/stolen", sas, x_ms_rename_source="/data/open/deep/a")) == FAILED
    assert refusal(ask(lake, "PUT", "/data/shut/given", sas, x_ms_rename_source=f"/data/open/deep/a?{sas}")) == FAILED
    traversal = f"/data/open/../shut/a?{sas}"
    assert ask(lake, "PUT", "/data/open/stolen", sas, x_ms_rename_source=traversal).status_code == 400
    assert ask(lake, "PUT", "/data/open/moved", sas, x_ms_rename_source=f"/data/open/deep/a?{sas}").status_code == 201


def test_each_permission_letter_opens_its_own_operations(lake: Lake) -> None:
    sas = directory_sas(lake, "open", DirectorySasPermissions(read=True, list=True))
    assert ask(lake, "GET", "/data/open/deep/a", sas).content == b"text"
    assert ask(lake, "HEAD", "/data/open/deep/a?action=getStatus", sas).status_code == 200
    for method, path, headers in (
        ("PUT", "/data/open/c?resource=file", {}),
        ("PUT", "/data/open/c?resource=file", {"if_none_match": "*"}),
        ("PATCH", "/data/open/deep/a?action=append&position=0", {}),
        ("PATCH", "/data/open/deep/a?action=flush&position=4", {}),
        ("PATCH", "/data/open/deep/a?action=setAccessControl", {"x_ms_acl": "user::rwx,group::---,other::---"}),
        ("DELETE", "/data/open/deep/a", {}),
        ("POST", "/data/open/deep/a", {"x_ms_lease_action": "break"}),
        ("HEAD", "/data/open/deep/a?action=getAccessControl", {}),
        ("PUT", "/data?resource=filesystem", {}),
        ("DELETE", "/data?resource=filesystem", {}),
    ):
        answer = ask(lake, method, path, sas, **headers)
        code = answer.headers.get("x-ms-error-code")
        assert (answer.status_code, code) == FORBIDDEN, (method, path, headers)


def test_sas_of_a_file_and_of_a_container_open_that_file_and_container(lake: Lake) -> None:
    end = datetime.now(UTC) + timedelta(minutes=5)
    key = key_of(lake)
    file = str(generate_file_sas(lake.name, "data", "open/deep", "a", key, FileSasPermissions(read=True), end))
    assert ask(lake, "GET", "/data/open/deep/a", file).content == b"text"
    assert refusal(ask(lake, "GET", "/data/open.b", file)) == FAILED
    whole = str(
        generate_file_system_sas(lake.name, "data", key, FileSystemSasPermissions(read=True, list=True), end)
    )  # fmt: skip
    assert ask(lake, "GET", "/data/shut/a", whole).content == b"text"
    assert len(ask(lake, "GET", "/data?resource=filesystem&recursive=true", whole).json()["paths"]) == 6
    assert refusal(ask(lake, "DELETE", "/data?resource=filesystem", whole)) == FORBIDDEN


@pytest.mark.parametrize("depth", ["9" * 5000, "-1", "\u00b2", ""])
def test_a_wrong_directory_depth_is_refused(depth: str) -> None:
    query = {"sv": "2024-11-04", "sr": "d", "sdd": depth, "sks": "b", "sig": "eA==", "skoid": "a"}
    with pytest.raises(ServiceError) as caught:
        signature.check("00", "account", Operation.READ, Target("data", "open/a"), query, {})
    assert (caught.value.status, caught.value.code) == FAILED


@pytest.mark.parametrize("version", ["9999-01-01", "2024-11-05", "latest"])
def test_an_unknown_service_version_is_refused(version: str) -> None:
    """The signature is right for the newest known layout, so that only the version can be refused."""
    query = {"sv": version, "sr": "c", "sp": "r", "sks": "b", "skoid": "a", "se": "9999-01-01", "ske": "9999-01-01"}
    text = signature._string_to_sign("/blob/account/data", version, query)
    key = base64.b64decode(delegation_keys.key_value("00", "a", "", "9999-01-01", ""))
    query["sig"] = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
    with pytest.raises(ServiceError) as caught:
        signature.check("00", "account", Operation.READ, Target("data", "open/a"), query, {})
    assert (caught.value.status, caught.value.code) == FAILED
    assert caught.value.message.endswith(f"sv={version!r} is no version of the service.")


def test_every_version_of_the_vendor_s_client_is_known() -> None:
    assert {version for version in _SUPPORTED_API_VERSIONS if version >= signature._OLDEST} <= signature._VERSIONS


def test_changed_late_and_unkeyed_signatures_fail(azure: AzureSession, lake: Lake) -> None:
    sas = directory_sas(lake, "open")
    for changed in (
        sas.replace("sdd=1", "sdd=0"), sas.replace("sdd=1", "sdd=2"), sas.replace("sr=d", "sr=c"),
        sas.replace("sp=", "sp=o"), sas.replace(azure.object_id, "00000000-0000-0000-0000-000000000001"),
        sas.replace("sig=", "sig=A"),
    ):  # fmt: skip
        answer = ask(lake, "GET", "/data/open/deep/a", changed)
        assert answer.status_code == 403 and refusal(answer)[1] == "AuthenticationFailed", changed
    late = ask(lake, "GET", "/data/open/deep/a", directory_sas(lake, "open", minutes=-1))
    assert refusal(late) == FAILED and "Signature not valid in the specified time frame" in late.text
    blob = ask(lake, "GET", "/data/open/deep/a", sas).request.url or ""
    answer = requests.get(blob.replace(".dfs.", ".blob."), timeout=60)
    assert answer.status_code == 501 and "directory's shared access signature" in answer.text
