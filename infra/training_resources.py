"""Resources of the training pipeline in the ML workspace: outbound rules, compute, datastore and batch endpoint.

Environments, components and deployments are published there after the deployment, by `mlops`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from infra.machine_learning import MachineLearning
from infra.managed_network import ManagedNetwork, ManagedNetworkArgs, Target
from infra.naming import Names
from infra.network import Network
from infra.placement import Placement
from infra.settings import ComputeSettings

DATASTORE = "trainingdata"


@dataclass(frozen=True, kw_only=True)
class TrainingResourcesArgs:
    """`targets` and `hosts`: destinations of jobs, by private endpoint and by name.

    `retraining_identity_id`: an identity besides the pipeline's that steps name to start retrainings.

    `pipelines`: training pipelines that get an endpoint of their own.

    `compute_depends_on`: the roles on the workspace. Its own identity needs one to make the managed network, which
    happens with the first compute. `rules_depend_on`: resources after which rules of the managed network are made.
    """

    names: Names
    placement: Placement
    network: Network
    compute: ComputeSettings
    workspace: MachineLearning
    pipeline_identity_id: pulumi.Input[str]
    retraining_identity_id: pulumi.Input[str] | None
    training_account_name: pulumi.Input[str]
    training_container_name: pulumi.Input[str]
    targets: Mapping[str, Target]
    hosts: Mapping[str, pulumi.Input[str]]
    pipelines: Sequence[str]
    rules_depend_on: Sequence[pulumi.Resource]
    compute_depends_on: Sequence[pulumi.Resource]


class TrainingResources(pulumi.ComponentResource):
    """The compute with its rules, the datastore and the endpoint. Earlier stacks have them below the workspace."""

    compute_name: pulumi.Output[str]
    datastore_name: pulumi.Output[str]
    batch_endpoint_name: pulumi.Output[str]
    batch_endpoint_id: pulumi.Output[str]
    endpoint_ids: dict[str, pulumi.Output[str]]
    pipeline_endpoint_names: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: TrainingResourcesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:machinelearning:TrainingResources", name, None, opts)
        self._args = args
        self._earlier_parent: list[pulumi.Input[str | pulumi.Alias]] = [pulumi.Alias(parent=args.workspace)]
        self._outbound = ManagedNetwork(
            "learning-outbound",
            ManagedNetworkArgs(
                placement=args.placement,
                network=args.network,
                workspace_name=args.workspace.workspace_name,
                targets=args.targets,
                hosts=args.hosts,
                depends_on=args.rules_depend_on,
            ),
            pulumi.ResourceOptions(parent=self, aliases=self._earlier_parent),
        )
        compute = self._compute("learning-compute")
        datastore = self._datastore("learning-datastore")
        subscription = pulumi.Output.from_input(args.placement.subscription_id)
        endpoint = self._endpoint(
            "learning-endpoint", subscription.apply(args.names.batch_endpoint), self._earlier_parent
        )
        own = {
            pipeline: self._endpoint(
                f"learning-endpoint-{pipeline}",
                subscription.apply(partial(args.names.pipeline_endpoint, pipeline=pipeline)),
            )
            for pipeline in args.pipelines
        }
        self.pipeline_endpoint_names = {pipeline: endpoint.name for pipeline, endpoint in own.items()}
        self.endpoint_ids = {pipeline: endpoint.id for pipeline, endpoint in own.items()}
        self.batch_endpoint_id = endpoint.id
        self.compute_name = compute.name
        self.datastore_name = datastore.name
        self.batch_endpoint_name = endpoint.name
        self.register_outputs({})

    def _compute(self, name: str) -> ml.Compute:
        args, place, compute = self._args, self._args.placement, self._args.compute
        return ml.Compute(
            name,
            compute_name=args.names.compute,
            workspace_name=args.workspace.workspace_name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED,
                # The first one is the default identity, which jobs run as ("Set up service authentication").
                user_assigned_identities=[
                    args.pipeline_identity_id,
                    *([] if args.retraining_identity_id is None else [args.retraining_identity_id]),
                ],
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
            # A new size needs a new cluster, whose name is free only after the old one is deleted.
            opts=pulumi.ResourceOptions(
                parent=self,
                aliases=self._earlier_parent,
                delete_before_replace=True,
                depends_on=[*args.compute_depends_on, *self._outbound.rules],
            ),
        )

    def _datastore(self, name: str) -> ml.Datastore:
        args, place = self._args, self._args.placement
        return ml.Datastore(
            name,
            name=DATASTORE,
            workspace_name=args.workspace.workspace_name,
            resource_group_name=place.resource_group_name,
            properties=ml.AzureDataLakeGen2DatastoreArgs(
                datastore_type="AzureDataLakeGen2",  # of accounts with a hierarchical namespace
                account_name=args.training_account_name,
                filesystem=args.training_container_name,
                credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
                # The workspace's identity shows no data to its users: people and jobs sign in as themselves.
                service_data_access_auth_identity=ml.ServiceDataAccessAuthIdentity.NONE,
                subscription_id=place.subscription_id,
                resource_group=place.resource_group_name,
            ),
            opts=pulumi.ResourceOptions(parent=self, aliases=self._earlier_parent),
        )

    def _endpoint(
        self,
        name: str,
        endpoint_name: pulumi.Input[str],
        aliases: Sequence[pulumi.Input[str | pulumi.Alias]] | None = None,
    ) -> ml.BatchEndpoint:
        args, place = self._args, self._args.placement
        return ml.BatchEndpoint(
            name,
            endpoint_name=endpoint_name,
            workspace_name=args.workspace.workspace_name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            properties=ml.BatchEndpointPropertiesArgs(
                auth_mode=ml.EndpointAuthMode.AAD_TOKEN,
                description="Starts the published training pipeline.",
            ),
            tags=place.tags,
            # Publishing moves the default deployment, which is a property of the endpoint that the stack does not know.
            # The provider updates by PUT, with the program's inputs alone, and Azure removes properties that a PUT
            # leaves out: any update would leave the endpoint without a default. Hence the provider makes no update.
            # To change one of these on purpose, take it off this list, and publish again.
            opts=pulumi.ResourceOptions(parent=self, aliases=aliases, ignore_changes=["properties", "tags"]),
        )
