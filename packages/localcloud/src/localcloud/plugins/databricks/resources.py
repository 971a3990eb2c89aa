"""Requests of each resource type. Inputs and states are camelCase; ids are the vendor's provider's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.catalog import Catalog, Grants, Securable
from localcloud.plugins.databricks.content import Directory, Notebook, WorkspaceFile
from localcloud.plugins.databricks.names import camel, snake
from localcloud.plugins.databricks.resource import Resource
from localcloud.plugins.databricks.secrets import Secret, SecretAcl, SecretScope
from localcloud.plugins.errors import PluginError
from localcloud.plugins.values import Plain


class InstancePool(Resource):
    """databricks:InstancePool."""

    replaces = ("nodeTypeId", "azureAttributes", "diskSpec", "preloadedSparkVersions", "enableElasticDisk")
    required = ("instancePoolName", "idleInstanceAutoterminationMinutes")

    def existing(self, api: Api, inputs: Plain) -> str | None:
        pools = api.call("GET", "/api/2.0/instance-pools/list").get("instance_pools") or []
        name = inputs["instancePoolName"]
        return next((str(pool["instance_pool_id"]) for pool in pools if pool["instance_pool_name"] == name), None)

    def create(self, api: Api, inputs: Plain) -> str:
        answer = api.call("POST", "/api/2.0/instance-pools/create", body=self.body(inputs))
        return str(answer["instance_pool_id"])

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", "/api/2.0/instance-pools/get", query={"instance_pool_id": id_})
        return None if current is None else camel(current)

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        api.call("POST", "/api/2.0/instance-pools/edit", body=self.body(inputs) | {"instance_pool_id": id_})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/instance-pools/delete", body={"instance_pool_id": id_})


class ClusterPolicy(Resource):
    """databricks:ClusterPolicy."""

    def existing(self, api: Api, inputs: Plain) -> str | None:
        policies = api.call("GET", "/api/2.0/policies/clusters/list").get("policies") or []
        return next((str(policy["policy_id"]) for policy in policies if policy["name"] == inputs.get("name")), None)

    def create(self, api: Api, inputs: Plain) -> str:
        return str(api.call("POST", "/api/2.0/policies/clusters/create", body=self.body(inputs))["policy_id"])

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", "/api/2.0/policies/clusters/get", query={"policy_id": id_})
        return None if current is None else camel(current)

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        api.call("POST", "/api/2.0/policies/clusters/edit", body=self.body(inputs) | {"policy_id": id_})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.0/policies/clusters/delete", body={"policy_id": id_})


_ENTITLEMENTS = {
    "allowClusterCreate": "allow-cluster-create", "allowInstancePoolCreate": "allow-instance-pool-create",
    "workspaceAccess": "workspace-access", "databricksSqlAccess": "databricks-sql-access",
    "workspaceConsume": "workspace-consume",
}  # fmt: skip


class ServicePrincipal(Resource):
    """databricks:ServicePrincipal."""

    replaces = ("applicationId",)
    _path = "/api/2.0/preview/scim/v2/ServicePrincipals"

    def existing(self, api: Api, inputs: Plain) -> str | None:
        application = inputs.get("applicationId")
        if not application:
            return None
        known = api.call("GET", self._path, query={"filter": f'applicationId eq "{application}"'})
        return next((str(principal["id"]) for principal in known.get("Resources") or []), None)

    def create(self, api: Api, inputs: Plain) -> str:
        """Create one; `force` adopts an existing one, like the vendor's provider."""
        if inputs.get("force") and (known := self.existing(api, inputs)):
            self.update(api, known, inputs)
            return known
        return str(api.call("POST", self._path, body=self._scim(inputs))["id"])

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", f"{self._path}/{id_}")
        if current is None:
            return None
        entitlements = {entry.get("value") for entry in current.get("entitlements") or []}
        state: Plain = {name: value in entitlements for name, value in _ENTITLEMENTS.items()}
        for name in ("applicationId", "displayName", "active", "externalId"):
            state[name] = current.get(name)
        application = current.get("applicationId")
        return state | {
            "aclPrincipalId": f"servicePrincipals/{application}",
            "home": f"/Users/{application}",
            "repos": f"/Repos/{application}",
        }

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        api.call("PUT", f"{self._path}/{id_}", body=self._scim(inputs))

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("DELETE", f"{self._path}/{id_}")

    def imported(self, state: Plain) -> Plain:
        computed = {"aclPrincipalId", "home", "repos"}
        return {key: value for key, value in state.items() if key not in computed and value not in (None, False)}

    @staticmethod
    def _scim(inputs: Plain) -> Plain:
        """Return the request's body; without entitlements it has an empty one, as the vendor's provider sends it."""
        entitlements = [{"value": value} for name, value in _ENTITLEMENTS.items() if inputs.get(name)]
        body: Plain = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal"],
            "entitlements": entitlements or [{}],
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
        current = api.find("GET", f"/api/2.0/permissions{id_}")
        if current is None:
            return None
        own = api.call("GET", "/api/2.0/preview/scim/v2/Me")
        controls = []
        for entry in current.get("access_control_list") or []:
            levels = [
                permission for permission in entry.get("all_permissions") or [] if not permission.get("inherited")
            ]
            names = {key: value for key, value in entry.items() if key.endswith("_name") and key != "display_name"}
            mine = {own.get("userName"), own.get("applicationId")} & set(names.values())
            if levels and not mine and names != {"group_name": "admins"}:
                controls.append(camel(names | {"permission_level": levels[0]["permission_level"]}))
        return {"accessControls": controls, "objectType": current.get("object_type")}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        controls = [snake(control) for control in inputs["accessControls"]]
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


class Job(Resource):
    """`dependsOns` is the SDK's plural of the service's depends_on."""

    unsent = ("controlRunState", "alwaysRunning")

    def create(self, api: Api, inputs: Plain) -> str:
        return str(api.call("POST", "/api/2.2/jobs/create", body=self.body(inputs))["job_id"])

    def read(self, api: Api, id_: str) -> Plain | None:
        current = api.find("GET", "/api/2.2/jobs/get", query={"job_id": id_})
        if current is None:
            return None
        settings: Plain = camel(_keys(current.get("settings") or {}, "depends_on", "depends_ons"))
        return settings | {"url": f"{api.host}/#job/{id_}"}

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        api.call("POST", "/api/2.2/jobs/reset", body={"job_id": int(id_), "new_settings": self.body(inputs)})

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        api.find("POST", "/api/2.2/jobs/delete", body={"job_id": int(id_)})

    def imported(self, state: Plain) -> Plain:
        return {key: value for key, value in state.items() if key != "url"}

    def body(self, inputs: Plain) -> Plain:
        sent: Plain = _keys(super().body(inputs), "depends_ons", "depends_on")
        return sent


def _keys(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {new if key == old else key: _keys(item, old, new) for key, item in value.items()}
    return [_keys(item, old, new) for item in value] if isinstance(value, list) else value


RESOURCES: Mapping[str, Resource] = {
    "databricks:index/instancePool:InstancePool": InstancePool(),
    "databricks:index/clusterPolicy:ClusterPolicy": ClusterPolicy(),
    "databricks:index/servicePrincipal:ServicePrincipal": ServicePrincipal(),
    "databricks:index/permissions:Permissions": Permissions(),
    "databricks:index/directory:Directory": Directory(),
    "databricks:index/notebook:Notebook": Notebook(),
    "databricks:index/secretScope:SecretScope": SecretScope(),
    "databricks:index/secretAcl:SecretAcl": SecretAcl(),
    "databricks:index/secret:Secret": Secret(),
    "databricks:index/workspaceFile:WorkspaceFile": WorkspaceFile(),
    "databricks:index/job:Job": Job(),
    "databricks:index/storageCredential:StorageCredential": Securable(
        "storage-credentials", own_id="storageCredentialId"
    ),
    "databricks:index/externalLocation:ExternalLocation": Securable("external-locations"),
    "databricks:index/catalog:Catalog": Catalog("catalogs", replaces=("storageRoot", "shareName", "connectionName")),
    "databricks:index/schema:Schema": Securable("schemas", "catalogName", own_id="schemaId", replaces=("storageRoot",)),
    "databricks:index/volume:Volume": Securable(
        "volumes", "catalogName", "schemaName", replaces=("volumeType", "storageLocation")
    ),
    "databricks:index/grants:Grants": Grants(),
}
