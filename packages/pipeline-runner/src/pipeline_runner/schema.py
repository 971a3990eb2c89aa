"""The compiled pipeline against the schema of Azure DevOps' own language server, which check-jsonschema bundles.

That schema lists the tasks of one organisation; what it lacks, newer tasks and those of extensions, comes from
task_inputs.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from pipeline_runner import task_inputs


def problems(document: dict[str, Any]) -> list[str]:
    """One line for each, with its path; empty when the document fits."""
    validator = _validator(frozenset(_tasks(document)))
    return [_line(error) for error in validator.iter_errors(_scalars(document, within_inputs=False))]


@cache
def _validator(tasks: frozenset[str]) -> Draft7Validator:
    """For documents with these tasks: trying each step against the hundreds of others takes ten times as long."""
    schema = _bundled()
    task = schema["definitions"]["task"]
    branches = [*task["anyOf"], *task_inputs.branches()]
    fitting = [one for one in branches if any(re.search(one["properties"]["task"]["pattern"], name) for name in tasks)]
    known = {"anyOf": [*task["properties"]["task"]["anyOf"], {"enum": list(task_inputs.UNLISTED)}]}
    narrowed = task | {"anyOf": fitting, "properties": task["properties"] | {"task": known}}
    return Draft7Validator(schema | {"definitions": schema["definitions"] | {"task": narrowed}})


@cache
def _bundled() -> dict[str, Any]:
    file = resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "azure-pipelines.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def _tasks(node: Any) -> Iterator[str]:
    """Return the tasks of a document, by the names that steps give them."""
    if isinstance(node, dict):
        if isinstance(node.get("task"), str):
            yield node["task"]
        for value in node.values():
            yield from _tasks(value)
    elif isinstance(node, list):
        for value in node:
            yield from _tasks(value)


def _scalars(node: Any, *, within_inputs: bool) -> Any:
    """The schema knows numbers and booleans as strings, but for the inputs of tasks."""
    if isinstance(node, dict):
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
    """The innermost reason: of an `anyOf`, the branch that was meant, which is the one that fits furthest down."""
    meant = error
    while meant.context and list(meant.absolute_path)[-1:] != ["task"]:
        branches: dict[Any, list[ValidationError]] = {}
        for one in meant.context:
            branches.setdefault(one.schema_path[0], []).append(one)
        fitting = [found for found in branches.values() if not any(_other_kind(one) for one in found)]
        if not fitting and isinstance(meant.instance, dict) and "task" in meant.instance:
            return f"{_path(meant)}.task: {meant.instance['task']!r} is not a task, or not a version of it"
        chosen = max(fitting or branches.values(), key=_fit)
        meant = max(chosen, key=_depth)
    reason = re.sub(r"\s+", " ", meant.message)[:300]
    if list(meant.absolute_path)[-1:] == ["task"]:
        reason = f"{meant.instance!r} is not a task, or not a version of it"
    return f"{_path(meant)}: {reason}"


def _path(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "the document"


def _depth(error: ValidationError) -> int:
    return max([len(error.absolute_path), *(_depth(one) for one in error.context or ())])


def _fit(branch: list[ValidationError]) -> tuple[int, int, int]:
    """The deeper the mistake, and the fewer the names that the branch does not know, the likelier it was meant."""
    unknown = sum(
        len(set(one.instance) - set(one.schema.get("properties", {})))
        for one in branch
        if one.validator == "additionalProperties" and isinstance(one.instance, dict)
    )
    return max(_depth(one) for one in branch), -unknown, -len(branch)


def _other_kind(error: ValidationError) -> bool:
    """The branch is for another task, or another kind of step, job or document."""
    if error.validator in ("pattern", "enum") and list(error.path)[-1:] == ["task"]:
        return True
    return error.validator in ("required", "type") and len(error.relative_path) == 0
