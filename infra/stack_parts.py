"""The values that every layer of the platform passes on to its components, and the parts of a layer as a list."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization

from declarations.roles import Grantee, RoleAssigner
from infra.naming import Names
from infra.placement import Placement
from infra.settings import Operator, Settings


@dataclass(frozen=True, kw_only=True)
class StackContext:
    """Settings and names of the stack, its resource group, and the options of the platform's own components."""

    settings: Settings
    names: Names
    client: pulumi.Output[authorization.GetClientConfigResult]
    assigner: RoleAssigner
    placement: Placement
    resource_group_id: pulumi.Output[str]
    child: pulumi.ResourceOptions


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A part of the platform whose fields are components, or None where the settings leave one out."""

    @property
    def components(self) -> list[pulumi.Resource]:
        """Return all components of the layer: a lock depends on every one of them."""
        values = [getattr(self, field.name) for field in dataclasses.fields(self)]
        return [value for value in values if isinstance(value, pulumi.ComponentResource)]


def operator_grantee(operator: Operator) -> Grantee:
    """Return an operator of the settings as an identity that receives roles."""
    return Grantee(label=f"operator-{operator.object_id}", principal_id=operator.object_id, type=operator.type)
