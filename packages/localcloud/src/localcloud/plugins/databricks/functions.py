"""The provider's functions: the signed-in identity, and the existing runtimes and node types."""

from __future__ import annotations

from typing import Any

from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.names import snake
from localcloud.plugins.errors import PluginError
from localcloud.plugins.values import Plain

_INDEX = "databricks:index/"
_SPARK_VERSION = ("longTermSupport", "beta", "latest", "ml", "gpu", "photon", "scala", "sparkVersion", "genomics")
_NODE_TYPE = (
    "minMemoryGb", "gbPerCore", "minCores", "minGpus", "localDisk", "localDiskMinSize", "category",
    "photonWorkerCapable", "photonDriverCapable", "graviton", "isIoCacheEnabled", "supportPortForwarding", "fleet",
)  # fmt: skip


def invoke(api: Api, token: str, arguments: Plain) -> Plain:
    """Answer an invoke. Raises PluginError for a function that this provider does not have."""
    name = token.rsplit(":", 1)[-1]
    if token == f"{_INDEX}getCurrentUser:getCurrentUser":
        return _current_user(api)
    if token == f"{_INDEX}getSparkVersion:getSparkVersion":
        # "2.1" is any Scala 2: runtimes have one each.
        selection = {"scala": "2.1"} | {key: arguments[key] for key in _SPARK_VERSION if arguments.get(key)}
        return {**arguments, "id": api.clusters(name, "select_spark_version", snake(selection))}
    if token == f"{_INDEX}getNodeType:getNodeType":
        selection = {key: arguments[key] for key in _NODE_TYPE if arguments.get(key)}
        return {**arguments, "id": api.clusters(name, "select_node_type", snake(selection))}
    raise PluginError(f"the function '{token}' is not in this provider's table")


def _current_user(api: Api) -> Plain:
    answer: Any = api.call("GET", "/api/2.0/preview/scim/v2/Me")
    name = str(answer.get("userName", ""))
    person = "@" in name
    return {
        "id": str(answer.get("id", "")), "userName": name, "home": f"/Users/{name}", "repos": f"/Repos/{name}",
        "alphanumeric": "".join(character if character.isalnum() else "_" for character in name.split("@")[0]).lower(),
        "externalId": str(answer.get("externalId", "")), "workspaceUrl": api.host,
        "aclPrincipalId": f"{'users' if person else 'servicePrincipals'}/{name}",
    }  # fmt: skip
