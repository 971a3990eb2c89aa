"""Unity Catalog: objects of a metastore, and grants on them.

Paths: databricks-sdk, databricks/sdk/service/catalog.py. Order of calls: the Terraform provider's catalog/*.go, from
which the vendor's plugin is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from localcloud.plugins import refreshing
from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.names import camel
from localcloud.plugins.databricks.resource import Resource
from localcloud.plugins.errors import PluginError
from localcloud.plugins.values import Plain, has_unknown

_ROOT = "/api/2.1/unity-catalog"
_ISOLATED = ("ISOLATED", "ISOLATION_MODE_ISOLATED")


class Securable(Resource):
    """An object with a name below a collection; `parents` are the inputs that come before it in its full name."""

    unsent = (
        "forceDestroy",
        "forceUpdate",
        "isolationMode",
        "owner",
        "metastoreId",
        "enablePredictiveOptimization",
    )
    _later: Mapping[str, str] = {
        "isolationMode": "isolation_mode", "owner": "owner",
        "enablePredictiveOptimization": "enable_predictive_optimization",
    }  # fmt: skip
    """Inputs that only an update can set."""
    _inputs = (
        "name", "comment", "owner", "isolationMode", "azureManagedIdentity", "readOnly", "url", "credentialName",
        "fallback", "catalogName", "schemaName", "storageRoot", "volumeType", "properties",
    )  # fmt: skip

    def __init__(self, collection: str, *parents: str, own_id: str = "", replaces: tuple[str, ...] = ()) -> None:
        self._collection, self._parents, self._own_id = collection, parents, own_id
        self._type = collection.removesuffix("s").replace("-", "_")
        self.replaces = ("name", "metastoreId", *parents, *replaces)
        self.required = ("name", *parents)

    def existing(self, api: Api, inputs: Plain) -> str | None:
        id_ = ".".join(str(inputs[part]) for part in (*self._parents, "name"))
        current = api.find("GET", self._path(id_))
        return None if current is None else self._id(current)

    def create(self, api: Api, inputs: Plain) -> str:
        self._check_metastore(api, inputs)
        id_ = self._id(api.call("POST", f"{_ROOT}/{self._collection}", body=self.body(inputs)))
        self.finish(api, id_, inputs)
        return id_

    def finish(self, api: Api, id_: str, inputs: Plain) -> None:
        self._created(api, id_, inputs)
        if any(inputs.get(name) for name in self._later):
            self.update(api, id_, inputs)

    def begun(self, api: Api, inputs: Plain, state: Plain) -> bool:
        caller = api.call("GET", "/api/2.0/preview/scim/v2/Me")["userName"]
        if not caller == state.get("createdBy") == state.get("owner"):
            return False
        first = {key: value for key, value in inputs.items() if key not in self._later}
        return state.get("isolationMode") not in _ISOLATED and refreshing.as_shown(first, state)

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", self._path(id_))
        if current is None:
            return None
        state: Plain = camel(current)
        if self._own_id:
            state[self._own_id] = current.get("id") or current.get(f"{self._type}_id")
        return state

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        """Remove a comment that the inputs no longer have."""
        self._check_metastore(api, inputs)
        fixed = {"name", *self.replaces}
        sent = {"comment": "", **self.body({key: value for key, value in inputs.items() if key not in fixed})}
        sent |= {own: inputs[name] for name, own in self._later.items() if inputs.get(name)}
        if inputs.get("forceUpdate"):
            sent["force"] = True
        self._bind(api, id_, inputs)
        api.call("PATCH", self._path(id_), body=sent)

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        self._bind(api, id_, state)
        query = {"force": "true"} if state.get("forceDestroy") else {}
        api.find("DELETE", self._path(id_), query=query)

    def imported(self, state: Plain) -> Plain:
        inputs = {key: state[key] for key in self._inputs if state.get(key) not in (None, False)}
        if isinstance(identity := inputs.get("azureManagedIdentity"), dict):
            inputs["azureManagedIdentity"] = {key: value for key, value in identity.items() if key != "credentialId"}
        if state.get("volumeType") == "EXTERNAL":
            inputs["storageLocation"] = state["storageLocation"]
        return inputs

    def _created(self, api: Api, id_: str, inputs: Plain) -> None:
        """Set the inputs that the creation does not accept, before anything else."""

    def _bind(self, api: Api, id_: str, inputs: Plain) -> None:
        """Bind an isolated object to the workspace that declares it, first, so that it is never closed to that."""
        if inputs.get("isolationMode") not in _ISOLATED:
            return
        current = api.find("GET", f"{_ROOT}/current-metastore-assignment")
        if current is not None:
            add = [{"workspace_id": current["workspace_id"], "binding_type": "BINDING_TYPE_READ_WRITE"}]
            api.find("PATCH", f"{_ROOT}/bindings/{self._type}/{quote(id_)}", body={"add": add})

    def _check_metastore(self, api: Api, inputs: Plain) -> None:
        metastore = inputs.get("metastoreId")
        if metastore:
            current = api.call("GET", f"{_ROOT}/current-metastore-assignment")["metastore_id"]
            if metastore != current:
                raise PluginError(
                    f"metastoreId is {metastore}, and the workspace is assigned to the metastore {current}"
                )

    @staticmethod
    def _id(securable: Mapping[str, Any]) -> str:
        return str(securable.get("full_name") or securable["name"])

    def _path(self, id_: str) -> str:
        return f"{_ROOT}/{self._collection}/{quote(id_)}"


class Catalog(Securable):
    """databricks:Catalog."""

    def _created(self, api: Api, id_: str, inputs: Plain) -> None:
        """Remove the schema `default` that every new catalog has, as the vendor's provider does."""
        if not any(inputs.get(name) for name in ("shareName", "connectionName")):
            api.find("DELETE", f"{_ROOT}/schemas/{quote(id_)}.default")


class Grants(Resource):
    """Authoritative: unnamed principals have no grant on the object itself.

    An object without grants has no Grants: it reads as gone, and the next update makes it again.
    """

    required = ("grants",)
    _securables: Mapping[str, tuple[str, str]] = {
        name: (own, type_)
        for name, own, type_ in (
            *((securable, securable, securable) for securable in (
                "catalog", "schema", "table", "volume", "function", "credential", "metastore", "share", "recipient",
                "pipeline",
            )),
            ("model", "model", "function"),
            ("externalLocation", "external_location", "external_location"),
            ("storageCredential", "storage_credential", "storage_credential"),
            ("foreignConnection", "foreign_connection", "connection"),
        )
    }  # fmt: skip
    """Input: the prefix of ids, and the name in paths."""
    replaces = tuple(_securables)

    def completed(self, inputs: Plain) -> Plain:
        """Sort the vendor's sets, so that another order is no change."""
        return self.comparable(inputs)

    def comparable(self, inputs: Plain) -> Plain:
        if "grants" not in inputs or has_unknown(inputs["grants"]):
            return inputs
        grants = [
            {**grant, "privileges": sorted({_normal(name) for name in grant["privileges"]})}
            for grant in inputs["grants"]
        ]
        return {**inputs, "grants": sorted(grants, key=lambda grant: str(grant["principal"]))}

    def create(self, api: Api, inputs: Plain) -> str:
        securables = [name for name in self._securables if inputs.get(name)]
        if len(securables) != 1:
            raise PluginError(
                f"grants need exactly one of {', '.join(self._securables)}, and were given {securables or 'none'}"
            )
        id_ = f"{self._securables[securables[0]][0]}/{inputs[securables[0]]}"
        self.update(api, id_, inputs)
        return id_

    def read(self, api: Api, id_: str) -> Plain | None:
        granted = self._granted(api, id_)
        if not granted:
            return None
        own, _, name = id_.partition("/")
        securable = next(key for key, (prefix, _) in self._securables.items() if prefix == own)
        grants = [{"principal": principal, "privileges": sorted(held)} for principal, held in sorted(granted.items())]
        return {"grants": grants, securable: name}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        self._set(api, id_, {grant["principal"]: {*map(_normal, grant["privileges"])} for grant in inputs["grants"]})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        self._set(api, id_, {})

    def _granted(self, api: Api, id_: str) -> dict[str, set[str]]:
        current = api.find("GET", self._path(id_)) or {}
        return {
            assignment["principal"]: set(assignment["privileges"])
            for assignment in current.get("privilege_assignments") or []
        }

    def _set(self, api: Api, id_: str, grants: dict[str, set[str]]) -> None:
        there = self._granted(api, id_)
        changes: list[dict[str, Any]] = []
        for principal in sorted({*there, *grants}):
            has, should = there.get(principal, set()), grants.get(principal, set())
            if has != should:
                changes.append({"principal": principal, "add": sorted(should - has), "remove": sorted(has - should)})
        if changes:
            api.call("PATCH", self._path(id_), body={"changes": changes})

    def _path(self, id_: str) -> str:
        own, _, name = id_.partition("/")
        type_ = next(type_ for prefix, type_ in self._securables.values() if prefix == own)
        return f"{_ROOT}/permissions/{type_}/{quote(name, safe='')}"


def _normal(privilege: Any) -> str:
    return str(privilege).upper().replace(" ", "_")
