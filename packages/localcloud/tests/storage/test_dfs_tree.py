"""Lists, renames, access control and filesystems at the dfs endpoint."""

from __future__ import annotations

import concurrent.futures
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.lake import Lake, code_of, make_lake, refusal


@pytest.fixture
def lake(azure: AzureSession, group: str) -> Lake:
    return make_lake(azure, group)


def _rename(lake: Lake, source: str, target: str, headers: dict[str, str] | None = None) -> Any:
    return lake.ask("PUT", f"/data/{target}", {"x-ms-rename-source": f"/data/{source}", **(headers or {})})


def test_lists_go_by_directory_depth_and_page(lake: Lake) -> None:
    names = ["a", "a/b", "a/b/1", "a/b/2", "a/c", "a-b", "a.txt", "z"]
    for name in ("a/b/1", "a/b/2", "a-b", "a.txt", "z"):
        lake.data.get_file_client(name).upload_data(b"12", overwrite=True)
    lake.data.create_directory("a/c")
    assert sorted(lake.paths()) == sorted(names)
    assert lake.paths(recursive=False) == ["a", "a-b", "a.txt", "z"]
    assert lake.paths("a", recursive=False) == ["a/b", "a/c"]
    paths = {path.name: path for path in lake.data.get_paths("a")}
    assert (paths["a/b"].is_directory, paths["a/b"].content_length) == (True, 0)
    assert (paths["a/b/1"].is_directory, paths["a/b/1"].content_length) == (False, 2)
    file_properties = lake.data.get_file_client("a/b/1").get_file_properties()
    listed = paths["a/b/1"].last_modified.replace(tzinfo=file_properties.last_modified.tzinfo)
    assert (listed, f'"{paths["a/b/1"].etag}"') == (file_properties.last_modified, file_properties.etag)
    pages = [[path.name for path in page] for page in lake.data.get_paths(max_results=3).by_page()]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [name for page in pages for name in page] == lake.paths()
    base = "/data?resource=filesystem"
    assert refusal(lake.ask("GET", base)) == (400, "MissingRequiredQueryParameter")
    assert refusal(lake.ask("GET", f"{base}&recursive=true&directory=none")) == (404, "PathNotFound")
    assert refusal(lake.ask("GET", f"{base}&recursive=true&maxResults=0")) == (400, "OutOfRangeQueryParameterValue")
    assert refusal(lake.ask("GET", f"{base}&recursive=true&continuation=%C3")) == (400, "InvalidQueryParameterValue")
    assert refusal(lake.ask("GET", "/none?resource=filesystem&recursive=true")) == (404, "FilesystemNotFound")


def test_a_directory_moves_with_its_content(lake: Lake) -> None:
    blobs = BlobServiceClient(lake.url.replace(".dfs.", ".blob."), credential=lake.azure.credential)
    for number in range(30):
        blobs.get_container_client("data").upload_blob(f"from/deep/{number}", str(number).encode())
    lake.data.get_file_client("from-other").create_file()
    lake.data.create_directory("to")
    before = lake.data.get_file_client("from/deep/7").get_file_properties()
    lake.data.get_directory_client("from").rename_directory("data/to/là b")
    assert sorted(lake.paths("to")) == sorted(["to/là b", "to/là b/deep", *(f"to/là b/deep/{n}" for n in range(30))])
    after = lake.data.get_file_client("to/là b/deep/7")
    assert (after.get_file_properties().etag, after.download_file().readall()) == (before.etag, b"7")
    assert lake.ask("HEAD", "/data/from").status_code == 404
    assert lake.ask("HEAD", "/data/from-other").status_code == 200


def test_half_of_a_rename_is_never_visible(lake: Lake) -> None:
    for number in range(20):
        lake.data.get_file_client(f"one/{number:02}").create_file()

    def count(_: int) -> int:
        return len([name for name in lake.paths() if "/" in name])

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        counts = pool.map(count, range(24))
        for source, target in (("one", "two"), ("two", "one")) * 4:
            assert _rename(lake, source, target).status_code == 201
        assert set(counts) == {20}


def test_one_of_many_renames_to_one_path_succeeds(lake: Lake) -> None:
    for number in range(8):
        lake.data.get_file_client(f"from{number}/file").create_file()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: _rename(lake, f"from{number}", "to").status_code, range(8)))
    assert sorted(answers) == [201, *[409] * 7]
    assert len([name for name in lake.paths() if name.endswith("/file")]) == 8, "what was refused is where it was"


def test_a_file_replaces_another_unless_a_condition_forbids_it(lake: Lake) -> None:
    for name in ("a", "b", "d/in"):
        lake.data.get_file_client(name).upload_data(name.encode(), overwrite=True)
    assert refusal(_rename(lake, "a", "b", {"If-None-Match": "*"})) == (409, "PathAlreadyExists")
    lake.data.get_file_client("a").rename_file("data/b")
    assert lake.data.get_file_client("b").download_file().readall() == b"a"
    assert refusal(_rename(lake, "a", "c")) == (404, "SourcePathNotFound")
    assert refusal(_rename(lake, "b", "none/c")) == (404, "RenameDestinationParentPathNotFound")
    assert refusal(_rename(lake, "b", "d")) == (409, "InvalidSourceOrDestinationResourceType")
    assert refusal(_rename(lake, "d", "b")) == (409, "InvalidSourceOrDestinationResourceType")
    assert refusal(_rename(lake, "d", "d/e")) == (409, "InvalidRenameSourcePath")
    lake.data.get_file_client("full/x").create_file()
    assert refusal(_rename(lake, "d", "full")) == (409, "PathAlreadyExists")
    lake.data.create_directory("void")
    assert _rename(lake, "d", "void").status_code == 201
    assert lake.paths("void") == ["void/in"]
    stale = {"x-ms-source-if-match": '"0x1"'}
    assert refusal(_rename(lake, "b", "c", stale)) == (412, "SourceConditionNotMet")
    assert refusal(lake.ask("PUT", "/data/c", {"x-ms-rename-source": "b"})) == (400, "InvalidSourceUri")


def test_access_control_is_kept_shown_and_changed_by_its_owner(lake: Lake) -> None:
    directory = lake.data.create_directory("d", permissions="0777", umask="0022")
    access = directory.get_access_control()
    assert (access["owner"], access["group"]) == (lake.azure.object_id, "$superuser")
    assert (access["permissions"], access["acl"]) == ("rwxr-xr-x", "user::rwx,group::r-x,other::r-x")
    reader = "user:11111111-1111-1111-1111-111111111111:r-x"
    directory.set_access_control(acl=f"user::rwx,{reader},group::r-x,mask::r-x,other::---")
    assert directory.get_access_control()["permissions"] == "rwxr-x---+"
    file = directory.create_file("f")
    assert file.get_access_control()["permissions"] == "rw-r-----"
    file.set_access_control(permissions="rwx------")
    file.append_data(b"1", 0, flush=True)
    assert file.get_access_control()["permissions"] == "rwx------", "writing keeps it"
    moved = directory.rename_directory("data/e")
    assert moved.get_access_control()["permissions"] == "rwxr-x---+"
    changed = moved.update_access_control_recursive(acl="user:22222222-2222-2222-2222-222222222222:rwx")
    assert changed.counters is not None
    assert (changed.counters.directories_successful, changed.counters.files_successful) == (1, 1)
    inner = moved.get_file_client("f")
    assert "user:22222222-2222-2222-2222-222222222222:rwx" in inner.get_access_control()["acl"]
    moved.remove_access_control_recursive(acl="user:22222222-2222-2222-2222-222222222222")
    assert inner.get_access_control()["acl"] == "user::rwx,group::---,other::---"
    for wrong in ("user::rwx", "user::rwx,group::r-x,other::sss"):
        with pytest.raises(HttpResponseError) as caught:
            inner.set_access_control(acl=wrong)
        assert (caught.value.status_code, code_of(caught.value)) == (400, "InvalidHeaderValue")
    blobs = BlobServiceClient(lake.url.replace(".dfs.", ".blob."), credential=lake.azure.credential)
    blobs.get_container_client("data").upload_blob("plain", b"")
    plain = lake.data.get_file_client("plain")
    assert plain.get_access_control()["owner"] == "$superuser"
    with pytest.raises(HttpResponseError) as caught:
        plain.set_access_control(permissions="0777")
    assert code_of(caught.value) == "AuthorizationPermissionMismatch", "a contributor changes its own paths only"
    other = lake.ask("PUT", "/data/g?resource=file", {"x-ms-owner": "33333333-3333-3333-3333-333333333333"})
    assert refusal(other) == (403, "AuthorizationPermissionMismatch")
    with pytest.raises(HttpResponseError) as caught:
        inner.set_access_control(owner="33333333-3333-3333-3333-333333333333")
    assert code_of(caught.value) == "AuthorizationPermissionMismatch"


def test_filesystems_are_the_containers_of_the_blob_endpoint(lake: Lake) -> None:
    response = lake.ask("PUT", "/made?resource=filesystem", {"x-ms-properties": "k=dg=="})
    assert (response.status_code, response.headers["x-ms-namespace-enabled"]) == (201, "true")
    assert refusal(lake.ask("PUT", "/made?resource=filesystem")) == (409, "FilesystemAlreadyExists")
    assert lake.service.get_file_system_client("made").get_file_system_properties().metadata == {"k": "v"}
    changed = lake.ask("PUT", "/made?resource=filesystem", {"X-HTTP-Method-Override": "PATCH", "x-ms-properties": ""})
    assert changed.status_code == 200
    current = lake.ask("HEAD", "/made?resource=filesystem")
    assert (current.headers["x-ms-properties"], current.headers["x-ms-namespace-enabled"]) == ("", "true")
    listed = lake.ask("GET", "/?resource=account").json()["filesystems"]
    assert [filesystem["name"] for filesystem in listed] == ["data", "made"]
    page = lake.ask("GET", "/?resource=account&maxResults=1")
    rest = lake.ask("GET", f"/?resource=account&continuation={page.headers['x-ms-continuation']}")
    assert [filesystem["name"] for filesystem in rest.json()["filesystems"]] == ["made"]
    path = f"{lake.id}/blobServices/default/containers"
    assert [filesystem["name"] for filesystem in lake.azure.arm("GET", path, "2024-01-01").json()["value"]] == [
        "data",
        "made",
    ]
    assert lake.ask("DELETE", "/made?resource=filesystem").status_code == 202
    assert refusal(lake.ask("DELETE", "/made?resource=filesystem")) == (404, "FilesystemNotFound")
