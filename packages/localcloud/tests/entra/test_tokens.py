"""Sign-in by the libraries that people use, and Entra's refusals by number."""

from __future__ import annotations

import os
import uuid
from typing import Any

import jwt
import msal
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from localcloud.core.settings import TENANT_ID
from localcloud.testing.azure_session import AzureSession
from localcloud.testing.entra_tokens import ask

_LOGIN = "https://login.microsoftonline.com"
_DATABRICKS = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"


@pytest.mark.parametrize(
    ("scope", "audience"),
    [
        ("https://management.azure.com/.default", "https://management.azure.com"),
        ("https://management.core.windows.net//.default", "https://management.core.windows.net/"),
        ("https://ml.azure.com/.default", "https://ml.azure.com"),
        (f"{_DATABRICKS}/.default", _DATABRICKS),
        ("https://anything.vault.azure.net/.default", "https://anything.vault.azure.net"),
    ],
)
def test_a_token_is_for_its_scope_and_verifies_with_the_published_keys(
    azure: AzureSession, scope: str, audience: str
) -> None:
    token = DefaultAzureCredential().get_token(scope).token
    configuration = requests.get(f"{_LOGIN}/{TENANT_ID}/.well-known/openid-configuration", timeout=30).json()
    keys = jwt.PyJWKSet.from_dict(requests.get(configuration["jwks_uri"], timeout=30).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key.key, algorithms=["RS256"], audience=audience, issuer=configuration["issuer"])
    assert claims["aud"] == audience, "azure-ai-ml compares it to the letter"
    assert claims["appid"] == os.environ["AZURE_CLIENT_ID"]
    assert (claims["tid"], claims["oid"], claims["idtyp"]) == (TENANT_ID, azure.object_id, "app")
    assert claims["exp"] - claims["iat"] == 3600


@pytest.mark.filterwarnings("ignore:Using /common or /organizations:DeprecationWarning")
@pytest.mark.parametrize("tenant", [TENANT_ID, "organizations", "common"])
def test_msal_signs_in_with_its_own_discovery(azure: AzureSession, tenant: str) -> None:
    application = msal.ConfidentialClientApplication(
        os.environ["AZURE_CLIENT_ID"],
        authority=f"{_LOGIN}/{tenant}",
        client_credential=os.environ["AZURE_CLIENT_SECRET"],
    )
    answer = application.acquire_token_for_client(["https://storage.azure.com/.default"])
    assert answer.get("token_type") == "Bearer", answer


def test_the_older_endpoint_takes_a_resource_and_answers_with_strings(azure: AzureSession) -> None:
    answer = ask(version="", scope="", resource="https://management.azure.com/").json()
    assert answer["resource"] == "https://management.azure.com/"
    assert answer["expires_in"] == "3600" and answer["expires_on"].isdigit()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["aud"] == "https://management.azure.com/", "the slash belongs to the resource"


def test_credentials_may_come_in_a_basic_header(azure: AzureSession) -> None:
    answer = requests.post(
        f"{_LOGIN}/{TENANT_ID}/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "scope": "https://vault.azure.net/.default"},
        auth=(os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"]),
        timeout=30,
    )
    assert answer.status_code == 200, answer.text


_REFUSALS: list[tuple[dict[str, str], int, str, int]] = [
    ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
    ({"client_secret": ""}, 401, "invalid_client", 7000218),
    ({"client_id": "c0ffee00-0000-4000-8000-000000000000"}, 400, "unauthorized_client", 700016),
    ({"client_id": ""}, 400, "invalid_request", 900144),
    ({"grant_type": ""}, 400, "invalid_request", 900144),
    ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
    ({"scope": ""}, 400, "invalid_request", 900144),
    ({"scope": "https://management.azure.com/user_impersonation"}, 400, "invalid_scope", 1002012),
    ({"scope": "https://nowhere.example/.default"}, 400, "invalid_resource", 500011),
    ({"scope": "azure.com.evil.example/.default"}, 400, "invalid_resource", 500011),
    ({"tenant": "contoso.onmicrosoft.com"}, 400, "invalid_request", 90002),
    ({"client_assertion": "not a token"}, 401, "invalid_client", 50027),
]


@pytest.mark.parametrize(("form", "status", "error", "number"), _REFUSALS)
def test_a_refusal_has_entra_s_error_number(
    azure: AzureSession, form: dict[str, str], status: int, error: str, number: int
) -> None:
    answer = ask(**form)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert "access_token" not in body


def test_azure_identity_shows_the_refusal(azure: AzureSession) -> None:
    credential = ClientSecretCredential(TENANT_ID, os.environ["AZURE_CLIENT_ID"], "wrong")
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215: Invalid client secret provided"):
        credential.get_token("https://management.azure.com/.default")


def _altered(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{signature[:-8]}{'A' * 8}"


def test_arm_has_a_code_for_each_fault_of_a_token(azure: AzureSession) -> None:
    good = azure.credential.get_token("https://management.azure.com/.default").token
    claims: dict[str, Any] = jwt.decode(good, options={"verify_signature": False})
    forged = jwt.encode(claims, "k" * 32, algorithm="HS256")
    cases = {
        "": "AuthenticationFailed",
        "Basic abc": "AuthenticationFailedInvalidHeader",
        "Bearer abc": "InvalidAuthenticationToken",
        f"Bearer {forged}": "InvalidAuthenticationToken",
        f"Bearer {_altered(good)}": "InvalidAuthenticationToken",
        "Bearer " + ask(scope="https://vault.azure.net/.default").json()["access_token"]:
            "InvalidAuthenticationTokenAudience",
    }  # fmt: skip
    for header, code in cases.items():
        answer = requests.get(
            f"https://management.azure.com{azure.subscription}?api-version=2022-12-01",
            headers={"Authorization": header} if header else {},
            timeout=30,
        )
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
        challenge = answer.headers["WWW-Authenticate"]
        assert challenge.startswith(f'Bearer authorization_uri="{_LOGIN}/{TENANT_ID}"'), challenge


def test_instance_discovery_knows_its_aliases(azure: AzureSession) -> None:
    answer = requests.get(
        f"{_LOGIN}/common/discovery/instance",
        params={"api-version": "1.1", "authorization_endpoint": f"{_LOGIN}/{TENANT_ID}/oauth2/v2.0/authorize"},
        timeout=30,
    ).json()
    assert "login.windows.net" in answer["metadata"][0]["aliases"]
    assert answer["tenant_discovery_endpoint"].startswith(_LOGIN)


def test_an_unknown_tenant_has_no_configuration(azure: AzureSession) -> None:
    answer = requests.get(f"{_LOGIN}/{uuid.uuid4()}/v2.0/.well-known/openid-configuration", timeout=30)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])
