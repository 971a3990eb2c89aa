"""The identities of the platform: the pipeline's, the ML workspace's own, online endpoints', and trainings' starters.

Their roles are declared beside the resources: infra.access.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import managedidentity

from declarations.roles import Grantee
from infra.naming import Names
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class IdentitiesArgs:
    """`retraining`: scored files that drift start a training, as an identity that may do nothing else."""

    names: Names
    placement: Placement
    retraining: bool = False


class Identities(pulumi.ComponentResource):
    """User-assigned identities: they can have roles before the resources that use them exist."""

    pipeline_id: pulumi.Output[str]
    pipeline_client_id: pulumi.Output[str]
    workspace_id: pulumi.Output[str]
    serving_id: pulumi.Output[str]
    new_data_id: pulumi.Output[str]
    retraining_id: pulumi.Output[str] | None
    retraining_client_id: pulumi.Output[str] | None

    def __init__(self, name: str, args: IdentitiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:identity:Identities", name, None, opts)
        self._name, self._names, self._place = name, args.names, args.placement
        pipeline = self._identity(f"{name}-pipeline", args.names.pipeline_identity)
        workspace = self._identity(f"{name}-workspace", args.names.workspace_identity)
        self.pipeline_id = pipeline.id
        self.pipeline_client_id = pipeline.client_id
        self.workspace_id = workspace.id
        self.pipeline = Grantee(label="pipeline", principal_id=pipeline.principal_id)
        self.workspace = Grantee(label="workspace", principal_id=workspace.principal_id)
        self.retraining: Grantee | None = None
        self.retraining_id = self.retraining_client_id = None
        if args.retraining:
            retraining = self._identity(f"{name}-retraining", args.names.retraining_identity)
            self.retraining = Grantee(label="retraining", principal_id=retraining.principal_id)
            self.retraining_id, self.retraining_client_id = retraining.id, retraining.client_id
        self.register_outputs({"pipeline_id": self.pipeline_id, "workspace_id": self.workspace_id})

    def declare_serving(self) -> Grantee:
        """Declare the identity of online endpoints, which run other people's models. Sets `serving_id`."""
        serving = self._identity(f"{self._name}-serving", self._names.serving_identity)
        self.serving_id = serving.id
        return Grantee(label="serving", principal_id=serving.principal_id)

    def declare_new_data(self) -> Grantee:
        """Declare the identity that starts trainings on new data. Sets `new_data_id`."""
        new_data = self._identity(f"{self._name}-new-data", self._names.new_data_identity)
        self.new_data_id = new_data.id
        return Grantee(label="new-data", principal_id=new_data.principal_id)

    def _identity(self, name: str, resource_name: str) -> managedidentity.UserAssignedIdentity:
        return managedidentity.UserAssignedIdentity(
            name,
            resource_name_=resource_name,
            resource_group_name=self._place.resource_group_name,
            location=self._place.location,
            tags=self._place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
