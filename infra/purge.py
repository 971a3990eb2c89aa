"""`python -m infra.purge --stack dev`: free the names that a destroyed stack still holds.

Azure keeps a deleted Key Vault and a deleted Azure ML workspace for days, and their names cannot be used meanwhile. A
stack that is made anew needs them back. Stacks that are locked or protected are left alone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from azure.core import PipelineClient
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.core.rest import HttpRequest
from azure.identity import DefaultAzureCredential

from infra.configuration import SettingsError
from infra.naming import Names
from infra.settings import Settings
from infra.stack_file import stack_settings

_ARM = "https://management.azure.com"
_VAULTS = "2024-11-01"
_WORKSPACES = "2025-12-01"
_WAIT_SECONDS = 600
_GONE = frozenset({204, 404})


class PurgeError(Exception):
    """A name cannot be freed; the text has the name and the reason."""


class Purge:
    """Frees the names of one stack in one subscription; `say` receives a line on each name."""

    def __init__(self, subscription_id: str, credential: TokenCredential, say: Callable[[str], None]) -> None:
        self._subscription = f"/subscriptions/{subscription_id}"
        policies = [RetryPolicy(), BearerTokenCredentialPolicy(credential, f"{_ARM}/.default")]
        self._client: PipelineClient[Any, Any] = PipelineClient(_ARM, policies=policies)
        self._say = say

    def run(self, settings: Settings) -> None:
        """Purge the workspace and the vault. Raises PurgeError for a protected stack, and when Azure refuses."""
        if settings.protection.lock or settings.protection.protect:
            raise PurgeError(f"Stack {settings.environment} is protected: its names are not freed.")
        names = Names(settings.base_name, settings.environment)
        self._workspace(names)
        self._vault(names, settings)

    def _workspace(self, names: Names) -> None:
        path = (
            f"{self._subscription}/resourceGroups/{names.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{names.workspace}"
        )
        if self._send("GET", path, _WORKSPACES) not in _GONE:
            raise PurgeError(f"Azure ML workspace {names.workspace} still exists: destroy the stack first.")
        status = self._send("DELETE", path, _WORKSPACES, forceToPurge="true")
        self._say(f"Azure ML workspace {names.workspace}: {'was free' if status in _GONE else 'freed'}")

    def _vault(self, names: Names, settings: Settings) -> None:
        provider = f"{self._subscription}/providers/Microsoft.KeyVault"
        path = f"{provider}/locations/{settings.location}/deletedVaults/{names.key_vault}"
        if self._send("GET", path, _VAULTS) in _GONE:
            self._say(f"Key Vault {names.key_vault}: was free")
            return
        if settings.key_vault.purge_protection:
            raise PurgeError(
                f"Key Vault {names.key_vault} has purge protection: its name is free when the "
                f"{settings.key_vault.soft_delete_days} days are over. Until then use another base_name."
            )
        self._send("POST", f"{path}/purge", _VAULTS)
        deadline = time.monotonic() + _WAIT_SECONDS
        while self._send("GET", path, _VAULTS) not in _GONE:
            if time.monotonic() > deadline:
                raise PurgeError(f"Key Vault {names.key_vault} is still there after {_WAIT_SECONDS} s: try again.")
            time.sleep(1)
        self._say(f"Key Vault {names.key_vault}: freed")

    def _send(self, method: str, path: str, version: str, **query: str) -> int:
        request = HttpRequest(method, _ARM + path, params={"api-version": version, **query})
        response = self._client.send_request(request)
        if response.status_code >= 400 and response.status_code not in _GONE:
            raise HttpResponseError(response=response)
        return int(response.status_code)


def main(stack: Annotated[str, typer.Option(help="The stack that was destroyed.")]) -> None:
    """Free the names that a destroyed stack still holds."""
    subscription = os.environ.get("ARM_SUBSCRIPTION_ID") or os.environ.get("AZURE_SUBSCRIPTION_ID")
    try:
        settings = stack_settings(stack, Path.cwd())
        if not subscription:
            raise PurgeError("No subscription is named: set ARM_SUBSCRIPTION_ID.")
        Purge(subscription, DefaultAzureCredential(), typer.echo).run(settings)
    except (SettingsError, PurgeError, AzureError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
