"""Requests that no client should send, over all routes: values of wrong types, broken text, names out of all bounds.

The words of a body come from the code itself: every quoted word may be read by a handler.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.routing import Route

import localcloud
from localcloud.arm import resource_types
from localcloud.arm.resource_types import ProviderRoute
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID
from localcloud.databricks.routes import OPERATIONS
from localcloud.gateway.hosts import Service
from localcloud.gateway.services import Services
from localcloud.testing.typed_bodies import typed_body

DIGITS = "9" * 5000
"""More digits than Python reads as a number by default."""
_DEEP = 900
_DATABRICKS_CALL = re.compile(r"/api/2\.\d/(.+)")
_WORD = re.compile(r'"([a-z][A-Za-z_]{1,30})"')
_NAMES = (
    "fuzz", "a", "1", "0", "-1", DIGITS, "%zz", "%", "%ff", "%00", "%0d%0a", "%F0%9F%98%80", "%2e%2e", "%252e", "a%2fb",
    "a" * 300, "null", "true", "1e999", "NaN", "%EF%BF%BF", "%ED%A0%80", "a:b", "*", "default", "latest",
)  # fmt: skip
_QUERIES = (
    "", "$top=a", "$top=-1", f"$top={DIGITS}", "$skiptoken=%ff", "$skiptoken=a", "$filter=(((", "$filter=a%20eq%20'",
    "%ff=%ff", "a=%zz", "page_token=a", f"limit={DIGITS}", "limit=a", f"run_id={DIGITS}", "run_id=a",
    f"job_id={DIGITS}", "path=%00", "max_results=-1", "maxresults=a", "api-version=", "restype=container&comp=list",
    "comp=list", "comp=block&blockid=a", "comp=blocklist", "comp=metadata", "comp=tags", "comp=lease", "comp=tier",
    "comp=page", "comp=appendblock", "comp=acl", "comp=batch", "comp=properties&restype=service",
    "comp=userdelegationkey&restype=service", "restype=container", "resource=filesystem&recursive=true",
    "resource=filesystem&recursive=a&maxResults=a", "resource=file", "action=append", "resource=directory",
    f"action=append&position={DIGITS}", "action=flush&position=1", "action=setProperties", "action=setAccessControl",
    "action=setAccessControlRecursive&mode=set", "continuation=%ff", "startcount=a",
)  # fmt: skip
_HEADERS: tuple[tuple[str, str], ...] = (
    ("content-type", "text/plain"), ("content-type", "multipart/form-data"), ("content-type", "application/xml"),
    ("content-type", "multipart/mixed; boundary=b"), ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "multipart/form-data; boundary="), ("content-type", "application/json; charset=nope"),
    ("range", "bytes=5-1"), ("range", "bytes=a-b"), ("range", "bytes=" + DIGITS + "-"), ("x-ms-range", "lines=1"),
    ("if-match", "\xff"), ("if-none-match", "*"), ("if-modified-since", "yesterday"), ("x-ms-blob-type", "BlockBlob"),
    ("x-ms-blob-type", "PageBlob"), ("x-ms-blob-content-length", "a"), ("x-ms-blob-type", "AppendBlob"),
    ("x-ms-copy-source", "http://["), ("x-ms-rename-source", "/%zz/%ff"), ("x-ms-rename-source", "/data/fuzz"),
    ("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "a"), ("x-ms-acl", "user::"), ("x-ms-owner", "\xe4"),
    ("x-ms-properties", "a=\xff"), ("x-ms-tags", "%%%"), ("x-ms-meta-a", "\xe4"), ("x-ms-version", "1066-10-14"),
    ("content-md5", "a"), ("x-ms-date", "yesterday"), ("x-ms-access-tier", "Lukewarm"),
    ("x-ms-client-request-id", "\xe4"), ("accept-encoding", "nope"), ("azureml-model-deployment", "\xe4"),
    ("x-ms-snapshot", "a"), ("x-ms-expiry-time", "a"),
)  # fmt: skip
_PLAUSIBLE: dict[str, Any] = {
    "tags": {"a": "b"}, "sku": {"name": "Standard_LRS", "family": "A"}, "identity": {"type": "SystemAssigned"},
    "kind": "StorageV2",
}  # fmt: skip
_SCALARS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 2**63, 10**30, "", "a", "\x00", "\x1b[31m", "/", "/subscriptions/", "a" * 5000,
    "{", "..", "{{a}}", "[concat(", "azureml:a:1", "azureml://", "https://[", "https://a.blob.core.windows.net/a",
    "\u202e", "0001-01-01", "PT", "😀",
)  # fmt: skip
_MLFLOW = (
    "experiments/create", "experiments/get", "experiments/search", "experiments/update", "experiments/delete",
    "experiments/get-by-name", "experiments/set-experiment-tag", "runs/create", "runs/get", "runs/update",
    "runs/delete", "runs/search", "runs/log-metric", "runs/log-batch", "runs/log-parameter", "runs/set-tag",
    "runs/delete-tag", "runs/log-inputs", "runs/log-model", "metrics/get-history", "artifacts/list",
    "registered-models/create", "registered-models/get", "registered-models/search", "registered-models/update",
    "registered-models/delete", "registered-models/rename", "registered-models/set-tag", "registered-models/alias",
    "model-versions/create", "model-versions/get", "model-versions/search", "model-versions/update",
    "model-versions/transition-stage", "model-versions/get-download-uri", "model-versions/set-tag", "logged-models",
    "logged-models/search", "traces", "traces/search",
)  # fmt: skip


@dataclass(frozen=True)
class Places:
    """Subjects of the requests: resources that exist, by their ARM ids or host names."""

    group: str
    account: str
    container: str
    vault: str
    registry: str
    databricks: str
    workspace: str


@dataclass(frozen=True)
class Operation:
    """A route. `path` has {parameters} yet to be filled in; `audience` is its token's, "" for none."""

    method: str
    host: str
    path: str
    audience: str


@dataclass(frozen=True)
class Malformed:
    """A request, ready to be sent. `url` is the path with its query, and ASCII."""

    operation: Operation
    url: str
    headers: Mapping[str, str]
    body: bytes


def operations(services: Services, places: Places) -> list[Operation]:
    """Return all routes of all hosts."""
    routes = [
        *_arm(services, places),
        *_hosts(services, places),
        *_databricks(places),
        *_azure_ml(places),
        *_storage(places),
    ]
    return sorted(set(routes), key=lambda operation: (operation.host, operation.path, operation.method))


def requests(routes: list[Operation], seed: int, count: int) -> Iterator[Malformed]:
    """Yield as many requests, the same ones for a seed. Every route comes up before any does again."""
    chance = random.Random(seed)  # noqa: S311 - chance, not a secret
    vocabularies = _vocabularies()
    order: list[Operation] = []
    for _ in range(count):
        if not order:
            order = chance.sample(routes, len(routes))
        operation = order.pop()
        headers = dict(chance.sample(_HEADERS, chance.choice((0, 0, 1, 2))))
        path = re.sub(r"\{[^}]*\}", lambda _: _name(chance), operation.path)
        if chance.random() < (0.9 if "core.windows.net" in operation.host else 0.3):
            path += ("&" if "?" in path else "?") + chance.choice(_QUERIES)
        yield Malformed(operation, path, headers, _body(chance, operation, chance.choice(vocabularies)))


def _body(chance: random.Random, operation: Operation, words: list[str]) -> bytes:
    call = _DATABRICKS_CALL.fullmatch(operation.path)
    if call is not None and chance.random() < 0.6:
        return json.dumps(typed_body(chance, operation.method, call[1])).encode()
    if operation.host == "management.azure.com" and chance.random() < 0.7:
        return json.dumps(_resource(chance, words)).encode()
    kind = chance.random()
    if kind < 0.35:
        return chance.choice(_broken_bodies())
    if kind < 0.5:
        form = "&".join(f"{chance.choice(words)}={quote(str(chance.choice(_SCALARS)))}" for _ in range(4))
        return form.encode()
    return json.dumps(_value(chance, words, 4)).encode()


def _resource(chance: random.Random, words: list[str]) -> dict[str, Any]:
    """Return a body that has Resource Manager's common fields, and invalid properties."""
    names = chance.sample(words, chance.randint(1, min(len(words), 10)))
    resource: dict[str, Any] = {
        "location": "westeurope",
        "properties": {name: _value(chance, words, 2) for name in names},
    }
    for name, plausible in _PLAUSIBLE.items():
        if chance.random() < 0.5:
            resource[name] = plausible if chance.random() < 0.7 else _value(chance, words, 2)
    return resource


def _broken_bodies() -> list[bytes]:
    deep = b"[" * _DEEP + b"]" * _DEEP
    nested = b'{"properties":' * _DEEP + b"1" + b"}" * _DEEP
    return [
        b"", b"{", b"[]", b"null", b'"a"', b"1", b"\xff\xfe", b'{"a":"\xff"}', b'{"properties":NaN}',
        b'{"seconds":NaN}', b'{"delay":NaN}', b'{"properties":1e999}', b'{"properties":Infinity}', deep, nested,
        b'{"properties":' + deep + b"}", b'{"tags":' + deep + b"}", b'{"properties":"\\ud800"}',
        b'{"location":"\\udfff"}', b'{"properties":' + DIGITS.encode() + b"}", b'{"run_id":' + DIGITS.encode() + b"}",
        b'{"run_id":"' + DIGITS.encode() + b'"}', b'{"properties":[]}', b'{"properties":"a"}',
        b'{"properties":null,"location":1,"tags":[1],"sku":"a","identity":[]}', b"<?xml", b"<a>" * _DEEP,
        b"<BlockList><Latest>a", b"<KeyInfo><Start>a</Start><Expiry>" + DIGITS.encode() + b"</Expiry></KeyInfo>",
        b"--b\r\n\r\nPUT /\xff HTTP/1.1\r\n\r\n--b--", b"\x00" * 100, b'{"a":1,"a":2}', b'{"\\u0000":1}',
    ]  # fmt: skip


def _value(chance: random.Random, words: list[str], depth: int) -> Any:
    kind = chance.random()
    if depth == 0 or (kind < 0.5 and depth < 4):
        return chance.choice(_SCALARS)
    if kind < 0.65 and depth < 4:
        return [_value(chance, words, depth - 1) for _ in range(chance.randint(0, 3))]
    names = chance.sample(words, chance.randint(1, min(len(words), 10)))
    return {name: _value(chance, words, depth - 1) for name in names}


def _name(chance: random.Random) -> str:
    """Return the same name more often than not, so that requests meet others' objects."""
    return "fuzz" if chance.random() < 0.6 else chance.choice(_NAMES)


def _vocabularies() -> list[list[str]]:
    """Return the words of each module with enough of them: one module's words belong together."""
    files = [file for file in sorted(Path(localcloud.__file__).parent.rglob("*.py")) if "testing" not in file.parts]
    vocabularies = [sorted(set(_WORD.findall(file.read_text()))) for file in files]
    return [words for words in vocabularies if len(words) > 5]


def _arm(services: Services, places: Places) -> Iterator[Operation]:
    audience = "https://management.azure.com/"

    def operation(method: str, path: str, versions: Any) -> Operation:
        version = max(versions, default="2024-03-01")
        return Operation(method, "management.azure.com", f"{path}?api-version={version}", audience)

    for type_ in resource_types.of(services.context).all():
        for path in _paths(places, type_.type):
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                yield operation(method, path, type_.api_versions)
            yield operation("GET", path.rsplit("/", 1)[0], type_.api_versions)
            for action in type_.actions:
                yield operation("POST", f"{path}/{action}", type_.api_versions)
    routes: list[ProviderRoute] = resource_types.of(services.context).routes()
    for route in routes:
        yield operation(route.method, _filled(route.template, places), route.api_versions)
    for path in ("", f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/{{name}}", places.group):
        for method in ("GET", "PUT", "PATCH", "POST"):
            yield operation(method, path or "/", ())


def _paths(places: Places, type_: str) -> Iterator[str]:
    """Yield paths of a type: below the group, and below a resource that exists."""
    namespace, *parts = type_.split("/")
    yield "/".join([places.group, "providers", namespace, *(f"{part}/{{name}}" for part in parts)])
    owners = {
        "Microsoft.Storage/storageAccounts": places.account,
        "Microsoft.KeyVault/vaults": places.vault,
        "Microsoft.MachineLearningServices/workspaces": places.workspace.rsplit("/", 1)[-1],
    }
    owner = owners.get(f"{namespace}/{parts[0]}")
    if owner is not None and len(parts) > 1:
        below = (f"{part}/{{name}}" for part in parts[1:])
        yield "/".join([places.group, "providers", namespace, parts[0], owner, *below])


def _filled(template: str, places: Places) -> str:
    account = f"{places.group}/providers/Microsoft.Storage/storageAccounts/{places.account}"
    values = {
        "{subscription}": SUBSCRIPTION_ID, "{group}": places.group.rsplit("/", 1)[-1], "{scope...}": places.group,
        "{target...}": account, "{home...}": places.workspace, "{workspace...}": places.workspace,
        "{workspace}": places.workspace.rsplit("/", 1)[-1], "{namespace}": "Microsoft.Storage",
        "{location}": "westeurope", "{registry}": places.registry,
    }  # fmt: skip
    for name, value in values.items():
        template = template.replace(name, value)
    return template


def _hosts(services: Services, places: Places) -> Iterator[Operation]:
    vault = f"{places.vault}.vault.azure.net"
    hosts = {
        Service.LOCAL: ("localhost", "https://management.azure.com/"),
        Service.ENTRA: ("login.microsoftonline.com", ""),
        Service.GRAPH: ("graph.microsoft.com", "https://graph.microsoft.com/"),
        Service.KEY_VAULT: (vault, "https://vault.azure.net"),
        Service.CONTAINER_REGISTRY: (f"{places.registry}.azurecr.io", ""),
        Service.DATABRICKS: (places.databricks, "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"),
        Service.AZURE_ML: ("westeurope.api.azureml.ms", "https://ml.azure.com"),
        Service.MONITOR: ("westeurope-0.in.applicationinsights.azure.com", "https://monitor.azure.com/"),
        Service.SCORING: ("fuzz.westeurope.inference.ml.azure.com", "https://ml.azure.com"),
    }
    for service, (host, audience) in hosts.items():
        for route in services.routers[service].routes:
            if isinstance(route, Route) and "arm_root" not in route.path:
                path = route.path.replace("{tenant}", TENANT_ID).replace(
                    "{workspace:path}", places.workspace.lstrip("/")
                )
                # An accepted fault makes later requests fail on purpose.
                methods = (route.methods or set()) - ({"POST"} if path.endswith("/faults") else set())
                for method in methods:
                    yield Operation(method, host, path, audience)
    for method, path in (
        ("GET", "servicePrincipals"), ("POST", "servicePrincipals"), ("GET", "servicePrincipals/{id}"),
        ("GET", "applications"), ("POST", "applications"), ("PATCH", "applications/{id}"),
        ("DELETE", "applications/{id}"), ("GET", "users/{id}"), ("GET", "me"), ("POST", "directoryObjects/getByIds"),
        ("POST", "applications/{id}/addPassword"), ("GET", "groups"),
    ):  # fmt: skip
        yield Operation(method, "graph.microsoft.com", f"/v1.0/{path}", "https://graph.microsoft.com/")
    for name in ("a", "b"):
        yield Operation("PUT", vault, f"/secrets/{name}?api-version=7.4", "https://vault.azure.net")
        yield Operation("POST", vault, f"/keys/{name}/create?api-version=7.4", "https://vault.azure.net")


def _databricks(places: Places) -> Iterator[Operation]:
    for method, path, versions in OPERATIONS:
        version = versions.split(", ")[0].split(" ")[0] or "2.0"
        yield Operation(method, places.databricks, f"/api/{version}/{path}", "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d")
    for path in _MLFLOW:
        for method in ("GET", "POST"):
            yield Operation(
                method, places.databricks, f"/api/2.0/mlflow/{path}", "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"
            )


def _azure_ml(places: Places) -> Iterator[Operation]:
    host, audience = "westeurope.api.azureml.ms", "https://ml.azure.com"
    for path in _MLFLOW:
        for method in ("GET", "POST", "PATCH", "DELETE"):
            yield Operation(method, host, f"/mlflow/v1.0{places.workspace}/api/2.0/mlflow/{path}", audience)
    for method in ("GET", "PUT", "DELETE"):
        yield Operation(
            method, host, f"/mlflow/v1.0{places.workspace}/api/2.0/mlflow-artifacts/artifacts/{{path}}", audience
        )
    runs = "experiments/{experiment}/runs"
    for method, path in (
        ("POST", "rundata"), ("POST", "batchrundata"), ("POST", f"{runs}:query"), ("PATCH", f"{runs}/{{run}}"),
        ("GET", f"{runs}/{{run}}"), ("POST", f"{runs}/{{run}}/events"), ("POST", f"{runs}/{{run}}/cancel"),
        ("GET", f"{runs}/{{run}}/details"), ("GET", "experiments/{experiment}"), ("POST", "experiments"),
        ("PUT", f"{runs}/{{run}}"),
    ):  # fmt: skip
        yield Operation(method, host, f"/history/v1.0{places.workspace}/{path}", audience)
    for kind in ("list", "full", "sample"):
        yield Operation("POST", host, f"/metric/v2.0{places.workspace}/runs/{{run}}/{kind}", audience)
    for area in ("data/v1.0", "modelregistry/v1.0"):
        for assets in ("models", "dataversion"):
            yield Operation("POST", host, f"/{area}{places.workspace}/{assets}/batchGetResolvedUris", audience)


def _storage(places: Places) -> Iterator[Operation]:
    for endpoint in ("blob", "dfs"):
        for path in (
            "/",
            f"/{places.container}",
            f"/{places.container}/{{name}}",
            "/{name}",
            f"/{places.container}/there",
        ):
            for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
                host = f"{places.account}.{endpoint}.core.windows.net"
                if (method, path) != ("DELETE", f"/{places.container}"):
                    yield Operation(method, host, path, "https://storage.azure.com/")
