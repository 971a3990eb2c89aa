"""A Pulumi program of the parts that new data need, over a workspace and an account that the test has made."""

from __future__ import annotations

import json
import os

import pulumi

from infra.quick_imports import start_fast

start_fast()


def main() -> None:
    """Declare identity, roles, topic, Logic App and subscription."""
    from pulumi_azure_native import managedidentity

    from declarations.roles import Grantee, RoleAssigner
    from infra.naming import Names
    from infra.new_data import NewData, NewDataArgs
    from infra.placement import Placement
    from infra.retraining import Retraining, RetrainingArgs, Starter

    parts = json.loads(os.environ["NEW_DATA"])
    names, subscription = Names(parts["base"], "dev"), parts["group"].split("/")[2]
    group = parts["group"].rsplit("/", 1)[-1]
    placement = Placement(
        resource_group_name=group, location="westeurope", tags={}, subscription_id=subscription, tenant_id="none"
    )
    assigner = RoleAssigner(names=names, subscription_id=subscription)
    starter = managedidentity.UserAssignedIdentity(
        "starter", resource_name_=names.new_data_identity, resource_group_name=group, location="westeurope"
    )
    identity = Grantee(label="new-data", principal_id=starter.principal_id)
    roles = Retraining(
        "retraining",
        RetrainingArgs(
            names=names,
            assigner=assigner,
            role="stack",
            resource_group_id=parts["group"],
            workspace_id=parts["workspace"],
            starters=[Starter(identity=identity, endpoints={"diabetes": parts["endpoint_id"]})],
        ),
    )
    new_data = NewData(
        "new-data",
        NewDataArgs(
            names=names,
            placement=placement,
            assigner=assigner,
            resource_group_id=parts["group"],
            account_id=parts["account_id"],
            account_name=parts["account_id"].rsplit("/", 1)[-1],
            container_name="trainingdata",
            endpoints={"diabetes": pulumi.Output.from_input(parts["endpoint_id"].rsplit("/", 1)[-1])},
            quiet_seconds=2,
            identity=identity,
            identity_id=starter.id,
            depends_on=roles.assignments,
        ),
    )
    pulumi.export("workflow", new_data.workflow_ids["diabetes"])
    pulumi.export("principal", starter.principal_id)


main()
