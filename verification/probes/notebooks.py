"""The Databricks workspace: access to the data, and who may change a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from verification.probe import Answer, Probe, judged, skipped
from verification.target import Target

_CHANGES = {"CAN_EDIT", "CAN_MANAGE"}


def _location(target: Target) -> Answer:
    workspace, out = target.clients.databricks, target.outputs
    root = f"abfss://{out.training_container}@{out.training_account}.dfs.core.windows.net"
    locations = [one for one in workspace.external_locations.list() if str(one.url).rstrip("/") == root]
    if not locations:
        return judged(f"no external location at {root}", holds=False)
    (location,) = locations
    checks = workspace.storage_credentials.validate(external_location_name=location.name).results or []
    failed = [f"{one.operation}: {one.message}" for one in checks if _text(one.result) == "FAIL"]
    grants = workspace.grants.get("external_location", str(location.name), principal=out.identity_client_id)
    privileges = {
        _text(privilege)
        for assignment in grants.privilege_assignments or []
        for privilege in assignment.privileges or []
    }
    granted = ", ".join(sorted(privileges)) or "nothing"
    text = f"validated with {len(failed)} failures; the pipeline's identity has {granted}"
    return judged(
        f"{text} {'; '.join(failed)}".strip(), holds=not failed and {"READ_FILES", "WRITE_FILES"} <= privileges
    )


def _shared(target: Target) -> Answer:
    users = sorted(_levels(target, "/Shared", "users"))
    return judged(f"group users: {', '.join(users) or 'nothing'}", holds="CAN_MANAGE" in users)


def _folder(target: Target) -> Answer:
    folder = target.outputs.notebook_folder
    users = sorted(_levels(target, folder, "users"))
    pipeline = sorted(_levels(target, folder, target.outputs.identity_client_id))
    text = f"{folder}: group users {', '.join(users) or 'nothing'}; the pipeline's identity {', '.join(pipeline)}"
    return judged(text, holds=not _CHANGES & {*users, *pipeline})


def _levels(target: Target, path: str, principal: str) -> Iterator[str]:
    """Permission levels that a group or service principal has on a folder, inherited ones included."""
    workspace: Any = target.clients.databricks
    status = workspace.workspace.get_status(path)
    permissions = workspace.permissions.get("directories", str(status.object_id))
    for entry in permissions.access_control_list or []:
        if principal in {entry.group_name, entry.service_principal_name}:
            yield from (_text(one.permission_level) for one in entry.all_permissions or [])


def _text(value: Any) -> str:
    return str(getattr(value, "value", value)).replace(" ", "_")


def _runtime(target: Target) -> Answer:
    versions = {one.key: one.name for one in target.clients.databricks.clusters.spark_versions().versions or []}
    if not versions:
        return skipped("the workspace lists no runtimes")
    key = target.outputs.spark_version
    return judged(f"{key}: {versions.get(key, 'not offered')}", holds=key in versions)


PROBES = (
    Probe(
        name="external-location",
        believed="the training container is an external location that reads and writes, and the pipeline may do both",
        basis="learn.microsoft.com/azure/databricks/connect/unity-catalog/cloud-storage/external-locations",
        ask=_location,
    ),
    Probe(
        name="shared-folder",
        believed="every user of the workspace has CAN_MANAGE on /Shared",
        basis="learn.microsoft.com/azure/databricks/security/auth/access-control/workspace-acl",
        ask=_shared,
    ),
    Probe(
        name="notebook-folder",
        believed="neither users nor the pipeline's identity can change a published notebook",
        basis="docs/adr/0020; workspace-acl, as above",
        ask=_folder,
    ),
    Probe(
        name="runtime-key",
        believed="the workspace offers the pinned runtime under its key",
        basis="learn.microsoft.com/azure/databricks/release-notes/runtime",
        ask=_runtime,
    ),
)
