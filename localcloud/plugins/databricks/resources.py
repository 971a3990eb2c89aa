"""Each resource type's requests. Inputs and states are camelCase; ids are those of the vendor's provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.names import camel, snake
from localcloud.plugins.serving import PluginError
from localcloud.plugins.values import Plain


class Resource:
    """`replaces`: inputs whose change needs a new resource. `only_here`: inputs that the service is not sent."""

    replaces: tuple[str, ...] = ()
    only_here: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    def create(self, api: Api, inputs: Plain) -> str:
        raise NotImplementedError

    def read(self, api: Api, id_: str) -> Plain | None:
        raise NotImplementedError

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        raise PluginError("this resource cannot be updated in place")

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        raise NotImplementedError

    def imported(self, state: Plain) -> Plain:
        """The inputs of a resource that the program did not make."""
        return dict(state)

    def body(self, inputs: Plain) -> Plain:
        sent: Plain = snake({key: value for key, value in inputs.items() if key not in self.only_here})
        return sent


class InstancePool(Resource):
    replaces = ("nodeTypeId", "azureAttributes", "diskSpec", "preloadedSparkVersions", "enableElasticDisk")
    required = ("instancePoolName", "idleInstanceAutoterminationMinutes")

    def create(self, api: Api, inputs: Plain) -> str:
        answer = api.call("POST", "/api/2.0/instance-pools/create", body=self.body(inputs))
        return str(answer["instance_pool_id"])

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", "/api/2.0/instance-pools/get", query={"instance_pool_id": id_})
        return None if found is None else camel(found)

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        api.call("POST", "/api/2.0/instance-pools/edit", body=self.body(inputs) | {"instance_pool_id": id_})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/instance-pools/delete", body={"instance_pool_id": id_})


class ClusterPolicy(Resource):
    def create(self, api: Api, inputs: Plain) -> str:
        return str(api.call("POST", "/api/2.0/policies/clusters/create", body=self.body(inputs))["policy_id"])

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", "/api/2.0/policies/clusters/get", query={"policy_id": id_})
        return None if found is None else camel(found)

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        api.call("POST", "/api/2.0/policies/clusters/edit", body=self.body(inputs) | {"policy_id": id_})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/policies/clusters/delete", body={"policy_id": id_})


_ENTITLEMENTS = {
    "allowClusterCreate": "allow-cluster-create", "allowInstancePoolCreate": "allow-instance-pool-create",
    "workspaceAccess": "workspace-access", "databricksSqlAccess": "databricks-sql-access",
}  # fmt: skip


class ServicePrincipal(Resource):
    replaces = ("applicationId",)
    _path = "/api/2.0/preview/scim/v2/ServicePrincipals"

    def create(self, api: Api, inputs: Plain) -> str:
        """With `force`, one that is there already is taken over, as the vendor's provider does."""
        if inputs.get("force") and (application := inputs.get("applicationId")):
            known = api.call("GET", self._path, query={"filter": f'applicationId eq "{application}"'})
            for one in known.get("Resources") or []:
                self.update(api, str(one["id"]), inputs)
                return str(one["id"])
        return str(api.call("POST", self._path, body=self._scim(inputs))["id"])

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", f"{self._path}/{id_}")
        if found is None:
            return None
        given = {entry["value"] for entry in found.get("entitlements") or []}
        state: Plain = {name: value in given for name, value in _ENTITLEMENTS.items()}
        for name in ("applicationId", "displayName", "active", "externalId"):
            state[name] = found.get(name)
        return state | {"aclPrincipalId": f"servicePrincipals/{found.get('applicationId')}"}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        api.call("PUT", f"{self._path}/{id_}", body=self._scim(inputs))

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("DELETE", f"{self._path}/{id_}")

    def imported(self, state: Plain) -> Plain:
        return {key: value for key, value in state.items() if key != "aclPrincipalId" and value not in (None, False)}

    @staticmethod
    def _scim(inputs: Plain) -> Plain:
        body: Plain = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"],
            "entitlements": [{"value": value} for name, value in _ENTITLEMENTS.items() if inputs.get(name)],
            "active": inputs.get("active", True),
        }
        for name in ("applicationId", "displayName", "externalId"):
            if inputs.get(name) is not None:
                body[name] = inputs[name]
        return body


class Permissions(Resource):
    """Authoritative: the object's whole access control list, of which the caller's own right is left out."""

    required = ("accessControls",)
    _objects: ClassVar = {
        "instancePoolId": "instance-pools", "clusterPolicyId": "cluster-policies", "jobId": "jobs",
        "notebookId": "notebooks", "directoryId": "directories",
    }  # fmt: skip
    _paths: ClassVar = {"notebookPath": "notebooks", "directoryPath": "directories", "workspaceFilePath": "files"}
    replaces = (*_objects, *_paths)

    def create(self, api: Api, inputs: Plain) -> str:
        id_ = self._object(api, inputs)
        self.update(api, id_, inputs)
        return id_

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", f"/api/2.0/permissions{id_}")
        if found is None:
            return None
        own = api.call("GET", "/api/2.0/preview/scim/v2/Me")
        controls = []
        for entry in found.get("access_control_list") or []:
            levels = [one for one in entry.get("all_permissions") or [] if not one.get("inherited")]
            names = {key: value for key, value in entry.items() if key.endswith("_name") and key != "display_name"}
            mine = {own.get("userName"), own.get("applicationId")} & set(names.values())
            if levels and not mine and names != {"group_name": "admins"}:
                controls.append(camel(names | {"permission_level": levels[0]["permission_level"]}))
        return {"accessControls": controls, "objectType": found.get("object_type")}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        controls = [snake(one) for one in inputs["accessControls"]]
        api.call("PUT", f"/api/2.0/permissions{id_}", body={"access_control_list": controls})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("PUT", f"/api/2.0/permissions{id_}", body={"access_control_list": []})

    def imported(self, state: Plain) -> Plain:
        return {"accessControls": state["accessControls"]}

    def _object(self, api: Api, inputs: Plain) -> str:
        for name, kind in self._objects.items():
            if inputs.get(name):
                return f"/{kind}/{inputs[name]}"
        for name, kind in self._paths.items():
            if inputs.get(name):
                status = api.call("GET", "/api/2.0/workspace/get-status", query={"path": inputs[name]})
                return f"/{kind}/{status['object_id']}"
        raise PluginError(f"permissions need one of {', '.join((*self._objects, *self._paths))}")


class Directory(Resource):
    replaces = ("path",)
    required = ("path",)

    def create(self, api: Api, inputs: Plain) -> str:
        api.call("POST", "/api/2.0/workspace/mkdirs", body={"path": inputs["path"]})
        return str(inputs["path"])

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", "/api/2.0/workspace/get-status", query={"path": id_})
        if found is None or found.get("object_type") != "DIRECTORY":
            return None
        return {"path": id_, "objectId": found["object_id"], "workspacePath": f"/Workspace{id_}"}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        """deleteRecursive is the only other input: it is a mark in state."""

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        body = {"path": id_, "recursive": bool(state.get("deleteRecursive"))}
        api.find("POST", "/api/2.0/workspace/delete", body=body)

    def imported(self, state: Plain) -> Plain:
        return {"path": state["path"]}


class Notebook(Resource):
    replaces = ("path",)
    required = ("path",)
    only_here = ("path",)

    def create(self, api: Api, inputs: Plain) -> str:
        parent = str(inputs["path"]).rsplit("/", 1)[0]
        if parent:
            api.call("POST", "/api/2.0/workspace/mkdirs", body={"path": parent})
        self.update(api, str(inputs["path"]), inputs)
        return str(inputs["path"])

    def read(self, api: Api, id_: str) -> Plain | None:
        found = api.find("GET", "/api/2.0/workspace/get-status", query={"path": id_})
        if found is None or found.get("object_type") != "NOTEBOOK":
            return None
        return {"path": id_, "language": found.get("language"), "objectId": found["object_id"],
                "objectType": "NOTEBOOK", "workspacePath": f"/Workspace{id_}"}  # fmt: skip

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        body = {"path": id_, "content": _content(inputs), "language": inputs.get("language", "PYTHON"),
                "format": inputs.get("format", "SOURCE"), "overwrite": True}  # fmt: skip
        api.call("POST", "/api/2.0/workspace/import", body=body)

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/workspace/delete", body={"path": id_})

    def imported(self, state: Plain) -> Plain:
        return {"path": state["path"], "language": state["language"]}


def _content(inputs: Plain) -> str:
    """Base64. Raises PluginError without a readable source."""
    import base64
    from pathlib import Path

    if inputs.get("contentBase64"):
        return str(inputs["contentBase64"])
    try:
        return base64.b64encode(Path(str(inputs.get("source"))).read_bytes()).decode()
    except OSError as error:
        raise PluginError(f"source '{inputs.get('source')}' cannot be read: {error.strerror}") from error


class SecretScope(Resource):
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
        found = next((one for one in scopes if one["name"] == id_), None)
        return None if found is None else {"name": id_, "backendType": found.get("backend_type")}

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/secrets/scopes/delete", body={"scope": id_})

    def imported(self, state: Plain) -> Plain:
        return {"name": state["name"]}


class SecretAcl(Resource):
    replaces = ("scope", "principal", "permission")
    required = ("scope", "principal", "permission")

    def create(self, api: Api, inputs: Plain) -> str:
        api.call("POST", "/api/2.0/secrets/acls/put", body=self.body(inputs))
        return f"{inputs['scope']}|||{inputs['principal']}"

    def read(self, api: Api, id_: str) -> Plain | None:
        scope, principal = id_.split("|||")
        found = api.find("GET", "/api/2.0/secrets/acls/get", query={"scope": scope, "principal": principal})
        return None if found is None else {"scope": scope, "principal": principal, "permission": found["permission"]}

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        scope, principal = id_.split("|||")
        api.find("POST", "/api/2.0/secrets/acls/delete", body={"scope": scope, "principal": principal})


RESOURCES: Mapping[str, Resource] = {
    "databricks:index/instancePool:InstancePool": InstancePool(),
    "databricks:index/clusterPolicy:ClusterPolicy": ClusterPolicy(),
    "databricks:index/servicePrincipal:ServicePrincipal": ServicePrincipal(),
    "databricks:index/permissions:Permissions": Permissions(),
    "databricks:index/directory:Directory": Directory(),
    "databricks:index/notebook:Notebook": Notebook(),
    "databricks:index/secretScope:SecretScope": SecretScope(),
    "databricks:index/secretAcl:SecretAcl": SecretAcl(),
}

_FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "databricks:index/getCurrentUser:getCurrentUser": ("GET", "/api/2.0/preview/scim/v2/Me"),
}


def invoke(api: Api, token: str) -> Plain:
    """Raises PluginError for a function that this provider does not have."""
    if token not in _FUNCTIONS:
        raise PluginError(f"the function '{token}' is not in this provider's table")
    method, path = _FUNCTIONS[token]
    answer: Any = api.call(method, path)
    name = str(answer.get("userName", ""))
    return {
        "id": str(answer.get("id", "")), "userName": name, "home": f"/Users/{name}", "repos": f"/Repos/{name}",
        "alphanumeric": "".join(character if character.isalnum() else "_" for character in name).lower(),
        "externalId": str(answer.get("externalId", "")), "workspaceUrl": "", "aclPrincipalId": "",
    }  # fmt: skip
