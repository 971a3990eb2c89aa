"""Settings of the online endpoints: their callers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from infra.setting_types import EachOnce, Guid, PrincipalType, Section


class Caller(Section):
    """An identity that calls online endpoints."""

    object_id: Guid = Field(description="Object id in Entra.", examples=["11111111-2222-3333-4444-555555555555"])
    type: PrincipalType = Field(description="Type of the identity.", examples=["ServicePrincipal"])


class ServingSettings(Section):
    """Callers of the online endpoints of pipelines that serve online (`serve: online` in their specification)."""

    caller_role: Guid | None = Field(
        default=None,
        description="Id of the role that callers get on each online endpoint: a custom role of yours that allows "
        "`Microsoft.MachineLearningServices/workspaces/onlineEndpoints/score/action` alone. No built-in role is as "
        "narrow: docs/how-to/serve-online.md makes one.",
        examples=["11111111-2222-3333-4444-555555555555"],
    )
    callers: Annotated[list[Caller], EachOnce] = Field(
        default=[],
        description="Identities that may ask the online endpoints.",
        examples=[[{"object_id": "11111111-2222-3333-4444-555555555555", "type": "ServicePrincipal"}]],
        max_length=20,
    )

    @field_validator("callers")
    @classmethod
    def _have_a_role(cls, value: list[Caller], info: ValidationInfo) -> list[Caller]:
        if value and info.data.get("caller_role") is None:
            raise ValueError("needs serving.caller_role, the id of the role that callers get")
        return value
