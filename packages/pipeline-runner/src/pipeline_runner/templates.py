"""Compilation of a pipeline and its templates to one plain document, as Azure Pipelines does it before a run.

Supported: parameters with types, defaults and values; `${{ }}` expressions; if, elseif, else, each, insert; templates
of stages, jobs, steps and variables; extends. Source: learn.microsoft.com "Template expressions", "Template
parameters".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipeline_runner import functions
from pipeline_runner.errors import ExpressionError, PipelineError
from pipeline_runner.expressions import evaluate, parse
from pipeline_runner.parameters import bind

_WHOLE = re.compile(r"^\s*\$\{\{(?P<body>(?:(?!\}\}).)*)\}\}\s*$", re.DOTALL)
_PART = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_EACH_EXPRESSION = re.compile(r"^each\s+(\w+)\s+in\s+(.*)$", re.DOTALL)
_LISTS = ("stages", "jobs", "steps", "variables")
_SCOPED = ("stage", "job", "deployment")


@dataclass(frozen=True)
class Scope:
    """The surroundings of an expression: its file, parameters, variables and loop variables."""

    root: Path
    file: Path
    parameters: Mapping[str, Any]
    variables: Mapping[str, Any]
    locals: Mapping[str, Any]

    @property
    def contexts(self) -> dict[str, Any]:
        """The contexts of expressions, by name."""
        return {"parameters": self.parameters, "variables": self.variables, **self.locals}


def load(file: Path) -> dict[str, Any]:
    """Return the content of a YAML file. Raises PipelineError with the file unless it is a mapping."""
    try:
        content = _parsed(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PipelineError(f"There is no file {file}.") from error
    except yaml.YAMLError as error:
        raise PipelineError(f"{file} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise PipelineError(f"{file} is not a mapping.")
    return dict(content)


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """Parse a text once: parsing takes most of a compilation's time, and a pipeline includes few templates often."""
    return yaml.safe_load(text)


def template_file(path: str, file: Path, root: Path) -> Path:
    """Return the file that `template:` in another file names. Raises PipelineError for one of another repository."""
    path = path.removesuffix("@self")
    if "@" in path:
        raise PipelineError(f"{path}: templates of other repositories cannot be read here.")
    return root / path.lstrip("/") if path.startswith("/") else (file.parent / path).resolve()


def compile_pipeline(
    file: Path, root: Path, parameters: Mapping[str, Any], predefined: Mapping[str, str]
) -> dict[str, Any]:
    """Return the document of a pipeline without templates and expressions.

    `predefined` has variables that exist before a run, such as Build.Reason. Raises PipelineError.
    """
    document = load(file)
    bound = bind(document.pop("parameters", None) or [], parameters, file)
    scope = Scope(root, file, bound, dict(predefined), {})
    try:
        variables = _expand(document.pop("variables", []), scope, "variables")
        scope = replace(scope, variables={**predefined, **_static(variables)})
        expanded: dict[str, Any] = _expand(document, scope, "")
        if "extends" in expanded:
            base = expanded.pop("extends")
            expanded |= _include(base, scope, None)
    except ExpressionError as error:
        raise PipelineError(f"{_name(scope)}: {error}") from error
    return {**expanded, "variables": variables}


def _expand(node: Any, scope: Scope, key: str) -> Any:
    if isinstance(node, dict):
        return _mapping(node, scope)
    if isinstance(node, list):
        return _sequence(node, scope, key)
    if isinstance(node, str):
        return _string(node, scope)
    return node


def _string(value: str, scope: Scope) -> Any:
    whole = _WHOLE.match(value)
    if whole:
        return _value(whole["body"], scope)
    return _PART.sub(lambda match: functions.text(_value(match[1], scope)), value)


def _value(body: str, scope: Scope) -> Any:
    try:
        return evaluate(parse(body.strip()), scope.contexts)
    except ExpressionError as error:
        raise PipelineError(f"{_name(scope)}: {{{{ {body.strip()} }}}}: {error}") from error


def _mapping(node: dict[Any, Any], scope: Scope) -> dict[str, Any]:
    if any(word in node for word in _SCOPED) and "variables" in node:
        # Expressions below a stage or a job can read its own variables.
        own = _static(_expand(node["variables"], scope, "variables"))
        scope = replace(scope, variables={**scope.variables, **own})
    result: dict[str, Any] = {}
    chosen: bool | None = None
    for raw, value in node.items():
        directive = _directive(raw)
        if directive is None:
            chosen = None
            result[functions.text(_string(str(raw), scope))] = _expand(value, scope, str(raw))
            continue
        chosen, branches = _branches(directive, value, scope, chosen)
        for inner, inner_scope in branches:
            expanded = _expand(inner, inner_scope, "")
            if expanded in (None, ""):
                continue
            if not isinstance(expanded, dict):
                raise PipelineError(f"{_name(scope)}: {raw} is in a mapping, and must hold one.")
            result |= expanded
    return result


def _sequence(node: list[Any], scope: Scope, key: str) -> list[Any]:
    result: list[Any] = []
    chosen: bool | None = None
    for item in node:
        directive = _directive(next(iter(item))) if isinstance(item, dict) and len(item) == 1 else None
        if directive is not None:
            chosen, branches = _branches(directive, next(iter(item.values())), scope, chosen)
            for inner, inner_scope in branches:
                if isinstance(inner, list):
                    result += _sequence(inner, inner_scope, key)
                else:
                    expanded = _expand(inner, inner_scope, key)
                    result += expanded if isinstance(expanded, list) else [] if expanded is None else [expanded]
            continue
        chosen = None
        if isinstance(item, dict) and "template" in item and key in _LISTS:
            result += _include(_mapping(item, scope), scope, key)
            continue
        whole = isinstance(item, str) and _WHOLE.match(item)
        expanded = _expand(item, scope, "")
        result += expanded if whole and isinstance(expanded, list) else [expanded]
    return result


def _directive(key: Any) -> str | None:
    """Return the body of a key such as `${{ if … }}`; None for any other key."""
    whole = _WHOLE.match(key) if isinstance(key, str) else None
    body = whole["body"].strip() if whole else ""
    word = re.split(r"[\s(]", body, maxsplit=1)[0].lower()
    return body if word in ("if", "elseif", "else", "each", "insert") else None


def _branches(
    directive: str, value: Any, scope: Scope, chosen: bool | None
) -> tuple[bool | None, list[tuple[Any, Scope]]]:
    """Return whether an `if` before `else` held, and the values that a directive selects, each with its scope."""
    word = re.split(r"[\s(]", directive, maxsplit=1)[0].lower()
    rest = directive[len(word) :].strip()
    if word == "insert":
        return None, [(value, scope)]
    if word == "each":
        return None, _expand_each(directive, value, scope)
    if word != "if" and chosen is None:
        raise PipelineError(f"{_name(scope)}: {word} without an if before it.")
    holds = (
        not chosen
        if word == "else"
        else bool(not (chosen and word == "elseif") and functions.truth(_value(rest, scope)))
    )
    return (True if chosen and word != "if" else holds), [(value, scope)] if holds else []


def _expand_each(directive: str, value: Any, scope: Scope) -> list[tuple[Any, Scope]]:
    match = _EACH_EXPRESSION.match(directive)
    if match is None:
        raise PipelineError(f"{_name(scope)}: {directive!r} should be: each NAME in LIST.")
    members = _value(match[2], scope)
    if isinstance(members, Mapping):
        members = [{"key": key, "value": member} for key, member in members.items()]
    if not isinstance(members, list):
        raise PipelineError(f"{_name(scope)}: {match[2]} is neither a list nor an object.")
    return [(value, replace(scope, locals={**scope.locals, match[1].lower(): member})) for member in members]


def _include(reference: Mapping[str, Any], scope: Scope, key: str | None) -> Any:
    """Return the list `key` of a template (`stages`, `jobs`, …), or with None the whole template, for extends."""
    try:
        file = template_file(str(reference["template"]), scope.file, scope.root)
    except PipelineError as error:
        raise PipelineError(f"{_name(scope)}: {error}") from error
    document = load(file)
    bound = bind(document.pop("parameters", None) or [], reference.get("parameters") or {}, file)
    inner = Scope(scope.root, file, bound, scope.variables, {})
    if key is None:
        expanded: dict[str, Any] = _expand(document, inner, "")
        return expanded
    if key not in document:
        raise PipelineError(f"{_name(inner)} is used as a template of {key}, and has no {key}.")
    content = document[key]
    if key == "variables" and isinstance(content, dict):
        content = [{"name": name, "value": value} for name, value in content.items()]
    return _expand(content, inner, key)


def _static(variables: Any) -> dict[str, Any]:
    """Return the variables whose values are in the YAML; groups' variables are unknown before the run."""
    if isinstance(variables, dict):
        return dict(variables)
    return {variable["name"]: variable.get("value", "") for variable in variables if "name" in variable}


def _name(scope: Scope) -> str:
    return str(scope.file.relative_to(scope.root)) if scope.file.is_relative_to(scope.root) else str(scope.file)
