"""The settings of a stack's network."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from infra.setting_types import (
    DatabricksSubnet,
    EachOnce,
    HostName,
    NetworkRange,
    PublicAddress,
    ResourceGroupId,
    Section,
    Subnet,
    VirtualNetworkId,
)


class NetworkSettings(Section):
    """Access to the platform over the network."""

    profile: Literal["public", "restricted", "private"] = Field(
        default="public",
        description="public: reachable from the internet with an Entra sign-in. restricted: reachable from "
        "`allowed_ips` and the platform's own network only. private: reachable through private endpoints only.",
        examples=["private"],
    )
    allowed_ips: list[PublicAddress] = Field(
        default=[],
        description="Public IPv4 addresses or ranges of people and build agents (restricted).",
        examples=[["203.0.113.0/24"]],
        max_length=100,
    )
    address_space: NetworkRange = Field(
        default="10.20.0.0/22",
        description="Range of the virtual network, /16 to /24 (restricted, private).",
        examples=["10.20.0.0/22"],
    )
    databricks_host_subnet: DatabricksSubnet = Field(
        default="10.20.0.0/24",
        description="Subnet of the Databricks clusters' hosts, /26 or larger.",
        examples=["10.20.0.0/24"],
    )
    databricks_container_subnet: DatabricksSubnet = Field(
        default="10.20.1.0/24",
        description="Subnet of the Databricks clusters' containers, /26 or larger.",
        examples=["10.20.1.0/24"],
    )
    endpoint_subnet: Subnet = Field(
        default="10.20.2.0/24",
        description="Subnet of the private endpoints, /29 or larger (private).",
        examples=["10.20.2.0/24"],
    )
    dns_zone_group: ResourceGroupId | None = Field(
        default=None,
        description="Resource group that already has the private DNS zones, such as a hub's; without it the stack "
        "creates its own (private). The hub then also has the region's endpoint for signing in to Databricks by "
        "browser.",
        examples=["/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-hub-dns"],
    )
    peered_networks: Annotated[list[VirtualNetworkId], EachOnce] = Field(
        default=[],
        description="Virtual networks of build agents and users, such as a VPN's. The stack's network is peered with "
        "them, and its own DNS zones are linked to them (private).",
        examples=[
            [
                "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg-agents/providers/"
                "Microsoft.Network/virtualNetworks/vnet-agents"
            ]
        ],
        max_length=20,
    )
    peering: Literal["both_ways", "one_way"] = Field(
        default="both_ways",
        description="both_ways: the stack also creates the peering in those networks. one_way: their owner creates it.",
        examples=["one_way"],
    )
    outbound_hosts: list[HostName] = Field(
        default=[],
        description="Hosts that jobs can reach (restricted, private). By default, the whole internet.",
        examples=[["pypi.org", "files.pythonhosted.org"]],
        max_length=100,
    )

    @field_validator("peered_networks")
    @classmethod
    def _peered_networks_reach_something(cls, value: list[str], info: ValidationInfo) -> list[str]:
        profile = info.data.get("profile")
        if value and profile != "private":
            raise ValueError(f"has no effect when network.profile is {profile}: there are no private endpoints")
        return value

    @field_validator("outbound_hosts")
    @classmethod
    def _outbound_hosts_need_a_network(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if value and info.data.get("profile") == "public":
            raise ValueError("has no effect when network.profile is public")
        return value

    @field_validator("allowed_ips")
    @classmethod
    def _allowed_ips_fit_the_profile(cls, value: list[str], info: ValidationInfo) -> list[str]:
        profile = info.data.get("profile")
        if profile == "restricted" and not value:
            raise ValueError("must name at least one address when network.profile is restricted")
        if profile in {"public", "private"} and value:
            raise ValueError(f"has no effect when network.profile is {profile}")
        return value

    @field_validator("databricks_host_subnet", "databricks_container_subnet", "endpoint_subnet")
    @classmethod
    def _subnets_fit(cls, value: str, info: ValidationInfo) -> str:
        subnet = ipaddress.IPv4Network(value)
        space = info.data.get("address_space")
        if space is not None and not subnet.subnet_of(ipaddress.IPv4Network(space)):
            raise ValueError(f"must lie within network.address_space, {space}")
        for other in ("databricks_host_subnet", "databricks_container_subnet"):
            taken = info.data.get(other)
            if taken is not None and subnet.overlaps(ipaddress.IPv4Network(taken)):
                raise ValueError(f"must not overlap network.{other}, {taken}")
        return value
