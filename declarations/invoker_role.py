"""The custom role of the identity that starts retrainings: it may invoke a training endpoint, and nothing else.

The actions are the list of "Authorization on batch endpoints" for an invocation
(learn.microsoft.com/azure/machine-learning/how-to-authenticate-batch-endpoint, "Configure RBAC for batch endpoints
invoke"), except for changes of the serving version (write on endpoints and deployments), reads of secrets and keys,
and writes of data, environments and artifacts: docs/adr/0040 has the reasons. Actions on the endpoint hold at its
scope alone, so that no other is invoked.
"""

from __future__ import annotations

import uuid

from pulumi_azure_native import authorization

from declarations.roles import CustomRole

_ROLES = uuid.UUID("4b8ff0d5-61d5-5b2e-8c1c-0e3a1d5c7f52")
_ML = "Microsoft.MachineLearningServices/workspaces"
ENDPOINT_ACTIONS = (
    f"{_ML}/batchEndpoints/read",
    f"{_ML}/batchEndpoints/deployments/read",
    f"{_ML}/batchEndpoints/jobs/write",
    f"{_ML}/batchEndpoints/deployments/jobs/write",
)
WORKSPACE_ACTIONS = (
    f"{_ML}/read",
    f"{_ML}/computes/read",
    f"{_ML}/datastores/read",
    f"{_ML}/environments/read",
    f"{_ML}/experiments/read",
    f"{_ML}/experiments/runs/read",
    f"{_ML}/experiments/runs/submit/action",
    f"{_ML}/experiments/runs/write",
    f"{_ML}/metadata/snapshots/read",
    f"{_ML}/modules/read",
)
INVOKER, SUBMITTER = "TRAINING_INVOKER", "RUN_SUBMITTER"
"""The role on the endpoint and the role on the workspace, in which the invocation makes a run."""
_ACTIONS = {INVOKER: ENDPOINT_ACTIONS, SUBMITTER: WORKSPACE_ACTIONS}
ROLES = tuple(_ACTIONS)


def custom_role(role: str, *owner: str) -> CustomRole:
    """Return a role with the GUID of its definition, which is unique in a tenant: the same for the same owner."""
    return CustomRole(name=role, value=str(uuid.uuid5(_ROLES, "|".join((role, *owner)))))


def role_name(role: str, *owner: str) -> str:
    """Return the name of a role's definition, which is unique in a tenant too."""
    return " ".join(("dataopsml", role.replace("_", " ").lower(), *owner))


def actions(role: str) -> tuple[str, ...]:
    """Return the actions of a role."""
    return _ACTIONS[role]


def permissions(role: str) -> authorization.PermissionArgs:
    """Return the actions of a role."""
    return authorization.PermissionArgs(
        actions=list(actions(role)), not_actions=[], data_actions=[], not_data_actions=[]
    )
