"""Token requests as a client without an SDK sends them."""

from __future__ import annotations

import os

import requests

from localcloud.core.settings import TENANT_ID

_LOGIN = "https://login.microsoftonline.com"


def ask(tenant: str = TENANT_ID, version: str = "/v2.0", **form: str) -> requests.Response:
    """Send a token request; `form` replaces the deployer's parameters. An empty value leaves a parameter out."""
    whole = {
        "grant_type": "client_credentials",
        "client_id": os.environ["AZURE_CLIENT_ID"],
        "client_secret": os.environ["AZURE_CLIENT_SECRET"],
        "scope": "https://management.azure.com/.default",
    } | form
    filled = {name: value for name, value in whole.items() if value}
    return requests.post(f"{_LOGIN}/{tenant}/oauth2{version}/token", data=filled, timeout=30)
