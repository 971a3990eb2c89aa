"""Validation of compiled pipelines by the schema of Azure DevOps' own language server, which check-jsonschema bundles.

That schema lists the tasks of one organisation; newer tasks and extensions' tasks come from task_inputs.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import check_jsonschema  # type: ignore[import-untyped]
from jsonschema import Draft7Validator  # type: ignore[import-untyped]
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from pipeline_runner import task_inputs


def problems(document: dict[str, Any]) -> list[str]:
    """Return one line for each mistake, with its path; none when the document is valid."""
    validator = _validator(frozenset(_tasks(document)))
    return [_line(error) for error in validator.iter_errors(_scalars(document, within_inputs=False))]


@cache
def _validator(tasks: frozenset[str]) -> Draft7Validator:
    """Return the validator for documents with these tasks: with all hundreds of tasks it takes ten times as long."""
    schema = _bundled()
    task = schema["definitions"]["task"]
    branches = [*task["anyOf"], *task_inputs.branches()]
    patterns = [(branch["properties"]["task"]["pattern"], branch) for branch in branches]
    fitting = [branch for pattern, branch in patterns if any(re.search(pattern, name) for name in tasks)]
    known = {"anyOf": [*task["properties"]["task"]["anyOf"], {"enum": list(task_inputs.UNLISTED)}]}
    narrowed = task | {"anyOf": fitting, "properties": task["properties"] | {"task": known}}
    return Draft7Validator(schema | {"definitions": schema["definitions"] | {"task": narrowed}})


@cache
def _bundled() -> dict[str, Any]:
    file = resources.files(check_jsonschema) / "builtin_schemas" / "vendor" / "azure-pipelines.json"
    schema: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return schema


def _tasks(node: Any) -> Iterator[str]:
    """Return the tasks that the steps of a document name."""
    if isinstance(node, dict):
        if isinstance(node.get("task"), str):
            yield node["task"]
        for value in node.values():
            yield from _tasks(value)
    elif isinstance(node, list):
        for value in node:
            yield from _tasks(value)


_BOOLEANS_OF_TASKS = frozenset({"inputs", "continueOnError"})
"""Keys of a task whose booleans stay booleans in the schema."""


def _scalars(node: Any, *, within_inputs: bool) -> Any:
    """Return a document with numbers and booleans as strings, as the schema has them outside of tasks' own keys."""
    if isinstance(node, dict):
        return {
            key: _scalars(value, within_inputs=within_inputs or (key in _BOOLEANS_OF_TASKS and "task" in node))
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_scalars(value, within_inputs=within_inputs) for value in node]
    if isinstance(node, bool) and not within_inputs:
        return str(node).lower()
    return node if isinstance(node, bool | str) or node is None else str(node)


def _line(error: ValidationError) -> str:
    """Return the innermost reason of an error.

    Of an `anyOf` it is the intended branch's, whose mistake is deepest in the document.
    """
    inner = error
    while inner.context and list(inner.absolute_path)[-1:] != ["task"]:
        branches: dict[Any, list[ValidationError]] = {}
        for branch_error in inner.context:
            branches.setdefault(branch_error.schema_path[0], []).append(branch_error)
        fitting = [errors for errors in branches.values() if not any(_is_other_kind(error) for error in errors)]
        if not fitting and isinstance(inner.instance, dict) and "task" in inner.instance:
            return f"{_path(inner)}.task: {inner.instance['task']!r} is not a task, or not a version of it"
        intended = max(fitting or branches.values(), key=_fit)
        inner = max(intended, key=_depth)
    reason = re.sub(r"\s+", " ", inner.message)[:300]
    if list(inner.absolute_path)[-1:] == ["task"]:
        reason = f"{inner.instance!r} is not a task, or not a version of it"
    return f"{_path(inner)}: {reason}"


def _path(error: ValidationError) -> str:
    return ".".join(str(part) for part in error.absolute_path) or "the document"


def _depth(error: ValidationError) -> int:
    return max([len(error.absolute_path), *(_depth(inner) for inner in error.context or ())])


def _fit(branch: list[ValidationError]) -> tuple[int, int, int]:
    """Return a key that orders branches by likelihood: deeper mistakes and fewer unknown names make one likelier."""
    unknown = sum(
        len(set(error.instance) - set(error.schema.get("properties", {})))
        for error in branch
        if error.validator == "additionalProperties" and isinstance(error.instance, dict)
    )
    return max(_depth(error) for error in branch), -unknown, -len(branch)


def _is_other_kind(error: ValidationError) -> bool:
    """Return whether a branch is for another task, or for another kind of step, job or document."""
    if error.validator in ("pattern", "enum") and list(error.path)[-1:] == ["task"]:
        return True
    return error.validator in ("required", "type") and len(error.relative_path) == 0
