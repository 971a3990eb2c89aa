"""Clusters: the policy, pool, runtime and size of a run, and a small part of the Clusters API.

All-purpose clusters are not emulated: runs bring their own job cluster.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.databricks import errors, permissions, policy_rules
from localcloud.databricks.catalog import NODE_TYPES, check_runtime
from localcloud.databricks.request import Call, check_unknown

_FIELDS = frozenset(
    {
        "apply_policy_default_values", "autoscale", "autotermination_minutes", "azure_attributes", "cluster_log_conf",
        "cluster_name", "custom_tags", "data_security_mode", "driver_instance_pool_id", "driver_node_type_id",
        "enable_elastic_disk", "instance_pool_id", "is_single_node", "kind", "node_type_id", "num_workers", "policy_id",
        "runtime_engine", "single_user_name", "spark_conf", "spark_env_vars", "spark_version", "use_ml_runtime",
    }
)  # fmt: skip


@dataclass(frozen=True)
class ClusterSpec:
    """A checked job cluster. `cores` are the cores of its nodes on Azure; the local master uses the machine's own."""

    body: Json
    spark_version: str
    pool_id: str | None
    spark_conf: dict[str, str]
    environment: dict[str, str]

    @property
    def single_user(self) -> str | None:
        name = self.body.get("single_user_name")
        return None if name is None else str(name)


def new_cluster_id() -> str:
    return f"{secrets.randbelow(9000) + 1000}-{secrets.randbelow(900000) + 100000}-{secrets.token_hex(4)}"


def resolve(call: Call, requested: Any) -> ClusterSpec:
    """Check a run's new_cluster and fill in its policy's values.

    Raises PERMISSION_DENIED (pool, policy, cluster creation) or INVALID_PARAMETER_VALUE, as submission does.
    """
    if not isinstance(requested, dict):
        raise errors.malformed(f"new_cluster must be an object, got {requested!r}.")
    cluster = {key: value for key, value in requested.items() if value is not None}
    check_unknown(cluster, _FIELDS, "new_cluster")
    policy_id = cluster.get("policy_id")
    if policy_id:
        policy = call.documents.get("policy", policy_id)
        if policy is None:
            raise errors.invalid(f"Can't find a cluster policy with id: {policy_id}.")
        permissions.require(
            call.documents, call.caller, "cluster-policies", policy_id, "CAN_USE", f"cluster policy {policy['name']}"
        )
        cluster = policy_rules.apply(
            policy_rules.parse(policy["definition"]),
            cluster,
            cluster_type="job",
            defaults=bool(cluster.get("apply_policy_default_values")),
        )
    elif not call.caller.is_admin and "allow-cluster-create" not in call.caller.entitlements:
        raise errors.permission_denied(
            f"{call.caller.name} is not authorized to create clusters without a cluster policy."
            " Please contact your administrator."
        )
    version = cluster.get("spark_version")
    if not version:
        raise errors.invalid("Missing required field: new_cluster.spark_version")
    check_runtime(str(version), "runs on")
    if cluster.get("use_ml_runtime"):
        raise not_emulated("new_cluster.use_ml_runtime: the packages of ML runtimes are not installed")
    pool_id = _pool(call, cluster)
    _check_workers(cluster)
    conf = {str(key): _conf_text(value) for key, value in (cluster.get("spark_conf") or {}).items()}
    environment = {str(key): str(value) for key, value in (cluster.get("spark_env_vars") or {}).items()}
    return ClusterSpec(cluster, str(version), pool_id, conf, environment)


def create(call: Call) -> Json:
    raise not_emulated("all-purpose clusters (POST clusters/create): submit runs with new_cluster")


def get(call: Call) -> Json:
    """Return the job clusters of the stored runs."""
    cluster_id = call.text("cluster_id")
    cluster = call.documents.get("cluster", cluster_id)
    if cluster is None:
        raise errors.invalid(f"Cluster {cluster_id} does not exist")
    return cluster


def list_(call: Call) -> Json:
    return {"clusters": [item for item in call.documents.all("cluster") if item["state"] != "TERMINATED"]}


def _pool(call: Call, cluster: Json) -> str | None:
    pool_id = cluster.get("instance_pool_id")
    driver_pool = cluster.get("driver_instance_pool_id")
    if pool_id is None:
        if driver_pool is not None:
            raise errors.invalid("driver_instance_pool_id needs instance_pool_id.")
        node_type = cluster.get("node_type_id")
        if node_type is None:
            raise errors.invalid("Exactly 1 of node_type_id or instance_pool_id must be specified.")
        for name in filter(None, (node_type, cluster.get("driver_node_type_id"))):
            if name not in NODE_TYPES:
                raise errors.invalid(
                    f"Node type {name} is not supported. Supported node types: {', '.join(NODE_TYPES)}."
                )
        return None
    for name in ("node_type_id", "driver_node_type_id", "azure_attributes"):
        if cluster.get(name):
            raise errors.invalid(f"The field '{name}' cannot be supplied when an instance pool ID is provided.")
    for id_ in {pool_id, driver_pool or pool_id}:
        pool = call.documents.get("pool", id_)
        if pool is None:
            raise errors.invalid(f"Can't find an instance pool with id: {id_}.")
        permissions.require(
            call.documents,
            call.caller,
            "instance-pools",
            id_,
            "CAN_ATTACH_TO",
            f"instance pool {pool['instance_pool_name']}",
        )
    return str(pool_id)


def _check_workers(cluster: Json) -> None:
    workers, autoscale = cluster.get("num_workers"), cluster.get("autoscale")
    single = bool(cluster.get("is_single_node")) or (
        str((cluster.get("spark_conf") or {}).get("spark.databricks.cluster.profile")) == "singleNode"
    )
    if workers is not None and autoscale is not None:
        raise errors.invalid("Only one of num_workers and autoscale can be specified.")
    if autoscale is not None:
        least, most = autoscale.get("min_workers"), autoscale.get("max_workers")
        if not isinstance(least, int) or not isinstance(most, int) or not 0 <= least <= most or most < 1:
            raise errors.invalid(
                f"autoscale needs 0 <= min_workers <= max_workers and max_workers >= 1, got {autoscale}."
            )
        return
    if workers is None and not single:
        raise errors.invalid("Missing required field: Must specify num_workers, autoscale or is_single_node.")
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 0):
        raise errors.invalid(f"num_workers must be an integer of at least 0, got {workers!r}.")
    if workers == 0 and not single:
        raise ServiceError(
            400,
            "INVALID_PARAMETER_VALUE",
            "NumWorkers could be 0 only for SingleNode clusters. Set spark_conf"
            " spark.databricks.cluster.profile=singleNode, spark.master=local[*] and custom_tags"
            " ResourceClass=SingleNode; see https://docs.databricks.com/clusters/single-node.html for more details.",
        )


def _conf_text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
