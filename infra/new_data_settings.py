"""Settings of new data: which trainings a file in `incoming/` starts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from declarations.training_pipelines import all_pipelines
from infra.setting_types import EachOnce, Identifier, Section


class NewDataSettings(Section):
    """Trainings that start by themselves on new data."""

    train: Annotated[list[Identifier], EachOnce] = Field(
        default=[],
        description="Training pipelines that a new CSV file starts: in `incoming/` of the training container for the "
        "default pipeline, in `incoming/NAME/` for the others. Not with `network.profile: private`: the Logic App that "
        "starts them reaches no private endpoint.",
        examples=[["houses"]],
        max_length=20,
    )
    quiet_seconds: int = Field(
        default=60,
        ge=1,
        le=3_600,
        description="Seconds without another file that a training waits for: files that arrive together start one "
        "run, on the newest of them.",
        examples=[60],
    )

    @field_validator("train")
    @classmethod
    def _pipelines_exist(cls, value: list[str]) -> list[str]:
        if not value:
            return value
        known = all_pipelines()
        unknown = [name for name in value if name not in known]
        if unknown:
            raise ValueError(
                f"there is no training pipeline {unknown[0]} in mlops/pipelines; there are: {', '.join(known)}"
            )
        return value
