"""Addresses in all spellings: Azurite opens the account, container and blob that were authorized."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from localcloud.core.context import Context, Principal
from localcloud.core.settings import Settings, load_settings
from localcloud.engine import provision
from localcloud.gateway.children import azurite_package
from localcloud.storage.azurite_accounts import StorageFabric
from localcloud.storage.frontend import StorageFront
from localcloud.testing.cloud import free_port

_ACCOUNT, _OTHER = "stmine", "stother"
_CONTAINERS = "Microsoft.Storage/storageAccounts/blobServices/containers"
_BLOBS = f"{_CONTAINERS}/blobs"
_KEY = "YQ=="

# The permission of each operation of Azurite:
# learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
_PERMISSIONS = {
    "Service_ListContainersSegment": f"{_CONTAINERS}/read",
    "Service_GetProperties": "Microsoft.Storage/storageAccounts/blobServices/read",
    "Service_SetProperties": "Microsoft.Storage/storageAccounts/blobServices/write",
    "Service_GetAccountInfo": f"{_CONTAINERS}/read",
    "Service_GetAccountInfoWithHead": f"{_CONTAINERS}/read",
    "Service_FilterBlobs": f"{_BLOBS}/filter/action",
    "Container_GetProperties": f"{_CONTAINERS}/read",
    "Container_GetPropertiesWithHead": f"{_CONTAINERS}/read",
    "Container_Delete": f"{_CONTAINERS}/delete",
    "Container_GetAccessPolicy": f"{_CONTAINERS}/getAcl/action",
    "Container_SetAccessPolicy": f"{_CONTAINERS}/setAcl/action",
    "Container_FilterBlobs": f"{_BLOBS}/filter/action",
    "Container_ListBlobFlatSegment": f"{_BLOBS}/read",
    "Container_ListBlobHierarchySegment": f"{_BLOBS}/read",
    "Blob_Delete": f"{_BLOBS}/delete",
    "Blob_GetTags": f"{_BLOBS}/tags/read",
    "Blob_SetTags": f"{_BLOBS}/tags/write",
    "Blob_Download": f"{_BLOBS}/read",
    "Blob_GetProperties": f"{_BLOBS}/read",
    "Blob_GetAccountInfo": f"{_BLOBS}/read",
    "Blob_GetAccountInfoWithHead": f"{_BLOBS}/read",
    "BlockBlob_GetBlockList": f"{_BLOBS}/read",
    "PageBlob_GetPageRanges": f"{_BLOBS}/read",
    "PageBlob_GetPageRangesDiff": f"{_BLOBS}/read",
}


def _permission(operation: str) -> str:
    area = operation.partition("_")[0]
    return _PERMISSIONS.get(operation, f"{_CONTAINERS}/write" if area == "Container" else f"{_BLOBS}/write")


@dataclass(frozen=True)
class _Account:
    name: str
    state: str = "Succeeded"
    properties: dict[str, Any] = field(default_factory=dict)
    private: dict[str, Any] = field(default_factory=lambda: {"keys": [_KEY, _KEY]})

    @property
    def id(self) -> str:
        return f"/accounts/{self.name}"


class _Resources:
    accounts = tuple(_Account(name) for name in (_ACCOUNT, _OTHER))

    def named(self, type_: str, name: str) -> _Account | None:
        return next((account for account in self.accounts if account.name == name), None)

    def list(self, type_: str) -> tuple[_Account, ...]:
        return self.accounts

    def get(self, id_: str) -> None:
        return None


class _Identities:
    def authenticate(self, authorization: str, audiences: frozenset[str]) -> Principal:
        return Principal("oid", "app", "tenant", "somebody")

    def by_object_id(self, object_id: str) -> Principal:
        return Principal(object_id, "app", "tenant", "who signed")


@dataclass(frozen=True)
class _Authorized:
    """A place that a role was asked for, and the action."""

    account: str
    container: str
    blob: str
    action: str


class _Authorizer:
    """Allows everything, and remembers the requests."""

    def __init__(self) -> None:
        self.authorized: list[_Authorized] = []

    def allows(
        self, principal: Principal, action: str, scope: str, *, data: bool = False, attributes: Any = None
    ) -> bool:
        resource_attributes = {name: values[0] for name, values in attributes["resource"].items()}
        container, blob = (
            resource_attributes.get(f"{_CONTAINERS}:name".lower(), ""),
            resource_attributes.get(f"{_BLOBS}:path".lower(), ""),
        )
        account = scope.split("/")[2]
        suffix = f"/blobServices/default/containers/{container}" if container else ""
        assert scope == f"/accounts/{account}{suffix}"
        self.authorized.append(_Authorized(account, container, blob, action))
        return True


class Front:
    """The storage front before a witness in Azurite's place."""

    def __init__(self, home: Path, azurite_port: int) -> None:
        self._seen = httpx.Client(base_url=f"http://127.0.0.1:{azurite_port}", timeout=30)
        self._runner = asyncio.Runner()
        self.authorizer = _Authorizer()
        configured = Settings(home=home, port=azurite_port - 2, cache=home)
        resources: Any = _Resources()
        context = Context(
            settings=configured, database=cast(Any, None), identities=cast(Any, _Identities()),
            authorizer=cast(Any, self.authorizer), storage=StorageFabric(configured, resources), resources=resources,
            types=cast(Any, None),
        )  # fmt: skip
        self._context = context
        self._front = StorageFront(context)

    def close(self) -> None:
        for stop in self._context.on_stop:
            self._runner.run(_done(stop))
        self._runner.close()
        self._seen.close()

    def send(self, method: str, host: str, target: str, headers: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
        """Return the front's status, and the blob that Azurite would open."""
        self.authorizer.authorized.clear()
        status = self._runner.run(self._answered(method, host, target, headers))
        return status, self._seen.get("/_seen").json()

    async def _answered(self, method: str, host: str, target: str, headers: dict[str, str]) -> int:
        raw_path, _, query = target.partition("?")
        all_headers = {"host": host, "authorization": "Bearer token", "x-ms-version": "2024-11-04", **headers}
        scope = {
            "type": "http", "method": method, "path": unquote(raw_path), "raw_path": raw_path.encode(),
            "scheme": "https", "query_string": query.encode(), "server": ("localhost", 443),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in all_headers.items()],
        }  # fmt: skip
        messages: list[Any] = []

        received = False

        async def receive() -> dict[str, Any]:
            nonlocal received
            if received:
                await asyncio.Event().wait()  # the client stays connected
            received = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            messages.append(message)

        await self._front(scope, receive, send)
        return int(messages[0]["status"])


async def _done(stop: Callable[[], Awaitable[None]]) -> None:
    await stop()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    tools = provision.ensure(load_settings())
    port = free_port() + 2
    command = [
        str(tools.node),
        str(Path(__file__).with_name("azurite_witness.js")),
        str(azurite_package(tools)),
        str(port),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as witness:
        assert witness.stdout is not None
        assert witness.stdout.readline() == b"ready\n"
        front = Front(tmp_path_factory.mktemp("front"), port)
        yield front
        front.close()
        witness.terminate()


_SEGMENTS = st.sampled_from(
    [
        "mine", "data", "a", "b", "", ".", "..", "%2e%2e", ".%2e", "%252e%252e", "..%2f", "%2f..%2f", "%5c",
        "..%5c..", "\\..", "%00", "%0a", "%7f", "%C3%A4", "%ff", "%c0%ae", "%zz", "%", "%2f", "a%20b", "a+b", "a;b",
        "a:b", "@", "$root", "$x", "%23", "%3f", "%EF%BF%BF", "stother", "~", "a.", "...", "\t",
    ]
)  # fmt: skip
_PATHS = st.lists(_SEGMENTS, max_size=6).map(lambda segments: "/" + "/".join(segments))
_PARAMETERS = st.sampled_from(
    [
        "restype=container", "RESTYPE=container", "restype[]=container", "restype%5B%5D=container",
        "restype=account", "restype=service", "comp=list", "comp=tags", "comp=acl", "comp=metadata",
        "comp=block&blockid=YQ==", "comp=blocklist", "comp=properties", "comp=appendblock", "comp=tier",
        "comp=lease", "comp=blobs&where=a", "comp=snapshot", "comp=page", "comp=copy&copyid=a",
        "comp=incrementalcopy", "comp=rename", "comp=undelete", "comp=stats", "comp=query", "Comp=tags",
        "comp[]=tags", "snapshot=2020-01-01T00:00:00Z", "versionid=1", "prefix=..", "a%00=b", "%ff=b", "a=%ff",
        "a=%z", "&&", "resource=filesystem&recursive=true", "resource=directory", "resource=file",
        "directory=..%2f..", "directory=a%5c..", "directory=b", "recursive=true", "action=append&position=0",
        "action=flush&position=0", "action=getStatus", "__proto__[comp]=tags", "skoid[]=a",
    ]
)  # fmt: skip
_QUERIES = st.lists(_PARAMETERS, max_size=3).map("&".join)
_HOSTS = st.sampled_from([f"https://{_ACCOUNT}.blob.core.windows.net", f"https://{_OTHER}.blob.core.windows.net"])
_SOURCES = st.tuples(_HOSTS, _PATHS, st.sampled_from(["", "?snapshot=a", "?sig=a&skoid=b", "?sig[]=a", "#a"])).map(
    "".join
)
_HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "x-http-method": st.sampled_from(["DELETE", "GET", "PATCH"]),
        "x-http-method-override": st.sampled_from(["DELETE", "PATCH"]),
        "x-ms-blob-type": st.sampled_from(["BlockBlob", "AppendBlob", "PageBlob"]),
        "x-ms-copy-source": _SOURCES,
        "x-ms-requires-sync": st.just("true"),
        "x-ms-rename-source": _PATHS,
        "x-ms-lease-action": st.sampled_from(["acquire", "break"]),
        "x-ms-source-container-name": st.just("other"),
        "x-ms-access-tier": st.just("Cool"),
        "x-localcloud-tree": st.just("delete"),
        "x-localcloud-front": st.just("secret"),
        "if-none-match": st.just("*"),
        "content-length": st.just("0"),
    },
)


def _check(front: Front, opened: list[dict[str, Any]], *, parents: bool) -> None:
    """`parents` allows the directories above an authorized path, which Data Lake Storage makes with it."""
    authorized = front.authorizer.authorized
    # A source with a signature of its own: Azurite is asked whether it opens the source.
    signed = [_place(request) for request in opened if not request["trusted"]]
    for request in opened:
        if not request["trusted"]:
            assert request["operation"] == "Blob_GetProperties"
            continue
        place = _place(request)
        permission = _permission(request["operation"]) if "operation" in request else None
        if parents:
            directory = f"{place[2]}/".lstrip("/")
            assert any(
                place[:2] == (allowed.account, allowed.container) and f"{allowed.blob}/".startswith(directory)
                for allowed in authorized
            ), (request, authorized)
        elif permission is not None:
            adds = {f"{_BLOBS}/add/action"} if permission == f"{_BLOBS}/write" else set()
            assert any(
                place == (allowed.account, allowed.container, allowed.blob) and allowed.action in {permission, *adds}
                for allowed in authorized
            ), (request, authorized)
        if "source" in request:
            sources = [*signed, *((allowed.account, allowed.container, allowed.blob) for allowed in authorized)]
            assert tuple(request["source"]) in sources, (request, authorized)


def _send_and_check(
    front: Front, service: str, method: str, path: str, query: str, headers: dict[str, str], *, parents: bool
) -> None:
    """Send a request to an endpoint of the account, and check everything that Azurite opens for it."""
    target = f"{path}?{query}" if query else path
    status, opened = front.send(method, f"{_ACCOUNT}.{service}.core.windows.net", target, headers)
    assert status < 500 or status == 501, "nothing that a client writes fails the front"
    _check(front, opened, parents=parents)


def _place(request: dict[str, Any]) -> tuple[str, str, str]:
    return request["account"], request["container"], request["blob"]


_METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"])
_PROPERTY = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@_PROPERTY
@example("GET", "/mine/a", "", {"x-http-method": "DELETE"})
@example("DELETE", "/mine", "restype=container&comp=list", {})
@example("PUT", "/mine", "restype=container&comp=list", {})
@example("DELETE", "/mine/a", "comp=tags", {})
@example("PUT", "/mine/a", "comp=tags", {"x-ms-blob-type": "BlockBlob", "content-length": "0"})
@example("PUT", "/mine/a", "comp=appendblock", {"x-ms-blob-type": "AppendBlob", "content-length": "0"})
@example(
    "PUT", "/mine/a", "", {"x-ms-copy-source": f"https://{_ACCOUNT}.blob.core.windows.net/mine/a\\..\\..\\data\\b"}
)
@example(
    "PUT", "/mine/a", "", {"x-ms-copy-source": f"https://{_ACCOUNT}.blob.core.windows.net/mine/a/%5c..%5c..%5cdata"}
)
@example("GET", "/mine/a\\..\\..\\data/b", "", {})
@example("DELETE", "/mine", "restype[]=container", {})
@given(_METHODS, _PATHS, _QUERIES, _HEADERS)
def test_azurite_opens_the_authorized_blob(
    front: Front, method: str, path: str, query: str, headers: dict[str, str]
) -> None:
    _send_and_check(front, "blob", method, path, query, headers, parents=False)


@_PROPERTY
@example("PUT", "/mine/a", "", {"x-ms-rename-source": "/mine/%2e%2e/data/a"})
@example("PUT", "/mine/a", "", {"x-ms-rename-source": "/mine/b%5c..%5c..%5cdata%5ca"})
@example("GET", "/mine", "resource=filesystem&recursive=true&directory=a%5c..", {})
@given(_METHODS, _PATHS, _QUERIES, _HEADERS)
def test_the_dfs_endpoint_opens_the_authorized_path(
    front: Front, method: str, path: str, query: str, headers: dict[str, str]
) -> None:
    _send_and_check(front, "dfs", method, path, query, headers, parents=True)


@pytest.mark.parametrize(
    "path",
    [
        "/mine/../data/a", "/mine/%2e%2e/data/a", "/mine/.%2E/data/a", "/mine/..%2fdata/a", "/mine/..%5cdata/a",
        "/mine/a\\..\\b", "//mine/a", "/%2fmine/a", "/mine/a%00", "/mine/a%7f", "/mine/%ff", "/mine/%c0%ae%c0%ae/a",
        "/mine/%zz", "/mine/%EF%BF%BF", "/./mine/a", "/../stother/mine/a",
    ],
)  # fmt: skip
def test_an_address_with_two_readings_is_refused_before_azurite(front: Front, path: str) -> None:
    for host in (f"{_ACCOUNT}.blob.core.windows.net", f"{_ACCOUNT}.dfs.core.windows.net"):
        assert front.send("GET", host, path, {}) == (400, [])
        headers = {"x-ms-rename-source": path, "x-ms-copy-source": f"https://{_ACCOUNT}.blob.core.windows.net{path}"}
        assert front.send("PUT", host, "/mine/new", headers) == (400, [])


@pytest.mark.parametrize(
    ("path", "blob"),
    [
        ("/mine/%252e%252e/a", "%2e%2e/a"),
        ("/mine/a%5cb", "a/b"),
        ("/mine//a", "/a"),
        ("/mine/%C3%A4%20+", "ä +"),
        ("/a", "a"),
    ],
)
def test_an_unusual_name_is_the_same_to_azurite(front: Front, path: str, blob: str) -> None:
    status, opened = front.send("GET", f"{_ACCOUNT}.blob.core.windows.net", path, {})
    assert (status, [request["blob"] for request in opened]) == (200, [blob])


@pytest.mark.parametrize(
    "host",
    [f"{_ACCOUNT}.dfs.evil.blob.core.windows.net", f"{_ACCOUNT}.x.blob.core.windows.net", "a..blob.core.windows.net"],
)
def test_a_host_with_further_labels_is_no_account(front: Front, host: str) -> None:
    assert front.send("GET", host, "/mine/a", {}) == (400, [])


@pytest.mark.parametrize(
    ("source", "status"),
    [
        (f"https://{_OTHER}.blob.evil.net/mine/a", 501),
        (f"https://{_OTHER}.blob.core.windows.net.evil.net/mine/a", 501),
        (f"https://{_ACCOUNT}@{_OTHER}.blob.core.windows.net/mine/a", 400),
        (f"https://{_ACCOUNT}.blob.core.windows.net:81/mine/a", 501),
        (f"https://{_ACCOUNT}.dfs.core.windows.net/mine/a", 501),
        ("https://stnowhere.blob.core.windows.net/mine/a", 404),
        ("https://[/mine/a", 400),
        ("/mine/a", 400),
        ("", 400),
    ],
)
def test_a_copy_source_is_a_blob_of_an_account_here(front: Front, source: str, status: int) -> None:
    answer = front.send("PUT", f"{_ACCOUNT}.blob.core.windows.net", "/mine/new", {"x-ms-copy-source": source})
    assert answer == (status, [])


@pytest.mark.parametrize(
    "source", ["//stother.dfs.core.windows.net/mine/a", "https://stother.dfs.core.windows.net/mine/a"]
)
def test_a_rename_source_is_a_path_of_the_same_account(front: Front, source: str) -> None:
    answer = front.send("PUT", f"{_ACCOUNT}.dfs.core.windows.net", "/mine/new", {"x-ms-rename-source": source})
    assert answer == (400, [])
