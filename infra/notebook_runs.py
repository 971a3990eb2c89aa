"""Resources of the notebook runs in the Databricks workspace: pool, policy, folder and the pipeline's identity.

The identity is a plain service principal: it may attach to this pool, use this policy and read this folder. Notebooks
themselves are uploaded by `mlops`.

The folder is the platform's own, below the workspace's root, where administrators alone create objects. Below /Shared
every user of the workspace may manage everything, this identity included, regardless of permissions there
(learn.microsoft.com/azure/databricks/security/auth/access-control/workspace-acl, "Folder ACLs").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_databricks as databricks

from infra.placement import Placement
from infra.settings import DatabricksSettings

POOL_NAME = "azureml_training"
PLATFORM_FOLDER = "/dataopsml"
NOTEBOOK_FOLDER = f"{PLATFORM_FOLDER}/notebooks"
# A pool has no fallback to on-demand instances (databricks-sdk `InstancePoolAzureAttributesAvailability`); the pool's
# availability holds for all nodes of its clusters, the driver included.
_AVAILABILITY = {"on_demand": "ON_DEMAND_AZURE", "spot": "SPOT_AZURE"}


@dataclass(frozen=True, kw_only=True)
class NotebookRunsArgs:
    """`workspace` is the Databricks one, with its `host` and `workspace_id`; `client_id` is the pipeline identity's.

    `depends_on`: resources without which the workspace's API cannot be reached.
    """

    placement: Placement
    settings: DatabricksSettings
    workspace: pulumi.Resource
    host: pulumi.Input[str]
    workspace_id: pulumi.Input[str]
    client_id: pulumi.Input[str]
    identity_name: str
    depends_on: Sequence[pulumi.Resource]


def policy_definition(settings: DatabricksSettings, pool_id: str) -> str:
    """Return the cluster policy in JSON. It allows job clusters only, so that none is left running after its run."""
    rules: dict[str, dict[str, Any]] = {
        "cluster_type": {"type": "fixed", "value": "job"},
        "instance_pool_id": {"type": "fixed", "value": pool_id},
        "driver_instance_pool_id": {"type": "fixed", "value": pool_id},
        "spark_version": {"type": "fixed", "value": settings.spark_version},
        "data_security_mode": {"type": "fixed", "value": "SINGLE_USER"},
        "num_workers": {"type": "range", "minValue": 0, "maxValue": settings.max_workers, "isOptional": True},
        "autoscale.max_workers": {"type": "range", "maxValue": max(settings.max_workers, 1), "isOptional": True},
        "init_scripts.*.workspace.destination": {"type": "forbidden"},
    }
    for key, value in settings.spark_conf.items():
        rules[f"spark_conf.{key}"] = {"type": "fixed", "value": value}
    return json.dumps(rules, sort_keys=True)


class NotebookRuns(pulumi.ComponentResource):
    """The pool, the policy and the folder, with their permissions."""

    pool_id: pulumi.Output[str]
    policy_id: pulumi.Output[str]
    folder: pulumi.Output[str]
    client_id: pulumi.Output[str]

    def __init__(self, name: str, args: NotebookRunsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:databricks:NotebookRuns", name, None, opts)
        settings = args.settings
        self.provider = databricks.Provider(
            f"{name}-provider",
            host=args.host,
            azure_workspace_resource_id=args.workspace_id,
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.depends_on),
        )
        # A new workspace (for another network, for example) is empty, and the engine sees only another host name.
        self._child = pulumi.ResourceOptions(
            parent=self, provider=self.provider, replace_with=[args.workspace], deleted_with=args.workspace
        )
        pool = databricks.InstancePool(
            f"{name}-pool",
            instance_pool_name=POOL_NAME,
            node_type_id=settings.node_type,
            min_idle_instances=0,
            max_capacity=settings.pool_capacity,
            idle_instance_autotermination_minutes=settings.pool_idle_minutes,
            preloaded_spark_versions=[settings.spark_version],
            azure_attributes=databricks.InstancePoolAzureAttributesArgs(
                availability=_AVAILABILITY[settings.availability]
            ),
            custom_tags=args.placement.tags,
            opts=self._child,
        )
        policy = databricks.ClusterPolicy(
            f"{name}-policy",
            name=POOL_NAME,
            description="Runs of the pipeline's notebooks, on the pool of the same name.",
            definition=pool.id.apply(lambda pool_id: policy_definition(settings, pool_id)),
            opts=self._child,
        )
        # Stacks made before 2026-11-29 have /Shared/AzureMLDeployed under this name, and deployments name notebooks in
        # it. There the path stays, and the folder's content outlives the resource; `mlops prune` empties it.
        platform = databricks.Directory(
            f"{name}-folder",
            path=PLATFORM_FOLDER,
            delete_recursive=True,
            opts=self._with(ignore_changes=["path"], retain_on_delete=True),
        )
        folder = databricks.Directory(
            f"{name}-notebooks",
            path=NOTEBOOK_FOLDER,
            delete_recursive=True,
            opts=self._with(depends_on=[platform]),
        )
        principal = databricks.ServicePrincipal(
            f"{name}-identity",
            application_id=args.client_id,
            display_name=args.identity_name,
            opts=self._child,
        )
        self.client_id = principal.application_id
        databricks.Permissions(
            f"{name}-pool-use",
            instance_pool_id=pool.id,
            access_controls=[self._access_control_entry("CAN_ATTACH_TO")],
            opts=self._child,
        )
        databricks.Permissions(
            f"{name}-policy-use",
            cluster_policy_id=policy.id,
            access_controls=[self._access_control_entry("CAN_USE")],
            opts=self._child,
        )
        databricks.Permissions(
            f"{name}-folder-read",
            directory_path=folder.path,
            access_controls=[self._access_control_entry("CAN_READ")],
            opts=self._child,
        )
        self.pool_id = pool.id
        self.policy_id = policy.id
        self.folder = folder.path
        self.register_outputs({"pool_id": self.pool_id, "policy_id": self.policy_id})

    def _with(self, **options: Any) -> pulumi.ResourceOptions:
        """Return the options of every child, with more options."""
        return pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(**options))

    def _access_control_entry(self, level: str) -> databricks.PermissionsAccessControlArgs:
        return databricks.PermissionsAccessControlArgs(service_principal_name=self.client_id, permission_level=level)
