"""Refusals of the vendor's provider before it sends anything, beside unknown, missing and mistyped inputs.

The vendor's plugin is the Terraform provider behind a bridge: rules and texts are from its source
(github.com/databricks/terraform-provider-databricks, the file beside each rule) and of terraform-plugin-sdk's
helper/validation. Names in texts are the program's own instead of Terraform's.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import Any

from localcloud.plugins.schema import Failure
from localcloud.plugins.values import UNKNOWN, Plain

Rule = Callable[[Plain], Iterator[Failure]]

_WORKSPACE_LEVELS = ("CAN_EDIT", "CAN_MANAGE", "CAN_READ", "CAN_RUN")
LEVELS: Mapping[str, tuple[str, ...]] = {
    "clusterPolicyId": ("CAN_USE",),
    "instancePoolId": ("CAN_ATTACH_TO", "CAN_MANAGE"),
    "jobId": ("CAN_MANAGE", "CAN_MANAGE_RUN", "CAN_VIEW", "IS_OWNER"),
    **dict.fromkeys(
        ("notebookId", "notebookPath", "directoryId", "directoryPath", "workspaceFilePath"), _WORKSPACE_LEVELS
    ),
}
"""Permission levels by the input that names the object (permissions/permission_definitions.go)."""
_NAME = re.compile(r"[\w.@_/-]{1,128}", re.ASCII)


def failures(token: str, inputs: Plain) -> list[Failure]:
    """Return (path, reason) of each refusal. Unknown values count as right."""
    rule = _RULES.get(token)
    return [] if rule is None else list(rule(inputs))


def _instance_pool(inputs: Plain) -> Iterator[Failure]:
    """Apply pools/resource_instance_pool.go."""
    yield from _one_of(inputs, "azureAttributes.availability", "SPOT_AZURE", "ON_DEMAND_AZURE")
    yield from _one_of(inputs, "diskSpec.diskType.azureDiskVolumeType", "PREMIUM_LRS", "STANDARD_LRS")
    yield from _conflicts(inputs, "awsAttributes", "azureAttributes", "gcpAttributes")
    yield from _conflicts(inputs, "nodeTypeId", "instancePoolFleetAttributes")


def _cluster_policy(inputs: Plain) -> Iterator[Failure]:
    """Apply policies/resource_cluster_policy.go."""
    yield from _conflicts(inputs, "definition", "policyFamilyDefinitionOverrides")
    yield from _conflicts(inputs, "definition", "policyFamilyId")
    yield from _needs(inputs, "policyFamilyDefinitionOverrides", "policyFamilyId")


def _permissions(inputs: Plain) -> Iterator[Failure]:
    """Apply permissions/resource_permissions.go and permission_definitions.go."""
    objects = [name for name in LEVELS if _has_value(inputs, name)]
    yield from _conflicts(inputs, *LEVELS)
    controls = inputs.get("accessControls")
    if controls == []:
        yield "accessControls", "Attribute accessControls requires 1 item minimum, but config has only 0 declared."
    if len(objects) != 1 or not isinstance(controls, list):
        return
    allowed = LEVELS[objects[0]]
    for index, control in enumerate(controls):
        if not isinstance(control, dict):
            continue
        level = control.get("permissionLevel")
        if isinstance(level, str) and level not in allowed:
            yield (
                f"accessControls[{index}].permissionLevel",
                f"permission_level {level} is not supported with {objects[0]} objects;"
                f" allowed levels: {', '.join(allowed)}",
            )
        if control.get("groupName") == "admins":
            yield (
                f"accessControls[{index}].groupName",
                f"it is not possible to modify admin permissions for {objects[0]} resources",
            )


def _secret_scope(inputs: Plain) -> Iterator[Failure]:
    """Apply secrets/resource_secret_scope.go."""
    yield from _is_name(inputs, "name")


def _secret_acl(inputs: Plain) -> Iterator[Failure]:
    """Apply secrets/resource_secret_acl.go."""
    yield from _is_name(inputs, "scope")


def _secret(inputs: Plain) -> Iterator[Failure]:
    """Apply secrets/resource_secret.go."""
    yield from _is_name(inputs, "scope")
    yield from _is_name(inputs, "key")
    if inputs.get("stringValue") == "":
        yield "stringValue", 'expected "stringValue" to not be an empty string'


def _notebook(inputs: Plain) -> Iterator[Failure]:
    """Apply workspace/resource_notebook.go."""
    yield from _content(inputs)
    yield from _one_of(inputs, "language", "SCALA", "PYTHON", "R", "SQL")
    yield from _one_of(inputs, "format", "SOURCE", "DBC", "JUPYTER")
    yield from _needs(inputs, "contentBase64", "language")


def _content(inputs: Plain) -> Iterator[Failure]:
    """Apply workspace/file_resource.go."""
    yield from _conflicts(inputs, "contentBase64", "source")
    content, path = inputs.get("contentBase64"), inputs.get("path")
    if isinstance(content, str):
        try:
            base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError):
            yield "contentBase64", f'expected "contentBase64" to be a base64 string, got {content[:40]}'
    if isinstance(path, str) and path.startswith("dbfs:"):
        yield "path", "Remove `dbfs:` prefix"
    elif isinstance(path, str) and path and path != (clean := posixpath.normpath(path)):
        yield "path", f"Clean path required: replace value with {clean} to avoid resource replacement"


def _one_of(inputs: Plain, path: str, *values: str) -> Iterator[Failure]:
    value_at_path: Any = inputs
    for part in path.split("."):
        value_at_path = value_at_path.get(part) if isinstance(value_at_path, dict) else None
    if isinstance(value_at_path, str) and value_at_path and value_at_path not in values:
        quoted = " ".join(f'"{value}"' for value in values)
        yield path, f"expected {path} to be one of [{quoted}], got {value_at_path}"


def _is_name(inputs: Plain, name: str) -> Iterator[Failure]:
    value = inputs.get(name)
    if isinstance(value, str) and not _NAME.fullmatch(value):
        yield (
            name,
            f"invalid value for {name} (Must consist of alphanumeric characters, dashes, underscores, and periods,"
            " and may not exceed 128 characters.)",
        )


def _conflicts(inputs: Plain, *names: str) -> Iterator[Failure]:
    for first, second in combinations((name for name in names if _has_value(inputs, name)), 2):
        yield first, f'Conflicting configuration arguments: "{first}": conflicts with {second}'


def _needs(inputs: Plain, name: str, other: str) -> Iterator[Failure]:
    if _has_value(inputs, name) and not _has_value(inputs, other) and inputs.get(other) is not UNKNOWN:
        yield name, f'Missing required argument: "{name}": all of `{name},{other}` must be specified'


def _has_value(inputs: Plain, name: str) -> bool:
    """Whether an input has a known value."""
    return inputs.get(name) not in (None, "", UNKNOWN)


_RULES: Mapping[str, Rule] = {
    "databricks:index/instancePool:InstancePool": _instance_pool,
    "databricks:index/clusterPolicy:ClusterPolicy": _cluster_policy,
    "databricks:index/permissions:Permissions": _permissions,
    "databricks:index/secretScope:SecretScope": _secret_scope,
    "databricks:index/secretAcl:SecretAcl": _secret_acl,
    "databricks:index/secret:Secret": _secret,
    "databricks:index/notebook:Notebook": _notebook,
    "databricks:index/workspaceFile:WorkspaceFile": _content,
}
