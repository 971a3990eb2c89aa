"""Store of ARM's resources: a row for each in SQLite, selected by id, type, scope or parent."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from localcloud.arm import ids
from localcloud.arm.globally_unique_names import NamesElsewhere
from localcloud.arm.registrations import Registrations
from localcloud.core.database import Database
from localcloud.core.resource import Resource

Resources = list[Resource]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS arm_resources (
    id_key TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    type_key TEXT NOT NULL,
    parent_key TEXT NOT NULL,
    name_key TEXT NOT NULL,
    body TEXT NOT NULL,
    private TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS arm_resources_type ON arm_resources (type_key, name_key);
CREATE INDEX IF NOT EXISTS arm_resources_parent ON arm_resources (parent_key);
"""


class ResourceStore:
    """Store whose methods take ids in any letter case. A returned Resource is a copy: `put` stores changes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.changes: Counter[str] = Counter()
        """Number of changes by this process to resources of a type (in lower case): for caches of a type."""
        database.script(_SCHEMA)
        self.elsewhere = NamesElsewhere(database)
        self.registrations = Registrations(database)

    def get(self, id_: str) -> Resource | None:
        row = self._database.row("SELECT body, private FROM arm_resources WHERE id_key = ?", (_key(id_),))
        return None if row is None else _resource(row)

    def put(self, resource: Resource) -> None:
        """Create or replace. The id keeps the letter case it was created with."""
        parsed = ids.parse(resource.id)
        if parsed is None:
            raise ValueError(f"{resource.id!r} is not a resource id")
        self.changes[parsed.type.lower()] += 1
        self._database.execute(
            "INSERT INTO arm_resources (id_key, id, type_key, parent_key, name_key, body, private)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id_key) DO UPDATE SET body = excluded.body, private = excluded.private",
            (
                parsed.key,
                parsed.text,
                parsed.type.lower(),
                _key(parsed.parent),
                parsed.name.lower(),
                json.dumps(resource.to_json()),
                json.dumps(resource.private),
            ),
        )

    def delete(self, id_: str) -> bool:
        """Forget one resource; resources below it stay (see `below`). Return True when it existed."""
        parsed = ids.parse(id_)
        if parsed is not None:
            self.changes[parsed.type.lower()] += 1
        return self._database.execute("DELETE FROM arm_resources WHERE id_key = ?", (_key(id_),)) > 0

    def children(self, id_: str, type_: str | None = None) -> Resources:
        """List the resources directly in `id_`, of the full type `type_` if it is set, by name."""
        if type_ is None:
            rows = self._database.query(
                "SELECT body, private FROM arm_resources WHERE parent_key = ? ORDER BY id_key", (_key(id_),)
            )
        else:
            rows = self._database.query(
                "SELECT body, private FROM arm_resources WHERE parent_key = ? AND type_key = ? ORDER BY id_key",
                (_key(id_), type_.lower()),
            )
        return [_resource(row) for row in rows]

    def list(self, type_: str | None = None, scope: str = "") -> Resources:
        """Everything of a full type (any when None) anywhere below `scope` (an id; empty for everywhere)."""
        clauses, values = ["1"], []
        if type_ is not None:
            clauses.append("type_key = ?")
            values.append(type_.lower())
        if scope.strip("/"):
            # '0' follows '/' in ASCII: the range is exactly the ids that start with scope + '/'.
            clauses.append("id_key > ? AND id_key < ?")
            values += [_key(scope) + "/", _key(scope) + "0"]
        sql = f"SELECT body, private FROM arm_resources WHERE {' AND '.join(clauses)} ORDER BY id_key"  # noqa: S608
        return [_resource(row) for row in self._database.query(sql, values)]

    def below(self, id_: str) -> Resources:
        """All descendants and extensions of `id_`, deepest first: the order in which to delete them."""
        return sorted(self.list(scope=id_), key=lambda resource: resource.id.count("/"), reverse=True)

    def named(self, type_: str, name: str) -> Resource | None:
        """Return the resource of a globally unique name (storage account, vault, registry) in any resource group."""
        row = self._database.row(
            "SELECT body, private FROM arm_resources WHERE type_key = ? AND name_key = ?", (type_.lower(), name.lower())
        )
        return None if row is None else _resource(row)

    def is_taken(self, type_: str, name: str) -> bool:
        """Whether any subscription has a resource of a globally unique name."""
        return self.named(type_, name) is not None or self.elsewhere.has(type_, name)


def _key(id_: str) -> str:
    return "/" + id_.strip("/").lower()


def _resource(row: Any) -> Resource:
    return Resource.adopt(json.loads(row["body"]), json.loads(row["private"]))
