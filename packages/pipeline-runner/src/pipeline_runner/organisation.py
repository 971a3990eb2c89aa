"""The Azure DevOps organisation that a build runs in, from a YAML file.

A real organisation holds variable groups, environments with their checks, service connections and the pipelines with
their triggers outside of the repository; here one file describes them. A build without a file runs in an organisation
without variable groups and service connections, whose environments have no checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline_runner.checks import Check
from pipeline_runner.errors import RunnerError
from pipeline_runner.variables import Groups


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Start(_Section):
    """A way in which a pipeline starts. `reason` is Build.Reason, such as PullRequest or Schedule."""

    file: str
    reason: str = "IndividualCI"
    parameters: Mapping[str, Any] = {}


class CloudReference(_Section):
    """The program that connects service connections to a cloud: `module:function`, and settings for it.

    The function is a `pipeline_runner.cloud.CloudFactory`.
    """

    factory: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    settings: Mapping[str, Any] = {}


class Organisation(_Section):
    """An organisation with one project and one repository."""

    name: str = "local"
    project: str = ""
    """The name of the repository's folder when empty."""
    repository: str = ""
    """The name of the repository's folder when empty."""
    groups: Mapping[str, Mapping[str, str]] = {}
    """Variable groups."""
    environments: Mapping[str, Check] | None = None
    """Environments with their checks; None allows every name, since Azure Pipelines creates an environment at its first
    use (learn.microsoft.com/azure/devops/pipelines/process/environments)."""
    cloud: CloudReference | None = None
    shared_folders: tuple[str, ...] = ()
    """Folders of the repository outside of version control that every checkout gets as a link, such as `.venv`."""
    pipelines: tuple[Start, ...] = ()
    """Starts of every pipeline, for `check`."""
    templates: tuple[str, ...] = ()
    """Folders whose templates must be in use, for `check`."""
    alternatives: Mapping[str, Mapping[str, Any]] = {}
    """Templates of steps that no pipeline includes, with parameters, for `check`."""

    @field_validator("environments", mode="before")
    @classmethod
    def _without_checks(cls, value: Any) -> Any:
        """Accept an environment without a value as one without checks."""
        return {name: check or {} for name, check in value.items()} if isinstance(value, dict) else value


def read(file: Path | None) -> Organisation:
    """Return the organisation of a file, or the one without a file. Raises RunnerError with every mistake by path."""
    if file is None:
        return Organisation()
    try:
        return Organisation.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise RunnerError(f"There is no file {file}.") from error
    except yaml.YAMLError as error:
        raise RunnerError(f"{file} is not YAML: {error}") from error
    except ValidationError as error:
        raise RunnerError(f"{file} does not describe an organisation: {problems(error)}") from error


def problems(error: ValidationError) -> str:
    """Return all mistakes of a validation, by dotted path."""
    details = error.errors(include_url=False)
    return "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'file'}: {detail['msg']}" for detail in details)


def with_overrides(groups: Groups, values: Mapping[str, str], unset: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Return variable groups with values set and variables removed, both by GROUP.NAME. Raises RunnerError."""
    changed = {name: dict(variables) for name, variables in groups.items()}
    for key in (*values, *unset):
        group, _, name = key.partition(".")
        if group not in changed or not name:
            known = ", ".join(changed) or "none"
            raise RunnerError(f"{key!r} should be GROUP.NAME; the groups are {known}.")
        if key in values:
            changed[group][name] = values[key]
        elif changed[group].pop(name, None) is None:
            raise RunnerError(f"Variable group {group} has no variable {name}.")
    return changed
