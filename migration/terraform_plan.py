"""Reader of `terraform show -json`: which resources Terraform's own next apply would delete.

Format: developer.hashicorp.com/terraform/internals/json-format, `resource_changes[].change.actions`.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ValidationError

from migration.errors import MigrationError


class _Change(BaseModel):
    actions: list[str]


class _ResourceChange(BaseModel):
    address: str
    change: _Change


class _Plan(BaseModel):
    format_version: str
    resource_changes: list[_ResourceChange] = []


def destroyed_by(file: Path) -> list[str]:
    """Return the addresses that the plan deletes or replaces.

    Raises MigrationError for a file that is no plan in JSON.
    """
    try:
        plan = _Plan.model_validate(json.loads(file.read_text()))
    except (OSError, ValueError, ValidationError) as error:
        raise MigrationError(
            f"{file} is not a Terraform plan in JSON: write it by `terraform plan -out=tfplan`, then "
            f"`terraform show -json tfplan > {file.name}`."
        ) from error
    return [resource.address for resource in plan.resource_changes if "delete" in resource.change.actions]
