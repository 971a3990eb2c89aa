"""Reads a stack's settings from Pulumi's configuration and reports everything that is wrong with them at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from infra.setting_types import SecretInSettingsError
from infra.settings import Settings


class SettingsError(Exception):
    """The stack's settings are not valid; the text names every problem by dotted path, with value and example."""


def read_settings(config: Mapping[str, str], project: str, stack: str) -> Settings:
    """Parse `config`, whose keys are "namespace:name" and whose values are text or JSON.

    Raises SettingsError.
    """
    prefix = f"{project}:"
    own = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    values: dict[str, Any] = {key: _decoded(key, value) for key, value in own.items() if value != ""}
    values["environment"] = stack
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = sorted(_line(problem) for problem in error.errors(include_url=False))
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"The settings of stack {stack} have {count}; nothing was changed.", *problems]
        lines.append(_advice(stack, stated=len(values) > 1 and "base_name" in values))
        raise SettingsError("\n".join(lines)) from None


def _decoded(key: str, text: str) -> Any:
    """Parse objects and lists, which are JSON. Text that is not JSON is returned for the model to refuse."""
    field = Settings.model_fields.get(key)
    if field is None or field.annotation is str or text[:1] not in "{[":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _line(problem: ErrorDetails) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    kind = problem["type"]
    example = _example(problem["loc"])
    hint = "" if example is None else f" Valid example: {_render(example)}"
    if kind == "missing":
        return f"  {path} is missing.{hint}"
    if kind == "extra_forbidden":
        value = "" if "webhook" in path else f" = {_render(problem['input'])}"  # a misspelt secret is one, too
        return f"  {path}{value}: there is no such setting.{_similar(problem['loc'])}"
    message = problem["msg"].removeprefix("Value error, ")
    if isinstance((problem.get("ctx") or {}).get("error"), SecretInSettingsError) or _is_secret(problem["loc"]):
        return f"  {path}: {message}.{hint}"
    message = message[0].lower() + message[1:]
    return f"  {path} = {_render(problem['input'])}: {message.rstrip('.')}.{hint}"


def _render(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value or '""'


def _field(location: Sequence[str | int]) -> FieldInfo | None:
    """Return the deepest field on the path to the location."""
    model: type[BaseModel] | None = Settings
    deepest: FieldInfo | None = None
    for part in location:
        if isinstance(part, int) or model is None:
            continue
        field = model.model_fields.get(part)
        if field is None:
            break
        deepest = field
        model = _model_of(field)
    return deepest


def _is_secret(location: Sequence[str | int]) -> bool:
    field = _field(location)
    return field is not None and isinstance(field.json_schema_extra, dict) and "secret" in field.json_schema_extra


def _model_of(field: FieldInfo) -> type[BaseModel] | None:
    annotation: Any = field.annotation
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None


def _example(location: Sequence[str | int]) -> Any:
    field = _field(location)
    if field is None:
        return None
    if field.examples:
        example = field.examples[0]
        inside = any(isinstance(part, int) for part in location) and isinstance(example, list)
        return example[0] if inside else example
    if isinstance(field.default, BaseModel):
        return field.default.model_dump(mode="json", exclude_none=True)
    return None


def _similar(location: Sequence[str | int]) -> str:
    parent = _field(location[:-1])
    model = Settings if parent is None else _model_of(parent)
    if model is None:
        return ""
    known = [name for name in model.model_fields if not (model is Settings and name == "environment")]
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    return f" Did you mean {close[0]}?" if close else f" There are: {', '.join(known)}."


def _advice(stack: str, *, stated: bool) -> str:
    if stated:
        return f"Correct them in Pulumi.{stack}.yaml; docs/reference/settings.md lists every setting."
    return (
        f"Stack {stack} seems to have no settings of its own: write Pulumi.{stack}.yaml, starting from "
        "Pulumi.dev.yaml; docs/reference/settings.md lists every setting."
    )
