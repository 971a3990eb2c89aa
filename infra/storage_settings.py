"""The settings of a stack's storage accounts."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from infra.setting_types import Replication, Section


class TrainingDataSettings(Section):
    """The storage account of the training data, and the retention of deleted data in both accounts."""

    replication: Replication = Field(
        default="ZRS",
        description="Where copies are kept: LRS one data center, ZRS the zones of a region, GRS and GZRS a second "
        "region too.",
        examples=["ZRS"],
    )
    soft_delete_days: int = Field(
        default=7,
        ge=1,
        le=365,
        description="Days for which deleted blobs and containers can be restored, and replaced versions of the ML "
        "workspace's own blobs.",
        examples=[30],
    )
    engineered_days: int = Field(
        default=90,
        ge=1,
        le=3_650,
        description="Days after which engineered data are deleted; the data that they are made from stay.",
        examples=[90],
    )
    scoring_input_days: int | None = Field(
        default=None,
        ge=1,
        le=3_650,
        description="Days after which files that were left to be scored, their copies and labels are deleted. The "
        "ledger of scored files outlives them by 30 days.",
        examples=[90],
    )
    scoring_output_days: int | None = Field(
        default=None,
        ge=1,
        le=3_650,
        description="Days after which predictions and the rows that were refused are deleted.",
        examples=[365],
    )
    scoring_watch_days: int | None = Field(
        default=None,
        ge=30,
        le=3_650,
        description="Days after which the history of watched files is deleted. It has no rows of the data.",
        examples=[730],
    )
    cool_after_days: int | None = Field(
        default=None,
        ge=1,
        le=3_650,
        description="Days without a change after which uploaded and incoming data move to the cool tier.",
        examples=[90],
    )

    @field_validator("scoring_watch_days")
    @classmethod
    def _history_outlives_predictions(cls, value: int | None, info: ValidationInfo) -> int | None:
        outputs = info.data.get("scoring_output_days")
        if value is not None and outputs is not None and value < outputs:
            raise ValueError(f"must not be less than training_data.scoring_output_days, {outputs}")
        return value


class WorkspaceStorageSettings(Section):
    """The storage account of the ML workspace: code, logs, models."""

    replication: Replication = Field(
        default="LRS",
        description="Where copies are kept, as in `training_data`. A change between LRS, GRS and ZRS, GZRS is a "
        "conversion that takes days: start it with `az storage account migration start`, and change the setting when "
        "it is done.",
        examples=["ZRS"],
    )
