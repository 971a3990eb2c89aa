"""Files and directories at the dfs endpoint, by azure-storage-file-datalake."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.filedatalake import ContentSettings
from localcloud.testing.azure_session import AzureSession, resource_group
from localcloud.testing.lake import Lake, code_of, make_lake, refusal


@pytest.fixture
def lake(azure: AzureSession, group: str) -> Lake:
    return make_lake(azure, group)


@pytest.fixture(scope="module")
def unchanged(azure: AzureSession) -> Iterator[Lake]:
    """Yield a lake for requests that are refused."""
    with resource_group(azure) as group:
        yield make_lake(azure, group)


def _code(refused: Callable[[], object], kind: type[HttpResponseError] = HttpResponseError) -> tuple[int | None, str]:
    with pytest.raises(kind) as caught:
        refused()
    return caught.value.status_code, code_of(caught.value)


def test_a_file_is_written_in_parts_read_in_ranges_and_shown(lake: Lake) -> None:
    file = lake.data.get_file_client("a folder/ä b+c.bin")
    content = os.urandom(3 << 20)
    settings = ContentSettings(content_type="text/x-rows", cache_control="no-store")
    file.create_file(content_settings=settings, metadata={"One": "two, three=4"})
    half = len(content) // 2
    file.append_data(content[half:], half)
    file.append_data(content[:half], 0)
    assert file.get_file_properties().size == 0, "nothing is there before the flush"
    flushed = file.flush_data(len(content))
    properties = file.get_file_properties()
    assert (properties.size, properties.etag) == (len(content), flushed["etag"])
    assert properties.content_settings.content_type == "text/x-rows"
    assert properties.metadata == {"one": "two, three=4"}, "the blob endpoint shows names in lower case"
    assert file.download_file().readall() == content
    assert file.download_file(offset=half - 2, length=5).readall() == content[half - 2 : half + 3]
    answer = lake.ask("GET", "/data/a%20folder/%C3%A4%20b+c.bin", {"Range": "bytes=1-3"})
    assert (answer.status_code, answer.content) == (206, content[1:4])
    assert answer.headers["x-ms-resource-type"] == "file"
    assert answer.headers["Content-Range"] == f"bytes 1-3/{len(content)}"
    assert answer.headers["x-ms-properties"] == "One=dHdvLCB0aHJlZT00"
    file.append_data(b"tail", len(content), flush=True)
    assert file.download_file(offset=len(content)).readall() == b"tail"
    assert file.get_file_properties().content_settings.cache_control == "no-store"


def test_appended_bytes_that_were_never_flushed_are_no_part_of_the_next_file(lake: Lake) -> None:
    file = lake.data.get_file_client("f")
    file.create_file()
    file.append_data(b"stale", 0)
    file.create_file()
    assert _code(lambda: file.flush_data(5)) == (400, "InvalidFlushPosition")
    file.append_data(b"ab", 0)
    file.append_data(b"ef", 4)
    assert _code(lambda: file.flush_data(6)) == (400, "InvalidFlushPosition"), "there is a gap"
    file.append_data(b"cd", 2)
    file.flush_data(6)
    assert file.download_file().readall() == b"abcdef"
    file.upload_data(b"all new", overwrite=True)
    assert file.download_file().readall() == b"all new"


def test_only_existing_files_accept_data(lake: Lake) -> None:
    assert _code(lambda: lake.data.get_file_client("none").append_data(b"1", 0)) == (404, "PathNotFound")
    lake.data.create_directory("d")
    assert _code(lambda: lake.data.get_file_client("d").append_data(b"1", 0)) == (409, "PathConflict")
    assert refusal(lake.ask("GET", "/data/d")) == (409, "PathConflict")
    assert refusal(lake.ask("GET", "/data/none")) == (404, "PathNotFound")
    assert refusal(lake.ask("HEAD", "/data/none")) == (404, "PathNotFound")
    assert refusal(lake.ask("HEAD", "/nosuch/none")) == (404, "FilesystemNotFound")
    assert refusal(lake.ask("PATCH", "/data/d?action=append", data=b"1")) == (400, "MissingRequiredQueryParameter")
    wrong = lake.ask("PATCH", "/data/d?action=append&position=x", data=b"1")
    assert refusal(wrong) == (400, "InvalidQueryParameterValue")
    lake.data.get_file_client("empty").create_file()
    assert refusal(lake.ask("PATCH", "/data/empty?action=append&position=0")) == (400, "InvalidHeaderValue")
    assert refusal(lake.ask("GET", "/data/empty", {"Range": "bytes=5-9"})) == (416, "InvalidRange")


def test_a_file_of_the_blob_endpoint_is_read_here_and_not_appended_to(lake: Lake) -> None:
    blobs = BlobServiceClient(lake.url.replace(".dfs.", ".blob."), credential=lake.azure.credential)
    blobs.get_container_client("data").upload_blob("x/y/z.csv", b"1,2")
    file = lake.data.get_file_client("x/y/z.csv")
    assert file.download_file().readall() == b"1,2"
    file.append_data(b"3", 3)
    assert _code(lambda: file.flush_data(4)) == (409, "InvalidFlushOperation")
    assert lake.paths() == ["x", "x/y", "x/y/z.csv"]
    assert lake.ask("HEAD", "/data/x/y").headers["x-ms-resource-type"] == "directory"
    file.delete_file()
    assert lake.paths() == ["x", "x/y"], "a directory outlives what was in it"


def test_directories_have_parents_and_show_at_the_blob_endpoint_as_on_azure(lake: Lake) -> None:
    directory = lake.data.create_directory("a/b/c", metadata={"k": "v"})
    assert directory.get_directory_properties().metadata == {"hdi_isfolder": "true", "k": "v"}
    assert lake.paths() == ["a", "a/b", "a/b/c"]
    head = lake.ask("HEAD", "/data/a/b/c")
    assert (head.headers["x-ms-resource-type"], head.headers["Content-Length"]) == ("directory", "0")
    assert head.headers["x-ms-properties"] == "k=dg=="
    lake.data.get_file_client("a/b/f").create_file()
    assert _code(lambda: lake.data.get_file_client("a/b/f/g").create_file()) == (409, "PathConflict")
    assert _code(lambda: lake.data.get_file_client("a/b").create_file()) == (409, "PathConflict")
    assert _code(lambda: lake.data.create_directory("a/b/f")) == (409, "PathConflict")
    lake.data.create_directory("a/b")
    assert lake.paths("a/b") == ["a/b/c", "a/b/f"], "made again, it keeps what is in it"
    again = lake.ask("PUT", "/data/a/b?resource=directory", {"If-None-Match": "*"})
    assert refusal(again) == (409, "PathAlreadyExists")
    assert again.headers["x-ms-existing-resource-type"] == "directory"
    blobs = BlobServiceClient(lake.url.replace(".dfs.", ".blob."), credential=lake.azure.credential)
    listed = list(blobs.get_container_client("data").list_blobs(include=["metadata"]))
    assert {blob.name: blob.metadata for blob in listed}["a/b/c"] == {"hdi_isfolder": "true", "k": "v"}, (
        "nothing of ours"
    )


def test_deleting_a_directory_needs_recursion_and_deletes_its_content(lake: Lake) -> None:
    for name in ("d/e/f", "d/g", "de"):
        lake.data.get_file_client(name).create_file()
    assert refusal(lake.ask("DELETE", "/data/d")) == (409, "DirectoryNotEmpty")
    assert refusal(lake.ask("DELETE", "/data/d?recursive=false")) == (409, "DirectoryNotEmpty")
    assert refusal(lake.ask("DELETE", "/data/d?recursive=perhaps")) == (400, "InvalidQueryParameterValue")
    lake.data.delete_directory("d")
    assert lake.paths() == ["de"], "a name that begins alike is another's"
    with pytest.raises(ResourceNotFoundError):
        lake.data.delete_directory("d")
    lake.data.create_directory("empty")
    assert lake.ask("DELETE", "/data/empty").status_code == 200


def test_conditions_apply_to_files_and_directories(lake: Lake) -> None:
    file = lake.data.get_file_client("f")
    etag = str(file.create_file()["etag"])
    with pytest.raises(ResourceExistsError):
        file.create_file(match_condition=MatchConditions.IfMissing)
    file.upload_data(b"1", overwrite=True)
    with pytest.raises(ResourceModifiedError):
        file.create_file(etag=etag, match_condition=MatchConditions.IfNotModified)
    file.append_data(b"2", 1)
    assert _code(lambda: file.flush_data(2, etag=etag, match_condition=MatchConditions.IfNotModified))[0] == 412
    assert lake.ask("GET", "/data/f", {"If-Match": etag}).status_code == 412
    assert lake.ask("HEAD", "/data/f", {"If-Match": etag}).status_code == 412
    assert lake.ask("DELETE", "/data/f", {"If-Match": etag}).status_code == 412
    now = lake.ask("HEAD", "/data/f").headers
    for method in ("HEAD", "GET"):
        assert lake.ask(method, "/data/f", {"If-None-Match": now["ETag"]}).status_code == 304
        assert lake.ask(method, "/data/f", {"If-Modified-Since": now["Last-Modified"]}).status_code == 304
        assert lake.ask(method, "/data/f", {"If-Unmodified-Since": now["Last-Modified"]}).status_code == 200
    lake.data.create_directory("d")
    assert refusal(lake.ask("DELETE", "/data/d?recursive=true", {"If-Match": etag})) == (412, "ConditionNotMet")
    etag = lake.ask("HEAD", "/data/d").headers["ETag"]
    assert lake.ask("DELETE", "/data/d?recursive=true", {"If-Match": etag}).status_code == 200


def test_properties_are_set_as_a_whole_and_content_headers_one_by_one(lake: Lake) -> None:
    file = lake.data.get_file_client("f")
    file.create_file(metadata={"a": "1"}, content_settings=ContentSettings(content_type="a/b", content_language="de"))
    answer = lake.ask(
        "PATCH", "/data/f?action=setProperties", {"x-ms-properties": "b=Mg==,c=5A==", "x-ms-content-type": "c/d"}
    )  # fmt: skip
    assert answer.status_code == 200
    properties = file.get_file_properties()
    assert properties.metadata == {"b": "2", "c": "ä"}
    assert lake.ask("HEAD", "/data/f").headers["x-ms-properties"] == "b=Mg==,c=5A=="
    settings = properties.content_settings
    assert (settings.content_type, settings.content_language, properties.etag) == ("c/d", "de", answer.headers["ETag"])
    wrong = {"x-ms-properties": "b=not base64"}
    assert refusal(lake.ask("PATCH", "/data/f?action=setProperties", wrong)) == (400, "InvalidHeaderValue")
    assert refusal(lake.ask("PATCH", "/data/f?action=paint")) == (400, "InvalidQueryParameterValue")


def test_a_leased_file_is_changed_only_by_its_holder(lake: Lake) -> None:
    file = lake.data.get_file_client("f")
    file.create_file()
    answer = lake.ask(
        "POST", "/data/f", {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "-1",
        "x-ms-proposed-lease-id": "11111111-1111-1111-1111-111111111111"},
    )  # fmt: skip
    assert answer.status_code == 201
    held = {"x-ms-lease-id": answer.headers["x-ms-lease-id"]}
    assert _code(lambda: file.append_data(b"1", 0)) == (412, "LeaseIdMissing")
    assert _code(file.delete_file) == (412, "LeaseIdMissing")
    assert refusal(lake.ask("PUT", "/data/g", {"x-ms-rename-source": "/data/f"})) == (412, "LeaseIdMissing")
    assert lake.ask("PATCH", "/data/f?action=append&position=0&flush=true", held, data=b"1").status_code == 202
    moved = {"x-ms-rename-source": "/data/f", "x-ms-source-lease-id": held["x-ms-lease-id"]}
    assert lake.ask("PUT", "/data/g", moved).status_code == 201
    assert lake.ask("POST", "/data/g", {"x-ms-lease-action": "release", **held}).status_code == 200
    lake.data.get_file_client("g").delete_file()


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("PUT", "/data/x", {}, (400, "MissingRequiredQueryParameter")),
        ("PUT", "/data/x?resource=link", {}, (400, "InvalidQueryParameterValue")),
        ("PUT", "/Data/x?resource=file", {}, (400, "InvalidResourceName")),
        ("GET", "/a--b?resource=filesystem&recursive=true", {}, (400, "InvalidResourceName")),
        ("PUT", "/data/x?resource=file", {"x-ms-properties": "=MQ=="}, (400, "InvalidPropertyName")),
        ("PUT", "/data/x?resource=file", {"x-ms-properties": "a b=MQ=="}, (400, "InvalidPropertyName")),
        ("PUT", "/data/x?resource=file", {"x-ms-properties": "a=DQo="}, (400, "InvalidHeaderValue")),
        ("PUT", "/data/x?resource=file", {"x-ms-permissions": "rwx"}, (400, "InvalidHeaderValue")),
        ("TRACE", "/data/x", {}, (405, "UnsupportedHttpVerb")),
        ("PUT", "/data/x?resource=file", {"x-ms-expiry-option": "NeverExpire"}, (501, "NotImplemented")),
        ("PUT", "/data/x?resource=file", {"x-ms-permissions": "1777"}, (501, "NotImplemented")),
        ("HEAD", "/data/x?action=dance", {}, (400, "InvalidQueryParameterValue")),
        ("PUT", f"/data/{'x' * 1025}?resource=file", {}, (400, "OutOfRangeInput")),
    ],
)
def test_bad_requests_get_their_own_codes(
    unchanged: Lake, method: str, path: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert refusal(unchanged.ask(method, path, headers)) == expected


def test_a_head_request_returns_a_file_s_length(lake: Lake) -> None:
    blobs = BlobServiceClient(lake.url.replace(".dfs.", ".blob."), credential=lake.azure.credential)
    blobs.get_container_client("data").upload_blob("x/rows.csv", b"1,2\n")
    for query in ("", "?action=getStatus"):
        head = lake.ask("HEAD", f"/data/x/rows.csv{query}").headers
        assert (head["Content-Length"], head["x-ms-resource-type"]) == ("4", "file")
        assert head["x-ms-permissions"] == "rw-r-----"
    for directory in ("x", "x/rows.csv"):
        listed = lake.ask("GET", f"/data?resource=filesystem&recursive=false&directory={directory}").json()["paths"]
        assert [(path["name"], path["contentLength"]) for path in listed] == [("x/rows.csv", "4")]
