"""Databricks state in SQLite: JSON documents by workspace and kind, and the bytes of notebooks and files."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from localcloud.core.database import Database
from localcloud.core.json import Json

_SCHEMA = """
CREATE TABLE IF NOT EXISTS databricks_documents (
    workspace TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (workspace, kind, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS databricks_contents (
    workspace TEXT NOT NULL,
    object_id INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (workspace, object_id)
);
DELETE FROM databricks_documents WHERE kind = 'run' AND json_extract(body, '$.run_page_url') IS NOT NULL;
CREATE TABLE IF NOT EXISTS databricks_sequence (last INTEGER NOT NULL);
INSERT INTO databricks_sequence SELECT 100000000000000 WHERE NOT EXISTS (SELECT 1 FROM databricks_sequence);
"""


def create_schema(database: Database) -> None:
    """Make the tables, and drop runs that an earlier version stored in the form of the Jobs API."""
    database.script(_SCHEMA)


def next_id(database: Database) -> int:
    """Return a number that no object, run or job of any workspace has had before; ids of Databricks have 15 digits."""
    row = database.row("UPDATE databricks_sequence SET last = last + 1 RETURNING last")
    assert row is not None, "the schema inserts the row"
    return int(row["last"])


@dataclass(frozen=True)
class Documents:
    """The documents of one workspace.

    Kinds: object, pool, policy, run, task-run, job, cluster, acl, principal, user, group, scope, secret, secret-acl,
    token; of a region's metastore: uc-*.
    """

    database: Database
    workspace: str

    def get(self, kind: str, key: str) -> Json | None:
        row = self.database.row(
            "SELECT body FROM databricks_documents WHERE workspace = ? AND kind = ? AND key = ?",
            (self.workspace, kind, key),
        )
        return None if row is None else json.loads(row["body"])

    def put(self, kind: str, key: str, body: Json) -> None:
        self.database.execute(
            "INSERT INTO databricks_documents (workspace, kind, key, body) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (workspace, kind, key) DO UPDATE SET body = excluded.body",
            (self.workspace, kind, key, json.dumps(body)),
        )

    def delete(self, kind: str, key: str) -> bool:
        return bool(
            self.database.execute(
                "DELETE FROM databricks_documents WHERE workspace = ? AND kind = ? AND key = ?",
                (self.workspace, kind, key),
            )
        )

    def all(self, kind: str) -> list[Json]:
        """Return all documents of a kind, by key."""
        rows = self.database.query(
            "SELECT body FROM databricks_documents WHERE workspace = ? AND kind = ? ORDER BY key",
            (self.workspace, kind),
        )
        return [json.loads(row["body"]) for row in rows]

    def below(self, kind: str, prefix: str) -> list[Json]:
        """Return the documents whose key begins with `prefix` and a slash."""
        rows = self.database.query(
            # '0' follows '/' in ASCII: this is exactly the range of keys that start with prefix + '/'.
            "SELECT body FROM databricks_documents WHERE workspace = ? AND kind = ? AND key > ? AND key < ?"
            " ORDER BY key",
            (self.workspace, kind, prefix + "/", prefix + "0"),
        )
        return [json.loads(row["body"]) for row in rows]

    def next_id(self) -> int:
        return next_id(self.database)

    def content(self, object_id: int) -> bytes:
        row = self.database.row(
            "SELECT content FROM databricks_contents WHERE workspace = ? AND object_id = ?",
            (self.workspace, object_id),
        )
        return b"" if row is None else bytes(row["content"])

    def put_content(self, object_id: int, content: bytes) -> None:
        self.database.execute(
            "INSERT INTO databricks_contents (workspace, object_id, content) VALUES (?, ?, ?)"
            " ON CONFLICT (workspace, object_id) DO UPDATE SET content = excluded.content",
            (self.workspace, object_id, content),
        )

    def delete_content(self, object_id: int) -> None:
        self.database.execute(
            "DELETE FROM databricks_contents WHERE workspace = ? AND object_id = ?", (self.workspace, object_id)
        )


def forget_workspaces(database: Database, kept: Collection[str]) -> None:
    """Delete the rows of workspaces other than `kept`: they were deleted in ARM."""
    marks = ", ".join("?" * len(kept)) or "''"
    for table in ("databricks_documents", "databricks_contents"):
        database.execute(f"DELETE FROM {table} WHERE workspace NOT IN ({marks})", list(kept))  # noqa: S608


def forget_workspace(database: Database, workspace: str) -> None:
    """Delete the rows of one workspace."""
    for table in ("databricks_documents", "databricks_contents"):
        database.execute(f"DELETE FROM {table} WHERE workspace = ?", (workspace,))  # noqa: S608


def find_everywhere(database: Database, kind: str, key: str) -> tuple[str, Json] | None:
    """Return workspace and body of a document whose key is unique in all workspaces, such as a run's."""
    row = database.row("SELECT workspace, body FROM databricks_documents WHERE kind = ? AND key = ?", (kind, key))
    return None if row is None else (str(row["workspace"]), json.loads(row["body"]))


def workspaces_with(database: Database, kind: str) -> list[str]:
    rows = database.query("SELECT DISTINCT workspace FROM databricks_documents WHERE kind = ?", (kind,))
    return [str(row["workspace"]) for row in rows]
