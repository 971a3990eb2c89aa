"""The compiled pipeline against the schema of Azure DevOps' own language server, which check-jsonschema bundles.

That schema lists the tasks of one organisation; steps of newer tasks and of extensions are checked for
all but their inputs.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

# Of extensions, and newer than the bundled schema (1.261).
UNLISTED_TASKS = ("publishcodecoverageresults@2", "azuremljobwaittask@1", "pulumi@1")


def problems(document: dict[str, Any]) -> list[str]:
    """One line for each, with its path; empty when the document fits."""
    return [_line(error) for error in _validator().iter_errors(_scalars(document, within_inputs=False))]


@cache
def _validator() -> Draft7Validator:
    file = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "azure-pipelines.json"
    return Draft7Validator(json.loads(file.read_text(encoding="utf-8")))


def _scalars(node: Any, *, within_inputs: bool) -> Any:
    """The schema knows numbers and booleans as strings, but for the inputs of tasks."""
    if isinstance(node, dict):
        if str(node.get("task", "")).lower() in UNLISTED_TASKS:
            node = {"bash": "", **{key: value for key, value in node.items() if key not in ("task", "inputs")}}
        return {
            key: _scalars(value, within_inputs=within_inputs or (key == "inputs" and "task" in node))
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_scalars(value, within_inputs=within_inputs) for value in node]
    if isinstance(node, bool) and not within_inputs:
        return str(node).lower()
    return node if isinstance(node, bool | str) or node is None else str(node)


def _line(error: ValidationError) -> str:
    """The innermost reason: of an `anyOf`, the branch that was meant."""
    meant = error
    while meant.context:
        branches: dict[Any, list[ValidationError]] = {}
        for one in meant.context:
            branches.setdefault(one.schema_path[0], []).append(one)
        fitting = [found for found in branches.values() if not any(_other_kind(one) for one in found)]
        chosen = min(fitting or branches.values(), key=len)
        meant = max(chosen, key=lambda one: len(one.absolute_path))
    path = ".".join(str(part) for part in meant.absolute_path) or "the document"
    reason = re.sub(r"\s+", " ", meant.message)[:300]
    return f"{path}: {reason}"


def _other_kind(error: ValidationError) -> bool:
    """The branch is for another task, or another kind of step, job or document."""
    if error.validator == "pattern" and list(error.path)[-1:] == ["task"]:
        return True
    return error.validator in ("required", "type") and len(error.relative_path) == 0
