"""The exchange of a damaged state for an earlier copy, without losing either."""

from __future__ import annotations

import gzip
import json
import subprocess
from datetime import UTC, datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError

from pipelines.state.checkpoints import Checkpoint, StateContainer


class RestoreError(Exception):
    """A state is not restored; the message has the reason and the mend."""


def choose(current: Checkpoint | None, copies: list[Checkpoint], id_: str) -> Checkpoint:
    """Return the copy with an id; `latest` is the newest undamaged one. Raises RestoreError."""
    if id_ == "latest":
        if current is not None and not current.damage:
            raise RestoreError(
                f"The state is readable and has {current.resources} resources: `latest` is for a damaged one. To go "
                "back all the same, name a copy by its id."
            )
        usable = next((copy for copy in copies if not copy.damage), None)
        if usable is None:
            raise RestoreError("No copy is usable: import the resources into a new stack (pulumi import).")
        return usable
    chosen = next((copy for copy in copies if copy.id == id_), None)
    if chosen is None:
        raise RestoreError(f"There is no copy {id_!r}. The ids are: {', '.join(copy.id for copy in copies) or 'none'}.")
    if chosen.damage:
        raise RestoreError(f"Copy {id_} is damaged too: {chosen.damage}.")
    return chosen


def restore(container: StateContainer, chosen: Checkpoint, current: Checkpoint | None, etag: str) -> str:
    """Replace the state by a copy. Return the name of the blob with the replaced state, empty if there was none.

    The replaced state is saved first. Raises RestoreError when an engine holds the stack's lock, or when the state has
    changed since it was read.
    """
    if locks := container.locks():
        raise RestoreError(
            f"Stack {container.stack} is locked by {len(locks)} update(s): wait for them, or `pulumi cancel` if they "
            f"are dead. {', '.join(locks)}"
        )
    kept = ""
    if current is not None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        kept = f".pulumi/replaced/{container.project}/{container.stack}/{container.stack}.{stamp}.json"
        container.client.upload_blob(kept, current.content)
    name = container.state_name()
    content = chosen.content
    if compressed := content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    if name.endswith(".gz"):
        content = chosen.content if compressed else gzip.compress(content)
    unchanged: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
    try:
        container.client.upload_blob(name, content, overwrite=bool(etag), **unchanged)
    except (ResourceModifiedError, ResourceExistsError) as error:
        raise RestoreError("The state has changed since it was read: nothing was restored.") from error
    return kept


def check(stack: str, resources: int) -> None:
    """Let the engine read the restored state. Raises RestoreError when it finds another number of resources."""
    command = ["pulumi", "stack", "export", "--stack", stack, "--non-interactive"]
    exported = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if exported.returncode != 0:
        raise RestoreError(f"The state is restored, but the engine does not read it: {exported.stderr.strip()}")
    count = len(json.loads(exported.stdout)["deployment"].get("resources") or [])
    if count != resources:
        raise RestoreError(f"The state is restored, but the engine reads {count} resources, not {resources}.")
