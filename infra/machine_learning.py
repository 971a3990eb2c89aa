"""The Azure ML workspace, its compute, the datastore of the training data and the endpoint that runs are started by.

What is published on it (environments, components, deployments) is shipped after the deployment, by `mlops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from infra.managed_network import ManagedNetwork, ManagedNetworkArgs, Target, isolation
from infra.naming import Names
from infra.network import Link, Network
from infra.placement import Placement
from infra.settings import ComputeSettings

DATASTORE = "trainingdata"


@dataclass(frozen=True, kw_only=True)
class MachineLearningArgs:
    """Ids are ARM ids. `depends_on`: the roles that the workspace needs to be made, and what gives them time.

    `grant` is called with the workspace's ARM id and gives the roles on it: its own identity needs one to make the
    managed network, which the first compute brings about. `targets` and `hosts`: what else jobs reach, by private
    endpoints and by name.
    """

    names: Names
    placement: Placement
    network: Network
    compute: ComputeSettings
    storage_account_id: pulumi.Input[str]
    key_vault_id: pulumi.Input[str]
    application_insights_id: pulumi.Input[str]
    container_registry_id: pulumi.Input[str]
    workspace_identity_id: pulumi.Input[str]
    pipeline_identity_id: pulumi.Input[str]
    training_account_name: pulumi.Input[str]
    training_container_name: pulumi.Input[str]
    targets: Mapping[str, Target]
    hosts: Mapping[str, pulumi.Input[str]]
    depends_on: Sequence[pulumi.Resource]
    grant: Callable[[pulumi.Output[str]], Sequence[pulumi.Resource]]
    protect: bool


class MachineLearning(pulumi.ComponentResource):
    """A workspace whose system datastores sign in with identities, and what the pipeline needs in it."""

    workspace_id: pulumi.Output[str]
    workspace_name: pulumi.Output[str]
    compute_name: pulumi.Output[str]
    datastore_name: pulumi.Output[str]
    batch_endpoint_name: pulumi.Output[str]

    def __init__(self, name: str, args: MachineLearningArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:machinelearning:MachineLearning", name, None, opts)
        self._args = args
        workspace = self._workspace(f"{name}-workspace")
        self._granted = list(args.grant(workspace.id))
        args.network.connect("workspace", workspace.id, Link.ML_WORKSPACE)
        self._outbound = ManagedNetwork(
            f"{name}-outbound",
            ManagedNetworkArgs(
                placement=args.placement,
                network=args.network,
                workspace_name=workspace.name,
                targets=args.targets,
                hosts=args.hosts,
                # Azure ML makes endpoints to the same targets as the stack, which take one at a time.
                depends_on=[*args.depends_on, *self._granted, *args.network.endpoints],
            ),
            pulumi.ResourceOptions(parent=self),
        )
        compute = self._compute(f"{name}-compute", workspace)
        datastore = self._datastore(f"{name}-datastore", workspace)
        endpoint = self._endpoint(f"{name}-endpoint", workspace)
        self.workspace_id = workspace.id
        self.workspace_name = workspace.name
        self.compute_name = compute.name
        self.datastore_name = datastore.name
        self.batch_endpoint_name = endpoint.name
        self.register_outputs({"workspace_id": self.workspace_id})

    def _workspace(self, name: str) -> ml.Workspace:
        args, place = self._args, self._args.placement
        return ml.Workspace(
            name,
            workspace_name=args.names.workspace,
            resource_group_name=place.resource_group_name,
            location=place.location,
            friendly_name=args.names.workspace,
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[args.workspace_identity_id, args.pipeline_identity_id],
            ),
            primary_user_assigned_identity=args.workspace_identity_id,
            storage_account=args.storage_account_id,
            key_vault=args.key_vault_id,
            application_insights=args.application_insights_id,
            container_registry=args.container_registry_id,
            system_datastores_auth_mode=ml.SystemDatastoresAuthMode.IDENTITY,
            v1_legacy_mode=False,
            public_network_access=args.network.public_access,
            managed_network=isolation(args.network),
            # Behind a firewall the registry cannot build images by itself.
            image_build_compute=args.names.compute if args.network.isolated else None,
            tags=place.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.depends_on, protect=args.protect),
        )

    def _compute(self, name: str, workspace: ml.Workspace) -> ml.Compute:
        args, place, compute = self._args, self._args.placement, self._args.compute
        return ml.Compute(
            name,
            compute_name=args.names.compute,
            workspace_name=workspace.name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED,
                user_assigned_identities=[args.pipeline_identity_id],
            ),
            properties=ml.AmlComputeArgs(
                compute_type="AmlCompute",
                disable_local_auth=True,
                properties=ml.AmlComputePropertiesArgs(
                    vm_size=compute.vm_size,
                    vm_priority={"dedicated": ml.VmPriority.DEDICATED, "low_priority": ml.VmPriority.LOW_PRIORITY}[
                        compute.priority
                    ],
                    scale_settings=ml.ScaleSettingsArgs(
                        min_node_count=0,
                        max_node_count=compute.max_nodes,
                        node_idle_time_before_scale_down=f"PT{compute.idle_seconds}S",
                    ),
                    remote_login_port_public_access=ml.RemoteLoginPortPublicAccess.DISABLED,
                    os_type=ml.OsType.LINUX,
                    enable_node_public_ip=not args.network.isolated,
                ),
            ),
            tags=place.tags,
            # A new size needs a new cluster, and its name is taken until the old one is gone.
            opts=pulumi.ResourceOptions(
                parent=self, delete_before_replace=True, depends_on=[*self._granted, *self._outbound.rules]
            ),
        )

    def _datastore(self, name: str, workspace: ml.Workspace) -> ml.Datastore:
        args, place = self._args, self._args.placement
        return ml.Datastore(
            name,
            name=DATASTORE,
            workspace_name=workspace.name,
            resource_group_name=place.resource_group_name,
            properties=ml.AzureDataLakeGen2DatastoreArgs(
                datastore_type="AzureDataLakeGen2",  # of accounts with a hierarchical namespace
                account_name=args.training_account_name,
                filesystem=args.training_container_name,
                credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
                # Nobody sees data through the workspace's identity: people and jobs sign in as themselves.
                service_data_access_auth_identity=ml.ServiceDataAccessAuthIdentity.NONE,
                subscription_id=place.subscription_id,
                resource_group=place.resource_group_name,
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _endpoint(self, name: str, workspace: ml.Workspace) -> ml.BatchEndpoint:
        args, place = self._args, self._args.placement
        return ml.BatchEndpoint(
            name,
            endpoint_name=pulumi.Output.from_input(place.subscription_id).apply(args.names.batch_endpoint),
            workspace_name=workspace.name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            properties=ml.BatchEndpointPropertiesArgs(
                auth_mode=ml.EndpointAuthMode.AAD_TOKEN,
                description="Starts the published training pipeline.",
            ),
            tags=place.tags,
            # Publishing moves the default deployment, which is a property of the endpoint that the stack does not know.
            # The provider updates by PUT, with the program's inputs alone, and Azure takes what a PUT leaves out as
            # removed: any update would leave the endpoint without a default. So it gets none. To change one of these
            # on purpose, take it off this list, and publish again.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["properties", "tags"]),
        )
