"""The managed network of the ML workspace, which confines its jobs, and the outbound rules of that network.

Azure ML makes some private endpoints by itself (infra.network, `endpoints_implied`); every other destination of jobs
is a rule here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import machinelearningservices as ml

from infra.network import Network
from infra.placement import Placement


@dataclass(frozen=True, kw_only=True)
class Target:
    """A service that jobs reach by a private endpoint: its ARM id and the group ids."""

    id: pulumi.Input[str]
    groups: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ManagedNetworkArgs:
    """`targets` and `hosts` by label. `depends_on`: the roles by which the workspace's identity approves endpoints."""

    placement: Placement
    network: Network
    workspace_name: pulumi.Input[str]
    targets: Mapping[str, Target]
    hosts: Mapping[str, pulumi.Input[str]]
    depends_on: Sequence[pulumi.Resource]


def isolation(network: Network) -> ml.ManagedNetworkSettingsArgs | None:
    """Return the workspace's isolation mode; None in the public profile."""
    if not network.isolated:
        return None
    mode = (
        ml.IsolationMode.ALLOW_ONLY_APPROVED_OUTBOUND
        if network.outbound_hosts
        else ml.IsolationMode.ALLOW_INTERNET_OUTBOUND
    )
    return ml.ManagedNetworkSettingsArgs(isolation_mode=mode)


class ManagedNetwork(pulumi.ComponentResource):
    """The outbound rules; none in the public profile.

    Compute depends on `rules`, since its first node provisions the network.
    """

    def __init__(self, name: str, args: ManagedNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:machinelearning:ManagedNetwork", name, None, opts)
        self._name, self._args = name, args
        self.rules: list[pulumi.Resource] = []
        if args.network.isolated:
            for label, target in args.targets.items():
                for group in target.groups:
                    self._rule(f"{label}-{group.replace('_', '-')}", _endpoint(target.id, group))
            for label, host in args.hosts.items():
                self._rule(label, _host(host))
        self.register_outputs({})

    def _rule(self, label: str, properties: ml.PrivateEndpointOutboundRuleArgs | ml.FqdnOutboundRuleArgs) -> None:
        # The service changes one rule of a workspace at a time.
        after = self.rules[-1:] or list(self._args.depends_on)
        rule = ml.ManagedNetworkSettingsRule(
            f"{self._name}-{label}",
            rule_name=label,
            workspace_name=self._args.workspace_name,
            resource_group_name=self._args.placement.resource_group_name,
            properties=properties,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        self.rules.append(rule)


def _endpoint(target: pulumi.Input[str], group: str) -> ml.PrivateEndpointOutboundRuleArgs:
    return ml.PrivateEndpointOutboundRuleArgs(
        type="PrivateEndpoint",
        category=ml.RuleCategory.USER_DEFINED,
        destination=ml.PrivateEndpointDestinationArgs(service_resource_id=target, subresource_target=group),
    )


def _host(name: pulumi.Input[str]) -> ml.FqdnOutboundRuleArgs:
    return ml.FqdnOutboundRuleArgs(type="FQDN", category=ml.RuleCategory.USER_DEFINED, destination=name)
