"""databricks-sdk's sign-in, which repeats requests for a service principal's token where Entra is throttled or busy.

The SDK for Python sends one request (`retrieve_token` of databricks/sdk/oauth.py). The SDK for Go, in the vendor's
provider, repeats such requests (httpclient/errors.go, `DefaultErrorRetriable`: 429 and 504).
"""

from __future__ import annotations

from datetime import datetime, timedelta

import requests
from databricks.sdk import azure
from databricks.sdk.config import Config
from databricks.sdk.credentials_provider import (
    CredentialsProvider,
    CredentialsStrategy,
    DefaultCredentials,
    OAuthCredentialsProvider,
)
from databricks.sdk.oauth import ClientCredentials, IgnoreNetrcAuth, Token
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

_CLIENT_SECRET = "azure-client-secret"  # noqa: S105 -- the SDK's name of the kind
_TIMEOUT_SECONDS = 60
_RETRIES = Retry(
    total=8, backoff_factor=0.5, backoff_max=30, backoff_jitter=0.5, status_forcelist=(429, 503, 504),
    allowed_methods=None, raise_on_status=False,
)  # fmt: skip
"""It is about a minute, or the time of Retry-After; broken connections are repeated too."""


class SignIn(DefaultCredentials, CredentialsStrategy):
    """The SDK's own choice among its kinds of sign-in."""

    def __call__(self, cfg: Config) -> CredentialsProvider:
        chosen = super().__call__(cfg)
        if self.auth_type() != _CLIENT_SECRET:
            return chosen
        inner = _token_source(cfg, cfg.effective_azure_login_app_id)
        cloud = _token_source(cfg, cfg.arm_environment.service_management_endpoint)

        def headers() -> dict[str, str]:
            """Return the same as `azure_service_principal` of databricks/sdk/credentials_provider.py."""
            signed = {"Authorization": f"Bearer {inner.token().access_token}"}
            azure.add_workspace_id_header(cfg, signed)
            azure.add_sp_management_token(cloud, signed)
            return signed

        return OAuthCredentialsProvider(headers, inner.token)


class _PatientCredentials(ClientCredentials):
    """A token source that waits while Entra answers 429, 503 or 504. Raises ValueError with Entra's code and reason."""

    def refresh(self) -> Token:
        form = {
            "grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.client_secret,
            **(self.endpoint_params or {}),
        }  # fmt: skip
        with requests.Session() as session:
            session.mount("https://", HTTPAdapter(max_retries=_RETRIES))
            answer = session.post(self.token_url, form, auth=IgnoreNetrcAuth(), timeout=_TIMEOUT_SECONDS)
        try:
            body = answer.json()
        except ValueError:
            body = {}
        if not answer.ok:
            reason = body.get("error_description") or f"status {answer.status_code}"
            raise ValueError(f"{body.get('error', 'unknown')}: {reason}")
        expiry = datetime.now() + timedelta(seconds=int(body["expires_in"]))
        return Token(access_token=body["access_token"], token_type=body["token_type"], expiry=expiry)


def _token_source(cfg: Config, resource: str) -> ClientCredentials:
    return _PatientCredentials(
        client_id=cfg.azure_client_id,
        client_secret=cfg.azure_client_secret,
        token_url=f"{cfg.arm_environment.active_directory_endpoint}{cfg.azure_tenant_id}/oauth2/token",
        endpoint_params={"resource": resource},
        disable_async=cfg.disable_async_token_refresh,
    )
