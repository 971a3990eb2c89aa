"""Operations that an update began and did not end, in a stack's state: finished ones, and their removal.

A killed update leaves its operations as pending, and the next update goes on without them but keeps them forever. An
operation is over when a later update has the resource in its state (created, updated, replaced) or no longer has it
(deleted). A creation whose resource is in no state may have made an unknown object in the cloud: it stays, and is
named. Source: pulumi/pulumi sdk/go/common/apitype/core.go (OperationV2), pkg/resource/stack/deployment.go.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

WARNING = "pending operations from previous deployment"


def split(deployment: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the pending operations that are over, and the others."""
    known = {resource["urn"] for resource in deployment.get("resources") or [] if not resource.get("delete")}
    over: list[dict[str, Any]] = []
    open_: list[dict[str, Any]] = []
    for operation in deployment.get("pending_operations") or []:
        present = operation["resource"]["urn"] in known
        (over if present != (operation["type"] == "deleting") else open_).append(operation)
    return over, open_


def clear(pulumi: Sequence[str], stack: str) -> str:
    """Remove the operations that are over from the state. Return a line about the result for people."""
    command = [*pulumi, "stack"]
    exported = subprocess.run(
        [*command, "export", "--stack", stack], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if exported.returncode != 0:
        return f"The pending operations of stack {stack} stay: {exported.stderr.strip()}"
    document = json.loads(exported.stdout)
    over, open_ = split(document["deployment"])
    names = ", ".join(f"{operation['type']} {operation['resource']['urn'].rsplit('::', 1)[-1]}" for operation in open_)
    left = f" Look for their leftovers in the cloud, then `pulumi refresh --stack {stack}`: {names}." if open_ else ""
    if over:
        document["deployment"]["pending_operations"] = open_
        imported = subprocess.run(
            [*command, "import", "--stack", stack],
            input=json.dumps(document),
            capture_output=True,
            text=True,
            check=False,
        )
        if imported.returncode != 0:
            return f"The pending operations of stack {stack} stay: {imported.stderr.strip()}"
    return f"Removed {len(over)} pending operations of a killed update, which are over.{left}"
