"""The managed identity endpoint, by azure-identity and in the form of Hadoop's ABFS driver."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest
import requests
import uvicorn
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from localcloud.core.context import Principal
from localcloud.core.database import Database
from localcloud.entra import identity_endpoint
from localcloud.entra.directory import Directory

_SCOPE = "https://storage.azure.com/.default"


@dataclass(frozen=True)
class Workload:
    """A job with an identity of its own, and another identity that the job does not have."""

    directory: Directory
    address: str
    secret: str
    own: Principal
    other: Principal


@pytest.fixture
def workload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workload]:
    directory = Directory(Database(tmp_path / "localcloud.db"))
    own, other = directory.create_principal("own"), directory.create_principal("other")
    secret = directory.grant_workload(None, own.app_id)
    user = directory.create_principal("user", secret="the user's")
    app = identity_endpoint.build(directory, lambda: user.app_id)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}/msi"
    monkeypatch.setenv("MSI_ENDPOINT", f"{address}/token")
    monkeypatch.setenv("MSI_SECRET", secret)
    yield Workload(directory, address, secret, own, other)
    server.should_exit = True
    thread.join()


def test_azure_identity_gets_tokens_of_the_job_s_identity(workload: Workload) -> None:
    named = ManagedIdentityCredential(client_id=workload.own.app_id).get_token(_SCOPE)
    default = ManagedIdentityCredential().get_token(_SCOPE)
    for token in (named, default):
        claims = jwt.decode(token.token, options={"verify_signature": False})
        assert (claims["aud"], claims["oid"]) == ("https://storage.azure.com", workload.own.object_id)
        assert token.expires_on == claims["exp"]


def test_an_identity_that_the_job_does_not_have_is_refused(workload: Workload) -> None:
    with pytest.raises(ClientAuthenticationError, match="may not act as client id"):
        ManagedIdentityCredential(client_id=workload.other.app_id).get_token(_SCOPE)


def test_a_wrong_or_revoked_secret_opens_nothing(workload: Workload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MSI_SECRET", "guess")
    with pytest.raises(ClientAuthenticationError, match="missing, wrong or expired"):
        ManagedIdentityCredential().get_token(_SCOPE)
    monkeypatch.setenv("MSI_SECRET", workload.secret)
    workload.directory.revoke_workload(workload.secret)
    with pytest.raises(ClientAuthenticationError, match="missing, wrong or expired"):
        ManagedIdentityCredential().get_token(_SCOPE)


def test_the_secret_is_read_only_from_its_header(workload: Workload) -> None:
    query = {"resource": "https://storage.azure.com/", "client_id": workload.own.app_id, "secret": workload.secret}
    assert requests.get(f"{workload.address}/{workload.secret}/token", params=query, timeout=10).status_code == 404
    assert requests.get(f"{workload.address}/token", params=query, timeout=10).status_code == 403
    headers = {"secret": workload.secret}
    missing = requests.get(f"{workload.address}/token", headers=headers, timeout=10)
    assert (missing.status_code, missing.json()["error"]) == (400, "invalid_request")


def test_programs_on_a_compute_instance_get_tokens_of_its_user(workload: Workload) -> None:
    """The request of azureml-dataprep 5.5, which reads the number of seconds as it stands in the answer."""
    address = workload.address.replace("/msi", "/obo/token?resource=https://storage.azure.com/")
    signed_in = requests.get(address, headers={"secret": "the user's"}, timeout=10)
    refusals = [
        requests.get(address, headers={"secret": secret}, timeout=10) for secret in ("", "guess", workload.secret)
    ]

    claims = jwt.decode(signed_in.json()["access_token"], options={"verify_signature": False})
    user = workload.directory.by_object_id(claims["oid"])
    assert user is not None
    assert (user.display_name, claims["aud"]) == ("user", "https://storage.azure.com/")
    assert signed_in.json()["expires_on"] == claims["exp"]
    assert [(answer.status_code, answer.json()["error"]) for answer in refusals] == [(403, "forbidden")] * 3
