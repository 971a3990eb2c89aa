"""Rules on Azure Databricks: no public addresses, no tokens, clusters that end."""

from __future__ import annotations

import json

from policy import resource_types as types
from policy.rules import Problems, Subject, get, rule

_LONGEST_IDLE_MINUTES = 60
_CATALOG_MODES = ("SINGLE_USER", "USER_ISOLATION", "DATA_SECURITY_MODE_DEDICATED", "DATA_SECURITY_MODE_STANDARD")
_PROVIDER_SECRETS = ("token", "password", "clientSecret", "azureClientSecret", "googleCredentials")


def _workspace(workspace: Subject) -> Problems:
    if get(workspace.props, "sku", "name") != "premium":
        yield "Use the premium tier: the others have no access control."
    if get(workspace.props, "parameters", "enableNoPublicIp", "value") is not True:
        yield "Set parameters.enable_no_public_ip to true: clusters have public addresses otherwise."


def _pool(pool: Subject) -> Problems:
    if get(pool.props, "minIdleInstances") not in (None, 0):
        yield "Set min_idle_instances to 0: idle instances cost the same as busy ones."
    minutes = get(pool.props, "idleInstanceAutoterminationMinutes")
    if minutes is None or minutes > _LONGEST_IDLE_MINUTES:
        yield f"Set databricks.pool_idle_minutes to at most {_LONGEST_IDLE_MINUTES}: it is {minutes}."


def _policy(policy: Subject) -> Problems:
    text = get(policy.props, "definition")
    if text is None:
        return
    definition = json.loads(text)
    if get(definition, "cluster_type", "value") != "job":
        yield "Fix cluster_type to job: other clusters go on after the run that made them."
    for name, reason in (
        ("spark_version", "runs must not choose an untested runtime"),
        ("data_security_mode", "a cluster without a mode knows no identities"),
    ):
        if get(definition, name, "type") != "fixed":
            yield f"Fix {name}: {reason}."
    mode = get(definition, "data_security_mode", "value")
    if mode is not None and mode not in _CATALOG_MODES:
        yield f"Fix data_security_mode to SINGLE_USER: Unity Catalog gives clusters of the mode {mode} no credentials."


def _tokens(resource: Subject) -> Problems:
    if resource.type in (types.DATABRICKS_TOKEN, types.ON_BEHALF_TOKEN):
        yield "Do not make access tokens: they stand in the state and outlive their reason. Sign in by Entra."
    for name in _PROVIDER_SECRETS:
        if get(resource.props, name) is not None:
            yield f"Take {name} off the provider: it stands in the state. The provider signs in by Entra."


def _principal(principal: Subject) -> Problems:
    for name in ("allowClusterCreate", "allowInstancePoolCreate"):
        if get(principal.props, name) is True:
            yield f"Leave {name} off: the identity may only use the pool and the policy of the platform."


RULES = [
    rule("databricks-no-public-addresses", "Clusters have no public addresses.", [types.DATABRICKS], _workspace),
    rule("databricks-pool-ends", "Idle instances are released.", [types.POOL], _pool),
    rule("databricks-policy-job-clusters", "The cluster policy allows runs only.", [types.CLUSTER_POLICY], _policy),
    rule(
        "databricks-no-tokens",
        "Databricks knows no tokens.",
        [types.DATABRICKS_TOKEN, types.ON_BEHALF_TOKEN, types.DATABRICKS_PROVIDER],
        _tokens,
    ),
    rule("databricks-plain-identity", "The identity makes no clusters.", [types.SERVICE_PRINCIPAL], _principal),
]
