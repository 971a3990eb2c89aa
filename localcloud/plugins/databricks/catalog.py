"""Unity Catalog: what a metastore holds, and who may use it.

Paths: databricks-sdk, databricks/sdk/service/catalog.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.names import camel
from localcloud.plugins.databricks.resource import Resource
from localcloud.plugins.serving import PluginError
from localcloud.plugins.values import Plain

_ROOT = "/api/2.1/unity-catalog"


class Securable(Resource):
    """An object with a name below a collection; `parents` are the inputs that come before it in its full name."""

    only_here = ("forceDestroy", "isolationMode", "owner")

    def __init__(self, collection: str, *parents: str, own_id: str = "", replaces: tuple[str, ...] = ()) -> None:
        self._collection, self._parents, self._own_id = collection, parents, own_id
        self.replaces = ("name", "metastoreId", *parents, *replaces)
        self.required = ("name", *parents)

    def create(self, api: Api, inputs: Plain) -> str:
        api.call("POST", f"{_ROOT}/{self._collection}", body=self.body(inputs))
        id_ = ".".join(str(inputs[part]) for part in (*self._parents, "name"))
        if any(inputs.get(name) for name in ("isolationMode", "owner")):
            self.update(api, id_, inputs)
        return id_

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", self._path(id_))
        if found is None:
            return None
        state: Plain = camel(found)
        if self._own_id:
            state[self._own_id] = found.get("id") or found.get(f"{self._collection.rstrip('s')}_id")
        return state

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        fixed = {"name", "skipValidation", *self.replaces}
        changed: Plain = {key: value for key, value in inputs.items() if key not in fixed}
        sent = self.body(changed)
        for name, own in (("isolationMode", "isolation_mode"), ("owner", "owner")):
            if inputs.get(name):
                sent[own] = inputs[name]
        api.call("PATCH", self._path(id_), body=sent)

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        query = {"force": "true"} if state.get("forceDestroy") else {}
        api.find("DELETE", self._path(id_), query=query)

    def _path(self, id_: str) -> str:
        return f"{_ROOT}/{self._collection}/{quote(id_)}"


class Catalog(Securable):
    def create(self, api: Api, inputs: Plain) -> str:
        """The schema `default` that every new catalog has goes, as with the vendor's provider."""
        id_ = super().create(api, inputs)
        if not any(inputs.get(name) for name in ("shareName", "connectionName")):
            api.call("DELETE", f"{_ROOT}/schemas/{quote(id_)}.default")
        return id_


class Grants(Resource):
    """Authoritative: whoever is not named has no grant on the object itself."""

    required = ("grants",)
    _securables: Mapping[str, str] = {
        "catalog": "catalog", "schema": "schema", "table": "table", "volume": "volume", "function": "function",
        "model": "function", "externalLocation": "external_location", "storageCredential": "storage_credential",
        "credential": "credential", "metastore": "metastore", "share": "share", "recipient": "recipient",
        "foreignConnection": "connection", "pipeline": "pipeline",
    }  # fmt: skip
    replaces = tuple(_securables)

    def create(self, api: Api, inputs: Plain) -> str:
        given = [name for name in self._securables if inputs.get(name)]
        if len(given) != 1:
            raise PluginError(
                f"grants need exactly one of {', '.join(self._securables)}, and were given {given or 'none'}"
            )
        id_ = f"{self._securables[given[0]]}/{inputs[given[0]]}"
        self.update(api, id_, inputs)
        return id_

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", self._path(id_))
        assignments = (found or {}).get("privilege_assignments") or []
        grants = [{"principal": one["principal"], "privileges": sorted(one["privileges"])} for one in assignments]
        return {"grants": grants} if grants else None

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        self._set(api, id_, {one["principal"]: set(one["privileges"]) for one in inputs["grants"]})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        self._set(api, id_, {})

    def _set(self, api: Api, id_: str, wanted: dict[str, set[str]]) -> None:
        current = self.read(api, id_) or {"grants": []}
        there = {one["principal"]: set(one["privileges"]) for one in current["grants"]}
        changes: list[dict[str, Any]] = []
        for principal in sorted({*there, *wanted}):
            has, should = there.get(principal, set()), wanted.get(principal, set())
            if has != should:
                changes.append({"principal": principal, "add": sorted(should - has), "remove": sorted(has - should)})
        if changes:
            api.call("PATCH", self._path(id_), body={"changes": changes})

    @staticmethod
    def _path(id_: str) -> str:
        type_, _, name = id_.partition("/")
        return f"{_ROOT}/permissions/{type_}/{quote(name, safe='')}"
