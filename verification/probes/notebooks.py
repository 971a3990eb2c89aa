"""The Databricks workspace: access to the data, and the right to change a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops.pipeline import ENGINEERED
from verification.probe import Answer, Probe, judged, skipped
from verification.target import Target

_CHANGES = {"CAN_EDIT", "CAN_MANAGE"}
_PRIVILEGES = {"data": {"READ_FILES"}, ENGINEERED: {"READ_FILES", "WRITE_FILES"}}
"""Folders of the training container that notebooks use, with the privileges of the pipeline's identity."""


def _locations(target: Target) -> Answer:
    workspace, out = target.clients.databricks, target.outputs
    root = f"abfss://{out.training_container}@{out.training_account}.dfs.core.windows.net"
    by_url = {str(location.url).rstrip("/"): location for location in workspace.external_locations.list()}
    addresses, holds = [], True
    for folder, expected in _PRIVILEGES.items():
        location = by_url.get(f"{root}/{folder}")
        if location is None:
            return judged(f"no external location at {root}/{folder}", holds=False)
        tried = workspace.storage_credentials.validate(
            external_location_name=location.name, storage_credential_name=location.credential_name
        )
        checks = tried.results or []
        failed = [f"{check.operation}: {check.message}" for check in checks if _text(check.result) == "FAIL"]
        grants = workspace.grants.get("external_location", str(location.name), principal=out.identity_client_id)
        privileges = {
            _text(privilege)
            for assignment in grants.privilege_assignments or []
            for privilege in assignment.privileges or []
        }
        holds = holds and not failed and privileges == expected
        granted = ", ".join(sorted(privileges)) or "nothing"
        addresses.append(
            f"{folder}/ validated with {len(failed)} failures, granted {granted} {'; '.join(failed)}".strip()
        )
    return judged("; ".join(addresses), holds=holds)


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
            yield from (_text(permission.permission_level) for permission in entry.all_permissions or [])


def _text(value: Any) -> str:
    return str(getattr(value, "value", value)).replace(" ", "_")


def _runtime(target: Target) -> Answer:
    versions = {
        version.key: version.name for version in target.clients.databricks.clusters.spark_versions().versions or []
    }
    if not versions:
        return skipped("the workspace lists no runtimes")
    key = target.outputs.spark_version
    return judged(f"{key}: {versions.get(key, 'not offered')}", holds=key in versions)


PROBES = (
    Probe(
        name="external-location",
        believed="external locations are made at folders without files; the pipeline reads data/, writes engineered/",
        basis="learn.microsoft.com/azure/databricks/connect/unity-catalog/cloud-storage/external-locations",
        ask=_locations,
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
