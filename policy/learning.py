"""Rules on Azure Machine Learning and its logs: identities instead of keys, and compute that ends."""

from __future__ import annotations

from policy import resource_types as types
from policy.rules import Problems, Subject, get, rule


def _datastores(workspace: Subject) -> Problems:
    mode = get(workspace.props, "systemDatastoresAuthMode")
    if str(mode).lower() != "identity":
        yield f"Set system_datastores_auth_mode to Identity: it is {mode or 'left at the default, AccessKey'}."


def _workspace(workspace: Subject) -> Problems:
    if get(workspace.props, "v1LegacyMode") is True:
        yield "Set v1_legacy_mode=False: it takes the workspace's resources out of Azure's access control."
    if "UserAssigned" not in str(get(workspace.props, "identity", "type")):
        yield "Give the workspace a UserAssigned identity: a system-assigned one gets rights on the whole group."


def _credentials(datastore: Subject) -> Problems:
    kind = get(datastore.props, "properties", "credentials", "credentialsType")
    if kind not in (None, "None"):
        yield f"Use credentials of type None: {kind} puts a secret into the state."


def _compute(compute: Subject) -> Problems:
    properties = get(compute.props, "properties")
    if get(properties, "computeType") == "Databricks":
        yield "Do not attach Databricks: its access token stands in the state. Run notebooks as a command component."
        return
    if get(properties, "disableLocalAuth") is not True:
        yield "Set disable_local_auth=True: SSH has users of its own, outside of Entra."
    if "UserAssigned" not in str(get(compute.props, "identity", "type")):
        yield "Give the compute a user-assigned identity: jobs have none to sign in with otherwise."
    if get(properties, "properties", "remoteLoginPortPublicAccess") != "Disabled":
        yield "Set remote_login_port_public_access to Disabled: no user logs in to a node."
    if get(properties, "properties", "scaleSettings", "minNodeCount") not in (None, 0):
        yield "Set min_node_count to 0: nodes without work cost the same as nodes with work."


def _endpoint(endpoint: Subject) -> Problems:
    mode = get(endpoint.props, "properties", "authMode")
    if str(mode).lower() != "aadtoken":
        yield f"Set auth_mode to AADToken: {mode} is a shared secret."


def _endpoint_identity(endpoint: Subject) -> Problems:
    if "UserAssigned" not in str(get(endpoint.props, "identity", "type")):
        yield "Give the endpoint a user-assigned identity: a system-assigned one gets its roles by itself."


def _sealed(component: Subject) -> Problems:
    """Azure shows both to all readers of the component, and the state would too."""
    missing = sorted({"connectionString", "instrumentationKey"} - set(component.secret_outputs))
    if missing:
        yield f"Name {', '.join(missing)} in additional_secret_outputs: the state shows them otherwise."


def _local_sign_in(resource: Subject) -> Problems:
    on = (
        get(resource.props, "disableLocalAuth") is not True
        if resource.type == types.APPLICATION_INSIGHTS
        else get(resource.props, "features", "disableLocalAuth") is not True
    )
    if on:
        yield "Set disable_local_auth=True: the key allows writing logs otherwise."


RULES = [
    rule("ml-identity-datastores", "The workspace's own datastores sign in.", [types.ML_WORKSPACE], _datastores),
    rule("ml-workspace-identity", "The ML workspace has an identity of its own.", [types.ML_WORKSPACE], _workspace),
    rule("ml-datastores-without-secrets", "Datastores hold no credentials.", [types.ML_DATASTORE], _credentials),
    rule("ml-compute", "Compute runs as an identity, and ends when it has no work.", [types.ML_COMPUTE], _compute),
    rule(
        "ml-endpoints-entra-only",
        "Endpoints ask for an Entra sign-in.",
        [types.ML_BATCH_ENDPOINT, types.ML_ONLINE_ENDPOINT],
        _endpoint,
    ),
    rule(
        "ml-online-endpoint-identity",
        "Online endpoints run as an identity whose roles the stack states.",
        [types.ML_ONLINE_ENDPOINT],
        _endpoint_identity,
    ),
    rule("logs-keys-sealed", "No key of the logs stands in the state.", [types.APPLICATION_INSIGHTS], _sealed),
    rule(
        "logs-entra-only",
        "Logs are written by identities.",
        [types.LOG_WORKSPACE, types.APPLICATION_INSIGHTS],
        _local_sign_in,
    ),
]
