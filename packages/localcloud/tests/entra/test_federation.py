"""Workload identity federation: outer tokens in place of a secret, by a real issuer on the loopback interface."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from localcloud.arm.identity import USER_ASSIGNED
from localcloud.arm.store import ResourceStore
from localcloud.core.context import Principal
from localcloud.core.database import Database
from localcloud.core.resource import Resource
from localcloud.entra.directory import Directory
from localcloud.entra.federation import Federation, FederationError
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.entra_tokens import ask

_AUDIENCE = "api://AzureADTokenExchange"
_SUBJECT = "sc://organization/project/connection"
_GONE = "http://127.0.0.1:1"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """Publish the key `one` by OpenID Connect Discovery; return its address."""

    class Documents(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            key = jwt.algorithms.RSAAlgorithm.to_jwk(_KEY.public_key(), as_dict=True)
            documents: dict[str, Any] = {
                "/.well-known/openid-configuration": {"jwks_uri": f"{address}/keys"},
                "/keys": {"keys": [{**key, "kid": "one", "use": "sig"}]},
            }
            body = json.dumps(documents[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Documents)
    address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield address
    server.shutdown()
    server.server_close()


@pytest.fixture
def parts(tmp_path: Path, issuer: str) -> tuple[Federation, Principal]:
    """Return an identity that trusts `issuer` for the subject."""
    database = Database(tmp_path / "localcloud.db")
    resources = ResourceStore(database)
    principal = Directory(database).create_principal("pipeline")
    id_ = f"/subscriptions/s/resourceGroups/g/providers/{USER_ASSIGNED}/pipeline"
    resources.put(
        Resource(id=id_, type=USER_ASSIGNED, name="pipeline", properties={"principalId": principal.object_id})
    )
    kind = f"{USER_ASSIGNED}/federatedIdentityCredentials"
    for name, address in {"ado": issuer, "gone": _GONE}.items():
        trusted = {"issuer": address, "subject": _SUBJECT, "audiences": [_AUDIENCE]}
        resources.put(
            Resource(id=f"{id_}/federatedIdentityCredentials/{name}", type=kind, name=name, properties=trusted)
        )
    return Federation(resources), principal


def _assertion(issuer: str, kid: str = "one", key: Any = _KEY, **claims: Any) -> str:
    now = int(time.time())
    whole = {"iss": issuer, "sub": _SUBJECT, "aud": _AUDIENCE, "iat": now, "exp": now + 600} | claims
    return jwt.encode(whole, key, algorithm="RS256", headers={"kid": kid})


def test_a_token_of_the_declared_subject_replaces_the_secret(parts: tuple[Federation, Principal], issuer: str) -> None:
    federation, principal = parts
    federation.check(principal, _assertion(issuer))


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"sub": "sc://organization/project/other"}, 700213),
        ({"iss": "https://elsewhere.example"}, 700213),
        ({"iss": _GONE}, 50166),
        ({"aud": "api://Other"}, 700212),
        ({"exp": 1_600_000_000}, 700024),
        ({"kid": "two"}, 700211),
        ({"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)}, 700211),
    ],
)
def test_another_token_is_refused(
    parts: tuple[Federation, Principal], issuer: str, changes: dict[str, Any], number: int
) -> None:
    federation, principal = parts
    with pytest.raises(FederationError) as caught:
        federation.check(principal, _assertion(**{"issuer": issuer, **changes}))
    assert caught.value.number == number, str(caught.value)


def test_the_token_endpoint_refuses_an_application_without_federated_credentials(azure: AzureSession) -> None:
    answer = ask(client_secret="", client_assertion=_assertion("https://vstoken.dev.azure.com/x"))
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [70025])
