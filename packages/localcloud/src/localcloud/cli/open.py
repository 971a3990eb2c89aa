"""`open`: the link by which a browser signs in to the pages."""

from __future__ import annotations

import os
import ssl
import sys

import httpx

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import TENANT_ID, Settings
from localcloud.gateway import deployer, instance
from localcloud.gateway.pages import LINKS_PATH

_AUTOMATION = ("CI", "TF_BUILD")
_SECONDS = 30


def open_pages(settings: Settings) -> None:
    """Print a link that signs a browser in once, within five minutes.

    Raises LocalcloudError where logs record a command's output, and when localcloud does not run.
    """
    named = [name for name in _AUTOMATION if os.environ.get(name)]
    if named:
        raise LocalcloudError(
            f"The link of `localcloud open` signs its holder in, and logs would keep it: {named[0]} is set here."
        )
    if instance.running(settings) is None:
        raise LocalcloudError(f"localcloud does not run (home {settings.home}). `localcloud start` starts it.")
    sys.stdout.write(f"{_link(settings)}\n")
    sys.stderr.write(
        "Open this link in a browser of this machine: it works once, within five minutes, for a session of 12 hours.\n"
        f"A browser warns of the certificate until it trusts {settings.tls / 'ca.pem'}.\n"
    )


def _link(settings: Settings) -> str:
    credentials = deployer.read(settings)
    trust = ssl.create_default_context(cafile=settings.tls / "ca.pem")
    form = {
        "grant_type": "client_credentials", "client_id": credentials.client_id,
        "client_secret": credentials.client_secret, "scope": "https://management.azure.com/.default",
    }  # fmt: skip
    try:
        with httpx.Client(base_url=settings.gateway_url, verify=trust, trust_env=False, timeout=_SECONDS) as client:
            signed_in = client.post(f"/{TENANT_ID}/oauth2/v2.0/token", data=form).raise_for_status()
            headers = {"Authorization": f"Bearer {signed_in.json()['access_token']}"}
            return str(client.post(LINKS_PATH, headers=headers).raise_for_status().json()["url"])
    except httpx.HTTPError as error:
        raise LocalcloudError(
            f"localcloud gives no link: {error}. Its log has the details (localcloud logs)."
        ) from error
