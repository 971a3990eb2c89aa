"""The JSON types of the fields that requests have: Databricks parses a request before it looks at what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS = (
    "application_id", "applicationId", "cluster_name", "data_security_mode", "displayName", "driver_node_type_id",
    "existing_cluster_id", "idempotency_token", "instance_pool_id", "job_cluster_key", "node_type_id", "notebook_path",
    "policy_id", "principal", "run_name", "runtime_engine", "scope", "single_user_name", "source", "spark_version",
    "task_key", "userName",
)  # fmt: skip
_OBJECTS = ("autoscale", "azure_attributes", "new_cluster", "new_settings", "notebook_task", "queue", "run_as")
_LISTS_OF_OBJECTS = (
    "Operations", "access_control_list", "depends_on", "job_clusters", "members", "parameters", "tasks",
)  # fmt: skip
_LISTS = ("entitlements", "groups", "roles")
_NUMBERS = (
    "autotermination_minutes", "idle_instance_autotermination_minutes", "max_capacity", "max_concurrent_runs",
    "max_workers", "min_idle_instances", "min_workers", "num_workers", "timeout_seconds",
)  # fmt: skip
_MAPS = ("base_parameters", "custom_tags", "notebook_params", "spark_conf", "spark_env_vars", "tags")
"""Objects whose keys are the caller's own."""


def wrong(body: Mapping[str, Any], *, scim: bool = False) -> str | None:
    """What is wrong with the first field of another type, None when there is none. SCIM's `name` is an object."""
    for name, value in body.items():
        found = _wrong_field(name, value)
        if found is None and name == "name" and not scim and not isinstance(value, str | None):
            found = _expected(name, "a string", value)
        if found is None and name not in _MAPS:
            found = _wrong_below(value, scim=scim)
        if found is not None:
            return found
    return None


def _wrong_below(value: Any, *, scim: bool) -> str | None:
    if isinstance(value, dict):
        return wrong(value, scim=scim)
    if isinstance(value, list):
        return next((found for one in value if (found := _wrong_below(one, scim=scim)) is not None), None)
    return None


def _wrong_field(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name in _TEXTS and not isinstance(value, str):
        return _expected(name, "a string", value)
    if name in _NUMBERS and (isinstance(value, bool) or not str(value).lstrip("-").isdigit()):
        return _expected(name, "a whole number", value)
    if name in (*_OBJECTS, *_MAPS) and not isinstance(value, dict):
        return _expected(name, "an object", value)
    if name in (*_LISTS, *_LISTS_OF_OBJECTS) and not isinstance(value, list):
        return _expected(name, "an array", value)
    if name in _LISTS_OF_OBJECTS and not all(isinstance(one, dict) for one in value):
        return _expected(name, "an array of objects", value)
    return None


def _expected(name: str, what: str, value: Any) -> str:
    return f"Could not parse request object: Expected '{name}' to be {what}, got {value!r:.200}."
