"""Variables of a shell whose clients of Azure reach this localcloud. Works while it is stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from localcloud.core.settings import (
    SUBSCRIPTION_ID,
    TENANT_ID,
    Settings,
)
from localcloud.engine import toolchain
from localcloud.engine.places import machine_path, pulumi_environment
from localcloud.gateway import deployer
from localcloud.gateway.upstream import upstream_of

_METADATA_VERSION = "2020-09-01"
# No "::1": azureml-dataprep-rslex, which is below azureml-fsspec and mltable, reads the text behind a colon as a port
# and panics. localcloud does not listen on IPv6.
_NOT_PROXIED = "localhost,127.0.0.1"


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables by name. Raises LocalcloudError when this localcloud was never started."""
    credentials = deployer.read(settings)
    bundle = str(settings.tls / "bundle.pem")
    proxy = f"http://127.0.0.1:{settings.proxy_port}"
    # The gateway runs with the tools that were chosen, which a shell with another PATH needs as well.
    tools = toolchain.last_chosen(settings)
    entries = [] if tools is None else [str(entry) for entry in tools.path_entries]
    result = {
        "ARM_CLOUD_METADATA_URL": f"{settings.gateway_url}/metadata/endpoints?api-version={_METADATA_VERSION}",
        "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com",
        "AZURE_TENANT_ID": TENANT_ID,
        "AZURE_CLIENT_ID": credentials.client_id,
        "AZURE_CLIENT_SECRET": credentials.client_secret,
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "ARM_TENANT_ID": TENANT_ID,
        "ARM_CLIENT_ID": credentials.client_id,
        "ARM_CLIENT_SECRET": credentials.client_secret,
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION_ID,
        "HTTPS_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": _NOT_PROXIED,
        "no_proxy": _NOT_PROXIED,
        "REQUESTS_CA_BUNDLE": bundle,
        "SSL_CERT_FILE": bundle,
        "CURL_CA_BUNDLE": bundle,
        "NODE_EXTRA_CA_CERTS": str(settings.tls / "ca.pem"),
        "PULUMI_BACKEND_URL": f"azblob://{settings.state.container}?storage_account={settings.state.account}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(deployer.passphrase_file(settings)),
        **pulumi_environment(settings),
        "MLFLOW_TRACKING_URI": settings.tracking_url,
        "MLFLOW_TRACKING_TOKEN": deployer.tracking_token(settings),
        # A place such as a compute instance, whose user the deployer is (localcloud.entra.identity_endpoint).
        "AZUREML_OBO_ENABLED": "True",
        "OBO_ENDPOINT": f"http://127.0.0.1:{settings.identity_port}/obo/token",
        "MSI_SECRET": credentials.client_secret,
        "LOCALCLOUD_HOME": str(settings.home),
        "LOCALCLOUD_PORT": str(settings.port),
        "PATH": os.pathsep.join([*entries, str(Path(sys.executable).parent), machine_path()]),
    }
    upstream = upstream_of(os.environ, settings.proxy_port)
    if upstream.proxy:
        result["LOCALCLOUD_UPSTREAM_PROXY"], result["LOCALCLOUD_UPSTREAM_NO_PROXY"] = upstream.proxy, upstream.no_proxy
    if tools is not None:
        result["JAVA_HOME"] = str(tools.java_home)
    return result


def exports(settings: Settings) -> str:
    """`export NAME='value'` lines for any POSIX shell."""
    quoted = ((name, value.replace("'", "'\\''")) for name, value in variables(settings).items())
    return "".join(f"export {name}='{value}'\n" for name, value in quoted)
