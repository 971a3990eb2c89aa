"""`python -m tests.unit.infra.hardening` writes the table of docs/infrastructure.md: the settings of each resource.

Every cell is read off the declared resources, of the three network profiles and of prod as it is shipped; a test holds
the page to it. The repository's stacks may have other settings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from infra.stack_file import ROOT
from policy import access, operations
from policy import resource_types as types
from tests.unit.infra.recorder import Deployment, Registered, deploy
from tests.unit.infra.test_platform import FULL, NETWORKS
from tests.unit.policy.test_rules import BAD

PAGE = ROOT / "docs" / "infrastructure.md"
STAGING = {"protection": '{"lock": false, "protect": false}',
           "model_registry": '{"name": "mlr-dataops", "create": true, "protect": true}'}  # fmt: skip
BEGIN, END = "<!-- table: python -m tests.unit.infra.hardening -->", "<!-- end of the table -->"
HEAD = ("resource", "sign-in", "transport", "open to: public, restricted, private", "identity", "keys of encryption",
        "comes back", "logged", "kept in prod")  # fmt: skip

ROWS: tuple[tuple[str, str, str], ...] = (
    ("storage, ML workspace's", "StorageAccount", "storage-workspace"),
    ("storage, training data", "StorageAccount", "storage-training"),
    ("Key Vault", "Vault", "keyvault-vault"),
    ("container registry", "containerregistry:Registry", "registry-registry"),
    ("ML workspace", "machinelearningservices:Workspace", "learning-workspace"),
    ("ML compute", "Compute", "learning-compute"),
    ("ML batch endpoint", "BatchEndpoint", "learning-endpoint"),
    ("ML registry", "machinelearningservices:Registry", "models-registry"),
    ("Databricks workspace", "databricks:Workspace", "databricks-workspace"),
    ("Log Analytics", "operationalinsights:Workspace", "monitoring-logs"),
    ("Application Insights", "Component", "monitoring-insights"),
)


def table() -> str:
    """Return the table and the rules of each resource in Markdown."""
    profiles = {name: deploy(network=network, **FULL) for name, network in NETWORKS.items()}
    # Prod names a registry, which staging makes.
    prod = deploy("prod", network=NETWORKS["private"], **FULL | {"model_registry": '{"name": "mlr-dataops"}'})
    staging = deploy("staging", network=NETWORKS["private"], **FULL | STAGING)
    lines = [_row(HEAD), _row("---" for _ in HEAD)]
    rules = ["| resource | held by the rules |", "|---|---|"]
    for label, type_, name in ROWS:
        resources = {profile: deployment.resource(type_, name) for profile, deployment in profiles.items()}
        deployment, private = profiles["private"], resources["private"]
        ours = prod if any(resource.name == name for resource in prod.of(type_)) else staging
        lines.append(
            _row(
                (
                    label, _sign_in(private), _transport(private),
                    _joined([_open(profile, resource, profiles[profile]) for profile, resource in resources.items()]),
                    _identity(private), _encryption(private), _comes_back(private, deployment),
                    _logged(private, deployment), _kept(ours.resource(type_, name), ours),
                )
            )
        )  # fmt: skip
        rules.append(f"| {label} | {', '.join(f'`{rule}`' for rule in _rules(private.type))} |")
    return "\n".join([*lines, "", *rules])


def page(text: str) -> str:
    """Return the page with its table replaced."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.split(END)[1]}"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _joined(of_profiles: list[str]) -> str:
    return of_profiles[0] if len(set(of_profiles)) == 1 else ", ".join(of_profiles)


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _confirmed(resource: Registered, *facts: tuple[str, Any, str]) -> str:
    """Return the texts of the facts (path, value, text) that the inputs confirm."""
    return ", ".join(text for path, value, text in facts if _at(resource.inputs, path) == value) or "-"


def _sign_in(resource: Registered) -> str:
    return _confirmed(
        resource,
        ("allowSharedKeyAccess", False, "no account keys"),
        ("isLocalUserEnabled", False, "no local users"),
        ("allowBlobPublicAccess", False, "nothing anonymous"),
        ("properties.enableRbacAuthorization", True, "roles only"),
        ("adminUserEnabled", False, "no admin user"),
        ("anonymousPullEnabled", False, "nothing anonymous"),
        ("systemDatastoresAuthMode", "Identity", "datastores without keys"),
        ("v1LegacyMode", False, "no v1 mode"),
        ("properties.disableLocalAuth", True, "no local accounts"),
        ("properties.properties.remoteLoginPortPublicAccess", "Disabled", "no SSH"),
        ("properties.authMode", "AADToken", "Entra tokens only"),
        ("sku", {"name": "premium"}, "premium: access control"),
        ("disableLocalAuth", True, "no keys"),
        ("features.disableLocalAuth", True, "no keys"),
    )


def _transport(resource: Registered) -> str:
    return _confirmed(
        resource,
        ("minimumTlsVersion", "TLS1_2", "TLS 1.2"),
        ("enableHttpsTrafficOnly", True, "HTTPS only"),
        ("parameters.enableNoPublicIp.value", True, "clusters without public addresses"),
        ("properties.properties.enableNodePublicIp", False, "nodes without public addresses, if not public"),
    )


def _open(profile: str, resource: Registered, deployment: Deployment) -> str:
    """Return its reach: the internet (with a sign-in), named addresses and the platform's network, or endpoints."""
    inputs = resource.inputs["properties"] if resource.type.endswith(":Vault") else resource.inputs
    access_ = inputs.get("publicNetworkAccess")
    if access_ == "Disabled":
        groups = sorted(
            group
            for endpoint in deployment.of("PrivateEndpoint")
            if resource.urn in endpoint.reads["privateLinkServiceConnections"]
            for link in endpoint.inputs["privateLinkServiceConnections"]
            for group in link["groupIds"]
        )
        assert groups, f"{resource.name} is closed and has no endpoint"
        return f"endpoints ({' '.join(groups)})"
    rules = inputs.get("networkRuleSet") or inputs.get("networkAcls") or {}
    if rules.get("defaultAction") == "Deny":
        assert rules.get("ipRules"), f"{resource.name} lets nobody in ({profile})"
        return "named addresses"
    return "as its workspace" if resource.type.endswith((":Compute", ":BatchEndpoint")) else "internet"


def _identity(resource: Registered) -> str:
    return {"UserAssigned": "its own, user-assigned", "SystemAssigned": "system-assigned"}.get(
        str(_at(resource.inputs, "identity.type")), "-"
    )


def _encryption(resource: Registered) -> str:
    return "Azure's" if resource.inputs.get("encryption") is None else "yours"


def _comes_back(resource: Registered, deployment: Deployment) -> str:
    if resource.type.endswith(":Vault"):
        properties = resource.inputs["properties"]
        days = f"{properties['softDeleteRetentionInDays']:.0f} days" if properties["enableSoftDelete"] else "-"
        return f"{days}, no purge" if properties.get("enablePurgeProtection") else days
    services = [
        service for service in deployment.of("BlobServiceProperties") if resource.urn in service.reads["accountName"]
    ]
    for service in services:
        blobs, containers = (service.inputs[f"{of}eleteRetentionPolicy"] for of in ("d", "containerD"))
        assert blobs["enabled"] and containers["enabled"]
        versions = ", versions" if service.inputs["isVersioningEnabled"] else ""
        return f"blobs {blobs['days']:.0f} days, containers {containers['days']:.0f} days{versions}"
    return "-"


def _logged(resource: Registered, deployment: Deployment) -> str:
    """Return the diagnostic settings of a resource, its blob service's included."""
    settings = [
        setting for setting in deployment.of("DiagnosticSetting") if resource.urn in setting.reads["resourceUri"]
    ]
    kinds = [kind for kind in ("logs", "metrics") if any(setting.inputs.get(kind) for setting in settings)]
    return " and ".join(kinds) or "-"


def _kept(resource: Registered, deployment: Deployment) -> str:
    locked = any(resource.urn in lock.reads["scope"] for lock in deployment.of("ManagementLockByScope"))
    kept = [text for holds, text in ((locked, "lock"), (resource.protect, "protect")) if holds]
    return ", ".join(kept) or "-"


def _rules(type_: str) -> list[str]:
    """Names of the policy pack's rules that check a type."""
    rules = {rule for rule, of, *_ in BAD if of == type_}
    groups: tuple[tuple[str, Iterable[str]], ...] = (
        ("network-profile", access._GUARDED),
        ("storage-lifecycle", [types.STORAGE_ACCOUNT]),
        ("storage-recoverable", [types.STORAGE_ACCOUNT]),
        ("storage-versions", [types.STORAGE_ACCOUNT]),
        ("storage-data-lake", [types.STORAGE_ACCOUNT]),
        ("logs-keys-sealed", [types.APPLICATION_INSIGHTS]),
        ("required-tags", operations._TAGGED),
        ("diagnostic-settings", operations._LOGGED),
        ("data-protected", operations._HOLDS_DATA),
    )
    return sorted(rules | {name for name, of in groups if type_ in of})


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} is up to date.\n")
