"""The online endpoint of a training pipeline, as `pipeline.yml` describes it: `serve: online`, or a section.

The limits are Azure ML's (learn.microsoft.com/azure/machine-learning/reference-yaml-deployment-managed-online).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, field_validator, model_validator
from pydantic_core import CoreSchema

_ONLINE = "online"
_ALL = 100
_Percentage = Annotated[int, Field(ge=1, le=_ALL)]


class Online(BaseModel):
    """A managed online endpoint: its deployments' machines, and the steps of traffic to a new one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    instance_type: str = Field(
        default="Standard_DS3_v2",
        pattern=r"^Standard_[A-Za-z0-9_]+$",
        description="Size of the instances. They cost from the deployment on, with requests or without.",
    )
    instances: int = Field(default=1, ge=1, le=100, description="Number of instances of a deployment.")
    traffic_steps: tuple[_Percentage, ...] = Field(
        default=(10, 50, _ALL),
        min_length=1,
        description="Percentages of the requests that a new version gets, one after another. Each is checked with "
        "requests before the next one; the last is 100.",
    )
    request_timeout: int = Field(
        default=5, ge=1, le=180, description="Seconds after which a request without an answer fails."
    )
    requests_per_instance: int = Field(
        default=1, ge=1, le=1000, description="Requests that an instance answers at the same time."
    )
    auth: Literal["entra", "key"] = Field(
        default="entra",
        description="How callers sign in: entra with a token of their identity, which needs a role on the endpoint; "
        "key with a secret that all of them share, which the policy pack refuses where it is mandatory.",
    )

    @field_validator("traffic_steps")
    @classmethod
    def _rise_to_all(cls, steps: tuple[int, ...]) -> tuple[int, ...]:
        if list(steps) != sorted(set(steps)) or steps[-1] != _ALL:
            raise ValueError(f"{list(steps)} must rise, and end with {_ALL}")
        return steps


class Serve(BaseModel):
    """Place where the serving version answers requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    online: Online = Field(description="A managed online endpoint of Azure ML.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        """Take `online` for a section without settings."""
        if value == _ONLINE:
            return {_ONLINE: {}}
        if isinstance(value, Mapping) and _ONLINE in value and value[_ONLINE] is None:
            return {**value, _ONLINE: {}}
        if not isinstance(value, Mapping | Serve):
            raise ValueError(f"write {_ONLINE}, or a section {_ONLINE} with settings")
        return value

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Let editors know the short form too."""
        return {"anyOf": [{"const": _ONLINE, "type": "string"}, handler(core_schema)]}
