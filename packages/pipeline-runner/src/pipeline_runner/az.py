"""`az` in the state that AzureCLI@2 leaves, for SDKs' calls: `az account get-access-token` and `show`.

The session is a file in AZURE_CONFIG_DIR with the identity, its subscriptions and its id token. Access tokens are
stored until they expire, like the CLI's; a new one needs a valid id token. Every other command is refused, since a
build must not seem to run it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

_LAUNCHER = '#!/bin/sh\nPYTHONPATH={root} exec {python} -m pipeline_runner.az "$@"\n'
_SESSION, _TOKENS = "session.json", "tokens.json"
_EARLY_SECONDS = 300
"""MSAL, which the CLI is built on, treats a token as expired this long before it is."""


def install(folder: Path) -> Path:
    """Write `az` into a folder, which the caller puts on PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[1]
    file = folder / "az"
    file.write_text(_LAUNCHER.format(root=root, python=sys.executable), encoding="utf-8")
    file.chmod(0o700)
    return folder


def sign_in(folder: Path, client: str, tenant: str, subscriptions: Sequence[str], id_token: str) -> Path:
    """Sign in to a folder of configuration, or renew its id token.

    The first subscription becomes the default, as with `az login` and `az account set` of AzureCLI@2.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    session = {"client": client, "tenant": tenant, "subscriptions": list(subscriptions), "id_token": id_token}
    _write(folder / _SESSION, session)
    return folder


def main(words: list[str]) -> int:
    """Run one command and return its exit code, as `az` does."""
    folder = Path(os.environ["AZURE_CONFIG_DIR"])
    session = json.loads((folder / _SESSION).read_text(encoding="utf-8"))
    options = dict(zip(words[2::2], words[3::2], strict=False))
    subscription = options.get("--subscription") or session["subscriptions"][0]
    if subscription not in session["subscriptions"]:
        message = f"Subscription '{subscription}' not found. Check the spelling and casing and try again."
        sys.stderr.write(f"ERROR: {message}\n")
        return 1
    if words[:2] == ["account", "show"]:
        user = {"name": session["client"], "type": "servicePrincipal"}
        default = subscription == session["subscriptions"][0]
        account = {
            "environmentName": "AzureCloud", "id": subscription, "isDefault": default, "name": subscription,
            "state": "Enabled", "tenantId": session["tenant"], "user": user,
        }  # fmt: skip
        sys.stdout.write(f"{subscription}\n" if options.get("--query") == "id" else json.dumps(account))
        return 0
    if words[:2] != ["account", "get-access-token"]:
        sys.stderr.write(f"ERROR: a build of pipeline-runner has no `az {' '.join(words)}`.\n")
        return 2
    resource = options.get("--resource", "https://management.azure.com").rstrip("/")
    try:
        token, expires_on = _access_token(folder, session, options.get("--scope") or f"{resource}/.default")
    except Exception as error:  # every error of a sign-in ends the CLI with its message
        sys.stderr.write(f"ERROR: {error}\n")
        return 1
    answer = {
        "accessToken": token, "expiresOn": f"{datetime.fromtimestamp(expires_on):%Y-%m-%d %H:%M:%S.%f}",
        "expires_on": expires_on, "subscription": subscription, "tenant": session["tenant"], "tokenType": "Bearer",
    }  # fmt: skip
    sys.stdout.write(json.dumps(answer))
    return 0


def _access_token(folder: Path, session: Mapping[str, Any], scope: str) -> tuple[str, int]:
    file = folder / _TOKENS
    tokens: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    token, expires_on = tokens.get(scope, ("", 0))
    if expires_on - _EARLY_SECONDS > time.time():
        return token, expires_on
    from azure.identity import ClientAssertionCredential  # a slow import, which a stored token does not need

    credential = ClientAssertionCredential(session["tenant"], session["client"], lambda: str(session["id_token"]))
    access = credential.get_token(scope)
    _write(file, {**tokens, scope: (access.token, access.expires_on)})
    return access.token, access.expires_on


def _write(file: Path, content: Any) -> None:
    """Replace a file as a whole, since other processes read it meanwhile."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    new.touch(mode=0o600)
    new.write_text(json.dumps(content), encoding="utf-8")
    new.replace(file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
