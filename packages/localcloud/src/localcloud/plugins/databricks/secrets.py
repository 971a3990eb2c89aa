"""Secret scopes, their secrets, and their readers."""

from __future__ import annotations

from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.names import snake
from localcloud.plugins.databricks.resource import Resource
from localcloud.plugins.values import Plain


class SecretScope(Resource):
    """databricks:SecretScope."""

    replaces = ("name", "keyvaultMetadata", "backendType", "initialManagePrincipal")
    required = ("name",)

    def create(self, api: Api, inputs: Plain) -> str:
        body: Plain = {"scope": inputs["name"]}
        if inputs.get("initialManagePrincipal"):
            body["initial_manage_principal"] = inputs["initialManagePrincipal"]
        if inputs.get("keyvaultMetadata"):
            body |= {
                "scope_backend_type": "AZURE_KEYVAULT",
                "backend_azure_keyvault": snake(inputs["keyvaultMetadata"]),
            }
        api.call("POST", "/api/2.0/secrets/scopes/create", body=body)
        return str(inputs["name"])

    def read(self, api: Api, id_: str) -> Plain | None:
        scopes = api.call("GET", "/api/2.0/secrets/scopes/list").get("scopes") or []
        existing = next((scope for scope in scopes if scope["name"] == id_), None)
        return None if existing is None else {"name": id_, "backendType": existing.get("backend_type")}

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/secrets/scopes/delete", body={"scope": id_})

    def imported(self, state: Plain) -> Plain:
        return {"name": state["name"]}


class SecretAcl(Resource):
    """databricks:SecretAcl."""

    replaces = ("scope", "principal", "permission")
    required = ("scope", "principal", "permission")

    def create(self, api: Api, inputs: Plain) -> str:
        api.call("POST", "/api/2.0/secrets/acls/put", body=self.body(inputs))
        return f"{inputs['scope']}|||{inputs['principal']}"

    def read(self, api: Api, id_: str) -> Plain | None:
        scope, principal = id_.split("|||")
        current = api.find("GET", "/api/2.0/secrets/acls/get", query={"scope": scope, "principal": principal})
        return (
            None if current is None else {"scope": scope, "principal": principal, "permission": current["permission"]}
        )

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        scope, principal = id_.split("|||")
        api.find("POST", "/api/2.0/secrets/acls/delete", body={"scope": scope, "principal": principal})


class Secret(Resource):
    """The service never shows the value: a refresh keeps the program's."""

    replaces = ("scope", "key", "stringValue")
    required = ("scope", "key")

    def create(self, api: Api, inputs: Plain) -> str:
        api.call("POST", "/api/2.0/secrets/put", body=self.body(inputs))
        return f"{inputs['scope']}|||{inputs['key']}"

    def read(self, api: Api, id_: str) -> Plain | None:
        scope, key = id_.split("|||")
        listed = api.find("GET", "/api/2.0/secrets/list", query={"scope": scope}) or {}
        for secret in listed.get("secrets") or []:
            if secret["key"] == key:
                return {
                    "scope": scope, "key": key, "lastUpdatedTimestamp": secret.get("last_updated_timestamp"),
                    "configReference": f"{{{{secrets/{scope}/{key}}}}}",
                }  # fmt: skip
        return None

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        scope, key = id_.split("|||")
        api.find("POST", "/api/2.0/secrets/delete", body={"scope": scope, "key": key})

    def imported(self, state: Plain) -> Plain:
        return {"scope": state["scope"], "key": state["key"]}
