"""Online endpoints: one for each training pipeline whose specification says `serve: online`.

Deployments, which hold a version of the model, and the traffic between them are made after the deployment, by `mlops`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from declarations.roles import CustomRole, Grantee, RoleScope
from declarations.training_pipelines import SpecificationError, online_pipelines
from infra.access import CallerAccess, CallerAccessArgs, ServingAccess, ServingAccessArgs
from infra.diagnostics import Source
from infra.foundation import Foundation
from infra.machine_learning import MachineLearning
from infra.naming import Names
from infra.network import Network
from infra.placement import Placement
from infra.stack_parts import StackContext

_AUTH_MODES = {"entra": ml.EndpointAuthMode.AAD_TOKEN, "key": ml.EndpointAuthMode.KEY}
_LOGS = ("AmlOnlineEndpointConsoleLog", "AmlOnlineEndpointTrafficLog", "AmlOnlineEndpointEventLog")
"""learn.microsoft.com/azure/machine-learning/how-to-monitor-online-endpoints, "Logs"."""


@dataclass(frozen=True, kw_only=True)
class ServingArgs:
    """`pipelines`: the way to sign in, entra or key, by the pipeline's name.

    `depends_on`: the roles of the endpoints' identity. Azure ML looks for them when a deployment is made.
    """

    names: Names
    placement: Placement
    network: Network
    workspace_name: pulumi.Input[str]
    identity_id: pulumi.Input[str]
    pipelines: Mapping[str, str]
    depends_on: Sequence[pulumi.Resource]


class Serving(pulumi.ComponentResource):
    """The endpoints. `sources` are resources that log, `scopes` the scopes of callers' roles."""

    endpoint_names: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: ServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:machinelearning:Serving", name, None, opts)
        self._args = args
        endpoints = {
            pipeline: self._endpoint(f"{name}-endpoint-{pipeline}", pipeline, auth)
            for pipeline, auth in args.pipelines.items()
        }
        self.endpoint_names = {pipeline: endpoint.name for pipeline, endpoint in endpoints.items()}
        self.sources = [
            Source(label=f"online-{pipeline}", id=endpoint.id, categories=_LOGS)
            for pipeline, endpoint in endpoints.items()
        ]
        self.scopes = [
            RoleScope(label=f"online-{pipeline}", id=endpoint.id) for pipeline, endpoint in endpoints.items()
        ]
        self.register_outputs({})

    def _endpoint(self, name: str, pipeline: str, auth: str) -> ml.OnlineEndpoint:
        args, place = self._args, self._args.placement
        subscription = pulumi.Output.from_input(place.subscription_id)
        return ml.OnlineEndpoint(
            name,
            endpoint_name=subscription.apply(partial(args.names.online_endpoint, pipeline=pipeline)),
            workspace_name=args.workspace_name,
            resource_group_name=place.resource_group_name,
            location=place.location,
            identity=ml.ManagedServiceIdentityArgs(
                type=ml.ManagedServiceIdentityType.USER_ASSIGNED, user_assigned_identities=[args.identity_id]
            ),
            properties=ml.OnlineEndpointPropertiesArgs(
                auth_mode=_AUTH_MODES[auth],
                description="Answers requests with the version that serves.",
                public_network_access=args.network.public_access,
            ),
            tags=place.tags,
            # Promotions move the traffic, which the stack does not know. The provider updates by PUT, with the
            # program's inputs alone, and the traffic would be taken as removed: callers would get no answer. So
            # nothing updates an endpoint. Another address or way to sign in needs a new one, which a preview shows;
            # `mlops serve` deploys to it again. To change one of the ignored, take it off this list, and serve again.
            opts=pulumi.ResourceOptions(
                parent=self,
                ignore_changes=[
                    "properties.traffic",
                    "properties.mirrorTraffic",
                    "properties.description",
                    "tags",
                    "identity",
                ],
                replace_on_changes=["properties.authMode", "properties.publicNetworkAccess"],
                delete_before_replace=True,
                depends_on=list(args.depends_on),
            ),
        )


def declare_serving(context: StackContext, foundation: Foundation, learning: MachineLearning) -> Serving | None:
    """Declare identity, roles and endpoints, where a pipeline of the repository serves online."""
    try:
        pipelines = online_pipelines()
    except SpecificationError as error:
        raise pulumi.RunError(str(error)) from None
    if not pipelines:
        return None
    identity = foundation.identities.declare_serving()
    access = ServingAccess(
        "serving-access",
        ServingAccessArgs(
            assigner=context.assigner,
            endpoint=identity,
            container_registry=RoleScope(label="registry", id=foundation.container_registry.registry_id),
            workspace_storage=RoleScope(label="workspace-storage", id=foundation.storage.workspace_account_id),
        ),
        context.child,
    )
    serving = Serving(
        "serving",
        ServingArgs(
            names=context.names,
            placement=context.placement,
            network=foundation.network,
            workspace_name=learning.workspace_name,
            identity_id=foundation.identities.serving_id,
            pipelines=pipelines,
            depends_on=access.assignments,
        ),
        context.child,
    )
    settings = context.settings.serving
    if settings.caller_role is not None and settings.callers:
        CallerAccess(
            "serving-callers",
            CallerAccessArgs(
                assigner=context.assigner,
                role=CustomRole(name="ONLINE_CALLER", value=settings.caller_role),
                callers=[
                    Grantee(label=f"caller-{caller.object_id}", principal_id=caller.object_id, type=caller.type)
                    for caller in settings.callers
                ],
                endpoints=serving.scopes,
            ),
            context.child,
        )
    return serving
