"""Settings of Unity Catalog: the objects of the stack, and readers of predictions."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from infra.setting_types import EachOnce, Identifier, Section

_Principal = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f](.*[^\s])?$", max_length=255)]


class UnityCatalogSettings(Section):
    """Access of notebook runs to the training data by Unity Catalog; the workspace needs a metastore."""

    enabled: bool = Field(
        default=True,
        description="Create the credential, external locations, catalog, schema and grants. Without them, "
        "`databricks.spark_conf` has to sign runs in to storage.",
        examples=[True],
    )
    catalog: Identifier | None = Field(
        default=None,
        description="Catalog of the platform. By default its name has the base name and the environment, since the "
        "stacks of a region share its metastore.",
        examples=["research"],
    )
    schema_name: Identifier = Field(
        default="training", description="Schema of the training data.", examples=["training"]
    )
    prediction_readers: Annotated[list[_Principal], EachOnce] = Field(
        default=[],
        description="Principals whose notebooks may read predictions by their path, below `scoring/out` and "
        "`scoring/tables`: groups of the Databricks account (not of the workspace), mail addresses of users and "
        "application ids of service principals.",
        examples=[["data-scientists"]],
        max_length=20,
    )
    prediction_writers: Annotated[list[_Principal], EachOnce] = Field(
        default=[],
        description="Principals that may also change tables of predictions (`scoring/tables`), such as by `OPTIMIZE` "
        "and `VACUUM`.",
        examples=[["data-engineers"]],
        max_length=20,
    )

    @field_validator("prediction_readers", "prediction_writers")
    @classmethod
    def _have_a_catalog(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if value and info.data.get("enabled") is False:
            raise ValueError("needs unity_catalog.enabled: there are no locations without it")
        return value
