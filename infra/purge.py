"""`python -m infra.purge --stack NAME`: free the names that a destroyed stack still holds.

A Key Vault keeps its name for some days after it is deleted. Where the stack's settings leave purge protection off,
this gives the name back, so that the stack can be brought up again at once. It needs Key Vault's purge permission,
which Contributor has. With purge protection on, nothing can give it back.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from azure.core import PipelineClient
from azure.core.exceptions import AzureError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy, UserAgentPolicy
from azure.core.rest import HttpRequest
from azure.identity import DefaultAzureCredential

from infra.configuration import SettingsError, read_settings
from infra.naming import Names

_ARM = "https://management.azure.com"
_VERSION = "2024-11-01"
_PROJECT = "dataopsml"
_ROOT = Path(__file__).resolve().parents[1]


class PurgeError(Exception):
    """The text says what is in the way."""


def purge_vault(client: PipelineClient[Any, Any], subscription: str, location: str, name: str) -> bool:
    """False when no deleted vault of this name holds it. Raises PurgeError when it may not be purged."""
    root = f"{_ARM}/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}"
    found = client.send_request(HttpRequest("GET", root, params={"api-version": _VERSION}))
    if found.status_code == 404:
        return False
    answer = client.send_request(HttpRequest("POST", f"{root}/purge", params={"api-version": _VERSION}))
    if answer.status_code >= 400:
        raise PurgeError(f"the vault {name} cannot be purged: {answer.json()['error']['message']}")
    return True


def config_of(stack: str) -> dict[str, str]:
    """The stack's configuration as the engine has it, text or JSON by full key. Raises PurgeError."""
    command = ["pulumi", "config", "--json", "--stack", stack, "--non-interactive"]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PurgeError(f"the configuration of stack {stack} cannot be read: {done.stderr.strip()}")
    values = json.loads(done.stdout)
    return {
        key: json.dumps(entry["objectValue"]) if "objectValue" in entry else str(entry.get("value", ""))
        for key, entry in values.items()
    }


def main(
    stack: Annotated[str, typer.Option(help="The stack that was destroyed.")],
    subscription: Annotated[str, typer.Option(envvar="ARM_SUBSCRIPTION_ID", help="Azure subscription.")],
) -> None:
    """Free the names that a destroyed stack still holds."""
    try:
        settings = read_settings(config_of(stack), _PROJECT, stack)
        name = Names(settings.base_name, settings.environment).key_vault
        if settings.key_vault.purge_protection:
            days = settings.key_vault.soft_delete_days
            sys.stdout.write(f"{name}: has purge protection, its name is held for {days} days after its deletion.\n")
            return
        policies = [
            UserAgentPolicy("dataopsml"),
            RetryPolicy(),
            BearerTokenCredentialPolicy(DefaultAzureCredential(), f"{_ARM}/.default"),
        ]
        client: PipelineClient[Any, Any] = PipelineClient(_ARM, policies=policies)
        purged = purge_vault(client, subscription, settings.location, name)
    except (PurgeError, SettingsError, AzureError) as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(1) from error
    sys.stdout.write(f"{name}: {'purged, the name is free' if purged else 'no deleted vault holds the name'}.\n")


if __name__ == "__main__":
    typer.run(main)
