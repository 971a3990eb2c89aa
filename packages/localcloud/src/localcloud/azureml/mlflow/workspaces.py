"""MLflow's workspaces, one for each Azure ML and each Databricks workspace: none sees another's experiments or runs.

The first Azure ML workspace gets MLflow's "default", which MLflow's client and pages show by default.
"""

from __future__ import annotations

import hashlib
import re

from localcloud.core.database import Database
from localcloud.core.resource import Resource

DEFAULT = "default"
WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"
SCHEMA = """
CREATE TABLE IF NOT EXISTS azureml_mlflow_workspaces (
    name TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL,
    guid TEXT NOT NULL
);
"""
_DATABRICKS = "microsoft.databricks/workspaces"
_RESERVED = frozenset({"default", "workspaces", "api", "ajax-api", "static-files"})


def identity_of(workspace: Resource) -> str:
    """Return the identity that distinguishes a workspace from a deleted one of the same name."""
    identity = str(workspace.properties.get("workspaceId"))
    if workspace.type.lower() == _DATABRICKS:  # its number follows from its name
        return f"{identity}@{workspace.properties.get('createdDateTime', '')}"
    return identity


def workspace_id_of(database: Database, name: str) -> str | None:
    """Return the ARM id behind MLflow's workspace `name`."""
    row = database.row("SELECT workspace_id FROM azureml_mlflow_workspaces WHERE name = ?", (name,))
    return None if row is None else str(row["workspace_id"])


def name_of(database: Database, workspace: Resource) -> str | None:
    """MLflow's workspace of an Azure ML workspace, None before its first use.

    A workspace that was deleted and created again is another one: it has another guid.
    """
    row = database.row("SELECT name FROM azureml_mlflow_workspaces WHERE guid = ?", (identity_of(workspace),))
    return None if row is None else str(row["name"])


def claim(database: Database, workspace: Resource) -> str:
    """Return a workspace's name in MLflow: "default" if it is free, else its own, made unique if needed."""
    guid = identity_of(workspace)
    with database.transaction():
        known = name_of(database, workspace)
        if known is not None:
            return known
        used = {str(row["name"]) for row in database.query("SELECT name FROM azureml_mlflow_workspaces")}
        is_default = DEFAULT not in used and workspace.type.lower() != _DATABRICKS
        name = DEFAULT if is_default else _own(workspace.name, guid, used)
        database.execute("INSERT INTO azureml_mlflow_workspaces VALUES (?, ?, ?)", (name, workspace.id, guid))
    return name


def release(database: Database, name: str) -> None:
    database.execute("DELETE FROM azureml_mlflow_workspaces WHERE name = ?", (name,))


def all_of(database: Database) -> list[tuple[str, str, str]]:
    """(MLflow's name, ARM id, guid) of every mapping."""
    rows = database.query("SELECT name, workspace_id, guid FROM azureml_mlflow_workspaces")
    return [(str(row["name"]), str(row["workspace_id"]), str(row["guid"])) for row in rows]


def _own(name: str, guid: str, used: set[str]) -> str:
    """MLflow accepts 2 to 63 lowercase letters, digits and inner hyphens (mlflow WorkspaceNameValidator)."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if plain in used | _RESERVED or len(plain) < 2:
        return f"{plain}-{hashlib.sha256(guid.encode()).hexdigest()[:8]}"
    return plain
