"""Addresses of data: datastore URIs, asset references, and the blobs behind them.

azureml://datastores/NAME/paths/PATH                                       short, within a workspace
azureml://subscriptions/S/resourcegroups/G/workspaces/W/datastores/NAME/paths/PATH
azureml:NAME:VERSION, azureml:NAME@latest, azureml:/subscriptions/…        references to assets
https://ACCOUNT.blob.core.windows.net/CONTAINER/PATH, abfss://, wasbs://   storage itself
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from localcloud.azureml.common import NAMESPACE, user_error
from localcloud.core.context import Context
from localcloud.core.resource import Resource

_DATASTORE = re.compile(r"azureml://(?:.*/)?datastores/([^/]+)(?:/paths)?(?:/(.*))?$", re.IGNORECASE)
_JOB = re.compile(r"azureml://jobs/([^/]+)/outputs/([^/]+)(?:/paths/(.*))?$", re.IGNORECASE)
_ABFSS = re.compile(r"(?:abfss?|wasbs?)://([^@]+)@([^.]+)\.(?:dfs|blob)\.core\.windows\.net/?(.*)$", re.IGNORECASE)
_DEFAULT = "workspaceblobstore"


@dataclass(frozen=True)
class BlobPath:
    """A blob or a prefix. `path` has no leading slash; a folder may end in one."""

    account: str
    container: str
    path: str

    @property
    def url(self) -> str:
        return f"https://{self.account}.blob.core.windows.net/{self.container}/{self.path}"


def blob_path(ctx: Context, workspace: Resource, uri: str) -> BlobPath:
    """Return the blob or folder of a URI. Raises ServiceError 400 for any other URI, or an unknown datastore."""
    if match := _JOB.match(uri):
        job, output, rest = match.groups()
        kind = "artifacts" if output == "artifacts" else output
        return _in_datastore(ctx, workspace, *job_location(job, kind, rest or ""), uri)
    if match := _DATASTORE.match(uri):
        return _in_datastore(ctx, workspace, match[1], unquote(match[2] or ""), uri)
    if match := _ABFSS.match(uri):
        return BlobPath(match[2], match[1], unquote(match[3]))
    parts = urlsplit(uri)
    if parts.scheme == "https" and (parts.hostname or "").endswith(".blob.core.windows.net"):
        container, _, path = parts.path.lstrip("/").partition("/")
        return BlobPath(str(parts.hostname).split(".", 1)[0], container, unquote(path))
    raise user_error(
        f"The path '{uri}' is not supported: use azureml://datastores/NAME/paths/PATH, an https:// blob URL or abfss://."
    )


def job_location(job: str, output: str, path: str = "") -> tuple[str, str]:
    """(datastore, path) of a job's output: artifacts have a store of their own."""
    if output == "artifacts":
        return "workspaceartifactstore", f"ExperimentRun/dcid.{job}/{path}"
    return _DEFAULT, f"azureml/{job}/{output}/{path}"


def _in_datastore(ctx: Context, workspace: Resource, name: str, path: str, uri: str) -> BlobPath:
    store = ctx.resources.get(f"{workspace.id}/datastores/{name}")
    if store is None:
        raise user_error(f"The datastore '{name}' of '{uri}' was not found in workspace '{workspace.name}'.")
    properties = store.properties
    container = properties.get("containerName") or properties.get("filesystem")
    if not container:
        raise user_error(f"The datastore '{name}' is of type {properties.get('datastoreType')}: it holds no blobs.")
    return BlobPath(str(properties["accountName"]), str(container), path)


def long_uri(workspace: Resource, datastore: str, path: str) -> str:
    """Return the form that a job sees in `direct` mode."""
    parts = workspace.id.split("/")
    return (
        f"azureml://subscriptions/{parts[2]}/resourcegroups/{parts[4]}/workspaces/{workspace.name}"
        f"/datastores/{datastore}/paths/{path}"
    )


def curated(reference: str) -> bool:
    """Whether a reference names one of Microsoft's own environments, in which no job can run here."""
    text = reference.lower()
    return "registries/azureml/" in text or text.removeprefix("azureml:").startswith("azureml-")


def resolve_asset(ctx: Context, home: Resource, reference: str, kind: str) -> Resource:
    """Return the asset version of `kind` (components, environments, codes, data, models) behind a reference.

    `home` is the workspace or registry of the reference.

    Raises ServiceError 404 for a missing version.
    """
    text = reference.removeprefix("azureml:")
    if text.startswith("//registries/"):
        return _in_registry(ctx, text, reference)
    if text.startswith("/"):
        existing = ctx.resources.get(text)
        if existing is not None:
            return existing
        raise _missing(reference, home)
    name, _, version = text.partition(":")
    if "@" in name:
        name, _, label = name.partition("@")
        version = latest_version(ctx, f"{home.id}/{kind}/{name}", kind) if label == "latest" else ""
    existing = ctx.resources.get(f"{home.id}/{kind}/{name}/versions/{version}") if version else None
    if existing is None:
        raise _missing(reference, home)
    return existing


def _in_registry(ctx: Context, text: str, reference: str) -> Resource:
    parts = text.strip("/").split("/")  # registries/NAME/KIND/ASSET/versions/VERSION
    registry = ctx.resources.named(f"{NAMESPACE}/registries", parts[1])
    existing = None if registry is None else ctx.resources.get(f"{registry.id}/{'/'.join(parts[2:])}")
    if existing is None:
        raise user_error(f"The asset '{reference}' was not found.", 404, "NotFound")
    return existing


def latest_version(ctx: Context, container_id: str, kind: str) -> str:
    """Return the version created last, empty when there is none."""
    parts = container_id.split("/providers/")[1].split("/")
    versions = ctx.resources.children(container_id, f"{parts[0]}/{parts[1]}/{kind}/versions")
    active = [version for version in versions if not version.properties.get("isArchived")]
    newest = max(active, key=lambda version: str((version.system_data or {}).get("createdAt", "")), default=None)
    return "" if newest is None else newest.name


def _missing(reference: str, home: Resource) -> Exception:
    home_kind = "registry" if home.type.endswith("/registries") else "workspace"
    return user_error(f"The asset '{reference}' was not found in {home_kind} '{home.name}'.", 404, "NotFound")
