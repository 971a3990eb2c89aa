"""Request bodies of the stacks staging and prod, nightly also of local and dev, against the vendors' own types.

The stacks have their committed settings, but for the base name. ARM's bodies are judged by the models of the azure-mgmt
packages (required, enum, pattern, read-only, unknown fields), Databricks' bodies by databricks-sdk's types.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from localcloud.arm import registrations
from localcloud.cli.env import variables
from localcloud.core.settings import Settings, load_settings
from localcloud.databricks import request_types
from localcloud.databricks.requests import checks
from localcloud.databricks.requests.names import anonymous
from localcloud.databricks.routes import ROUTES
from localcloud.engine import provision
from localcloud.gateway import instance
from localcloud.testing.cloud import free_port

from contract.resource_providers import RESOURCE_PROVIDERS
from infra.stack_file import PROJECT, ROOT
from tests.integration.infra.project import Project
from tests.integration.referee.models import find, findings
from tests.integration.referee.types import MODELS, TOLERATED, WITHOUT_MODEL
from tests.unit.environments import STACKS

_READY_SECONDS = 120


@dataclass(frozen=True)
class Request:
    """Request of a stack. `path` is without the query."""

    method: str
    host: str
    path: str
    body: Any
    status: int


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("staging",), id="staging"),
        pytest.param(STACKS, id="all stacks", marks=pytest.mark.nightly),
    ],
)
def requests_(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Request]]:
    """Bring the stacks up and yield all requests that they send."""
    folder = tmp_path_factory.mktemp("referee")
    settings = Settings(home=folder / "home", port=free_port(), cache=load_settings().cache)
    provision.ensure(settings)
    settings.home.mkdir(exist_ok=True)
    registrations.ensure(settings.database, RESOURCE_PROVIDERS)
    file = folder / "requests.jsonl"
    file.touch()
    own = {
        "LOCALCLOUD_HOME": str(settings.home), "LOCALCLOUD_PORT": str(settings.port),
        "LOCALCLOUD_CACHE": str(settings.cache), "LOCALCLOUD_STATE_GROUP": settings.state.group,
        "LOCALCLOUD_STATE_ACCOUNT": settings.state.account, "LOCALCLOUD_STATE_CONTAINER": settings.state.container,
    }  # fmt: skip
    log = (folder / "gateway.log").open("wb")
    gateway = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.referee.recording", str(file)],
        cwd=ROOT, env={**os.environ, **own}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + _READY_SECONDS
        while instance.running(settings) is None:
            assert gateway.poll() is None and time.monotonic() < deadline, (folder / "gateway.log").read_text()
            time.sleep(0.1)
        project = Project.make(folder / "project", variables(settings))
        base = f"t{secrets.token_hex(4)}"
        for stack in request.param:
            project.settings(stack, _settings(stack, base))
            init = project.pulumi("stack", "init", stack=stack)
            assert init.code == 0, init.text
            up = project.up(stack, rules=stack)
            assert up.code == 0, up.text
            again = project.pulumi("preview", "--expect-no-changes", stack=stack)
            assert again.code == 0, again.text
        yield [
            Request(entry["method"], entry["host"].partition(":")[0], entry["path"], entry["body"], entry["status"])
            for entry in map(json.loads, file.read_text(encoding="utf-8").splitlines())
        ]
    finally:
        gateway.terminate()
        gateway.wait(60)
        log.close()


def _settings(stack: str, base: str) -> dict[str, Any]:
    """Return the committed settings under the test's own base name: names are taken once in all of Azure."""
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text)["config"]
    renamed: dict[str, Any] = json.loads(re.sub(rf"\b{config[f'{PROJECT}:base_name']}\b", base, json.dumps(config)))
    return {key.partition(":")[2]: value for key, value in renamed.items()}


def _resource_type(path: str) -> str:
    """Return Microsoft.Storage/storageAccounts/blobServices and the like, of the last provider, as for an extension."""
    _, separator, rest = path.rpartition("/providers/")
    if not separator:
        return "Microsoft.Resources/resourceGroups"
    namespace, *parts = rest.split("/")
    return "/".join([namespace, *parts[::2]])


def _arm(requests: list[Request]) -> list[Request]:
    return [
        request for request in requests if request.host == "management.azure.com" and request.method in {"PUT", "PATCH"}
    ]


def test_a_model_is_named_for_every_type_that_the_stacks_send(requests_: list[Request]) -> None:
    sent = {_resource_type(request.path).lower() for request in _arm(requests_)}

    assert len(sent) > 25, "the stacks were brought up"
    assert sent - {name.lower() for name in (*MODELS, *WITHOUT_MODEL)} == set()


def test_every_arm_body_matches_the_vendor_s_model(requests_: list[Request]) -> None:
    models = {name.lower(): (name, find(model)) for name, model in MODELS.items()}
    tolerated = {(tolerance.type, tolerance.path, tolerance.kind) for tolerance in TOLERATED}
    problems: dict[str, None] = {}
    used = set()
    for request in _arm(requests_):
        if (type_ := _resource_type(request.path).lower()) not in models:
            continue  # the first test says why
        name, model = models[type_]
        for finding in findings(model, request.body):
            key = (name, re.sub(r"\[\d+\]", "[]", finding.path), finding.kind)
            if key in tolerated:
                used.add(key)
            else:
                problems[f"{name} {finding}"] = None

    assert list(problems) == []
    assert used == tolerated, "an exception that nothing needs any more"


def test_every_databricks_body_matches_databricks_sdk(requests_: list[Request]) -> None:
    typed = request_types.types(ROUTES)
    problems: dict[str, None] = {}
    looked_at = 0
    for request in requests_:
        match = re.fullmatch(r"/api/2\.\d/(.+)", request.path)
        if not request.host.endswith(".azuredatabricks.net") or match is None:
            continue
        method, path = _route(request.method, match[1])
        fields = typed.requests[f"{method} {anonymous(path)}"]
        fault = checks.first_fault(method, path, request.body)
        missing = [name for name in fields if name.endswith("!") and _is_missing(name, request, path)]
        unknown = set(request.body) - {name.rstrip("!") for name in fields}
        if fault is not None or missing or unknown:
            problems[f"{method} {path}: {fault} {missing or ''} {sorted(unknown) or ''}"] = None
        looked_at += 1

    assert looked_at > 20
    assert list(problems) == []


def _route(method: str, path: str) -> tuple[str, str]:
    """Return the answering route: the first in the table that fits, as in the gateway."""
    for route_method, pattern in ROUTES:
        if route_method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            return route_method, pattern
    raise AssertionError(f"no route for {method} {path}")


def _is_missing(name: str, request: Request, path: str) -> bool:
    return request.body.get(name.rstrip("!")) is None and f"{{{name.rstrip('!')}}}" not in path
