"""camelCase of Pulumi and snake_case of the REST API."""

from __future__ import annotations

import re
from typing import Any

_UPPER = re.compile(r"(?<=[a-z0-9])([A-Z])")
_AFTER_UNDERSCORE = re.compile(r"_([a-z0-9])")
_MAPS = frozenset(
    {
        "customTags", "custom_tags", "sparkConf", "spark_conf", "sparkEnvVars", "spark_env_vars", "tags",
        "baseParameters", "base_parameters", "namedParameters", "named_parameters", "jobParameters", "job_parameters",
        "properties", "options",
    }
)  # fmt: skip
"""Their keys are the user's own."""


def snake(value: Any) -> Any:
    """Return keys of nested objects in snake_case; return other values unchanged, and leave out None."""
    if isinstance(value, dict):
        return {
            _UPPER.sub(lambda match: f"_{match[1].lower()}", key): item if key in _MAPS else snake(item)
            for key, item in value.items()
            if item is not None
        }
    return [snake(item) for item in value] if isinstance(value, list) else value


def camel(value: Any) -> Any:
    """Return the name in the other form."""
    if isinstance(value, dict):
        return {
            _AFTER_UNDERSCORE.sub(lambda match: match[1].upper(), key): item if key in _MAPS else camel(item)
            for key, item in value.items()
        }
    return [camel(item) for item in value] if isinstance(value, list) else value
