"""The Azure CLI's session of AzureCLI@2, as far as SDKs ask for it: `az account get-access-token` and `show`.

Signed in with the step's federated token. Everything else is refused: a rehearsal must not seem to do it.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path

from azure.identity import WorkloadIdentityCredential

LAUNCHER = '#!/bin/sh\nPYTHONPATH={root} exec {python} -m rehearsal.az "$@"\n'


def install(folder: Path) -> Path:
    """Write `az` into a folder, which the caller puts on PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    root = Path(__file__).resolve().parents[1]
    file = folder / "az"
    file.write_text(LAUNCHER.format(root=root, python=sys.executable), encoding="utf-8")
    file.chmod(0o700)
    return folder


def main(words: list[str]) -> int:
    """Exit code, as az has it."""
    subscription, tenant = os.environ["ARM_SUBSCRIPTION_ID"], os.environ["AZURE_TENANT_ID"]
    if words[:2] == ["account", "show"]:
        user = {"name": os.environ["AZURE_CLIENT_ID"], "type": "servicePrincipal"}
        shown = {"id": subscription, "tenantId": tenant, "user": user}
        sys.stdout.write(f"{subscription}\n" if "id" in words else json.dumps(shown))
        return 0
    if words[:2] != ["account", "get-access-token"]:
        sys.stderr.write(f"ERROR: a rehearsal has no `az {' '.join(words)}`.\n")
        return 2
    options = dict(zip(words[2::2], words[3::2], strict=False))
    scope = (
        options.get("--scope") or f"{options.get('--resource', 'https://management.azure.com').rstrip('/')}/.default"
    )
    token = WorkloadIdentityCredential().get_token(scope)
    expires = datetime.fromtimestamp(token.expires_on)
    answer = {
        "accessToken": token.token, "expiresOn": f"{expires:%Y-%m-%d %H:%M:%S.%f}", "expires_on": token.expires_on,
        "subscription": subscription, "tenant": tenant, "tokenType": "Bearer",
    }  # fmt: skip
    sys.stdout.write(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
