"""Registrations of the subscription with resource providers.

A new subscription has the providers that Azure registers by default; every other one is registered by a call, by the
portal or by a template deployment (learn.microsoft.com/azure/azure-resource-manager/management/
resource-providers-and-types). Registration takes LOCALCLOUD_REGISTRATION_SECONDS, 0 by default: until then the state
is Registering, in which Azure creates resources already (same page: "shouldn't block the creation of resources").
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from localcloud.core.database import Database
from localcloud.core.errors import ConfigurationError

VARIABLE = "LOCALCLOUD_RESOURCE_PROVIDERS"
_SECONDS_VARIABLE = "LOCALCLOUD_REGISTRATION_SECONDS"
REGISTERED_BY_DEFAULT = (
    "Microsoft.ADHybridHealthService", "Microsoft.Authorization", "Microsoft.Billing", "Microsoft.ClassicSubscription",
    "Microsoft.Commerce", "Microsoft.Consumption", "Microsoft.CostManagement", "Microsoft.Features",
    "Microsoft.MarketplaceOrdering", "Microsoft.Portal", "Microsoft.ResourceGraph", "Microsoft.Resources",
    "Microsoft.SerialConsole", "microsoft.support", "Microsoft.WorkloadMonitor",
)  # fmt: skip
"""Source: learn.microsoft.com/azure/azure-resource-manager/management/azure-services-resource-providers, footnote 1.
They cannot be unregistered (azure.github.io/Azure-Landing-Zones/faq/resource-providers)."""

_DEFAULT_KEYS = frozenset(name.lower() for name in REGISTERED_BY_DEFAULT)
_NAMESPACE = re.compile(r"[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)+")
_SCHEMA = """
CREATE TABLE arm_registrations (
    namespace_key TEXT PRIMARY KEY,
    namespace TEXT NOT NULL,
    registered INTEGER NOT NULL,
    changed REAL NOT NULL
) WITHOUT ROWID
"""


class Registrations:
    """Namespaces compare case-insensitively and are shown in their first spelling.

    Raises ConfigurationError when LOCALCLOUD_REGISTRATION_SECONDS is no number of seconds.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seconds = _seconds()
        with database.transaction():
            if not _has_table(database, "arm_registrations"):
                database.execute(_SCHEMA)
                self.register(_namespaces_in_use(database))

    def register(self, namespaces: Iterable[str]) -> None:
        """Register the missing namespaces; a registered namespace keeps its state."""
        for namespace in namespaces:
            if not self.is_registered(namespace):
                self._set(namespace, registered=True)

    def unregister(self, namespace: str) -> None:
        """Unregister registered namespaces; every other namespace keeps its state."""
        if self.is_registered(namespace):
            self._set(namespace, registered=False)

    def is_registered(self, namespace: str) -> bool:
        """Whether resources of the namespace may be made: from the moment at which its registration began."""
        return self.state(namespace) in {"Registered", "Registering"}

    def state(self, namespace: str) -> str:
        """Return NotRegistered, Registering, Registered, Unregistering or Unregistered."""
        if namespace.lower() in _DEFAULT_KEYS:
            return "Registered"
        row = self._database.row("SELECT * FROM arm_registrations WHERE namespace_key = ?", (namespace.lower(),))
        if row is None:
            return "NotRegistered"
        effective = time.time() - row["changed"] >= self._seconds
        if row["registered"]:
            return "Registered" if effective else "Registering"
        return "Unregistered" if effective else "Unregistering"

    def all(self) -> list[str]:
        """Return every namespace that was ever registered, Azure's default list included."""
        rows = self._database.query("SELECT namespace FROM arm_registrations ORDER BY namespace_key")
        return [*REGISTERED_BY_DEFAULT, *(str(row["namespace"]) for row in rows)]

    def _set(self, namespace: str, *, registered: bool) -> None:
        self._database.execute(
            "INSERT INTO arm_registrations VALUES (?, ?, ?, ?) ON CONFLICT (namespace_key) DO UPDATE SET"
            " registered = excluded.registered, changed = excluded.changed",
            (namespace.lower(), namespace, int(registered), time.time()),
        )


def is_default(namespace: str) -> bool:
    """Return whether Azure registers the namespace by itself."""
    return namespace.lower() in _DEFAULT_KEYS


def is_namespace(text: str) -> bool:
    """Return whether `text` can be a resource provider's namespace, known or not."""
    return _NAMESPACE.fullmatch(text) is not None


def parse(text: str) -> Sequence[str]:
    """Split namespaces that are separated by commas. Raises ConfigurationError for a text that is none."""
    namespaces = [part.strip() for part in text.split(",") if part.strip()]
    wrong = [namespace for namespace in namespaces if not is_namespace(namespace)]
    if wrong:
        raise ConfigurationError(
            f"{', '.join(wrong)} is not a resource provider: give namespaces separated by commas, such as "
            "Microsoft.Storage,Microsoft.KeyVault."
        )
    return namespaces


def from_environment() -> Sequence[str]:
    """Return the namespaces of LOCALCLOUD_RESOURCE_PROVIDERS. Raises ConfigurationError for a text that is none."""
    return parse(os.environ.get(VARIABLE, ""))


def _seconds() -> float:
    text = os.environ.get(_SECONDS_VARIABLE) or "0"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(f"{_SECONDS_VARIABLE} is {text!r}: give a number of seconds, such as 2.")
    return seconds


def _has_table(database: Database, name: str) -> bool:
    return database.row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)) is not None


def _namespaces_in_use(database: Database) -> list[str]:
    """Return the namespaces of existing resources: a home of an earlier localcloud stays usable."""
    if not _has_table(database, "arm_resources"):
        return []
    rows: list[Any] = database.query("SELECT body FROM arm_resources GROUP BY type_key")
    return sorted({str(json.loads(row["body"])["type"]).split("/", 1)[0] for row in rows})


def ensure(path: Path, namespaces: Sequence[str]) -> None:
    """Register namespaces in the database of a localcloud, whether it runs or not. Does nothing without namespaces."""
    if not namespaces:
        return
    database = Database(path)
    try:
        Registrations(database).register(namespaces)
    finally:
        database.close()
