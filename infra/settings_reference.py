"""`python -m infra.settings_reference`: writes docs/reference/settings.md and the `config` of Pulumi.yaml.

Both say what infra.settings says; a test holds them to it.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from infra.settings import Settings
from infra.stack_file import PROJECT, ROOT

REFERENCE = ROOT / "docs" / "reference" / "settings.md"
PROJECT_FILE = ROOT / "Pulumi.yaml"
_NOT_CONFIGURED = "environment"  # it is the stack's name
_CONFIG = "\nconfig:\n"

_HEAD = """# Settings

What `Pulumi.<stack>.yaml` may say, under `config:`, each name with `dataopsml:` before it. Written by
`python -m infra.settings_reference` from `infra/settings.py`; a test holds this page to it.

The environment is the stack's name: 2 to 10 lowercase letters and digits, a letter first. A stack has to set
`base_name`, `location`, `owner` and `cost_center`; all else has a default. Everything wrong with a stack's settings is
reported at once, by the names below, before any resource is touched.
"""


def reference() -> str:
    """The page, as Markdown."""
    lines = [_HEAD, *_table((name, field) for name, field in _fields(Settings) if _model(field) is None)]
    for name, field in _fields(Settings):
        model = _model(field)
        if model is not None:
            lines += ["", f"## {name}", "", _summary(model), ""]
            lines += _table((f"{name}.{inner}", each) for inner, each in _fields(model))
    return "\n".join(lines) + "\n"


def config_schema() -> dict[str, Any]:
    """Pulumi.yaml's `config`: type, description and default of each name at the top."""
    schema: dict[str, Any] = {}
    for name, field in _fields(Settings):
        model = _model(field)
        if model is not None:
            default = field.default.model_dump(mode="json", exclude_none=True)
            schema[name] = {"type": "object", "description": _summary(model), "default": default}
        elif field.annotation is str:
            # Without a default the engine would report a missing name by itself, before all others are looked at.
            schema[name] = {"type": "string", "description": f"{field.description} Has to be set.", "default": ""}
        else:
            schema[name] = {"type": "object", "description": field.description, "default": field.default}
    return schema


def project_file(text: str) -> str:
    """Pulumi.yaml with the `config` of today, all before it as it stands."""
    head = text.split(_CONFIG, 1)[0].rstrip("\n")
    body = yaml.safe_dump(
        {f"{PROJECT}:{name}": value for name, value in config_schema().items()},
        sort_keys=False, allow_unicode=True, width=110,
    )  # fmt: skip
    return head + _CONFIG + "".join(f"  {line}\n" for line in body.splitlines())


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    return ((name, field) for name, field in model.model_fields.items() if name != _NOT_CONFIGURED)


def _model(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _summary(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").split("\n\n")[0].replace("\n", " ")


def _table(fields: Iterator[tuple[str, FieldInfo]]) -> list[str]:
    lines = ["| name | value | default | meaning |", "|---|---|---|---|"]
    for name, field in fields:
        default = "has to be set" if field.is_required() else f"`{_json(field.default)}`"
        lines.append(f"| `{name}` | {_kind(field)} | {default} | {field.description} |")
    return lines


def _kind(field: FieldInfo) -> str:
    """What is allowed, and an example where the default is none."""
    kind = _named(field.annotation) + _limits(field)
    example = (field.examples or [None])[0]
    return kind if example == field.default else f"{kind}, such as `{_json(example)}`"


def _named(annotation: Any) -> str:
    options = [each for each in get_args(annotation) if each is not type(None)]
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{option}`" for option in options)
    if get_origin(annotation) is list:
        return "list"
    if get_origin(annotation) is dict:
        return "object of texts"
    if type(None) in get_args(annotation):
        return _named(options[0])
    return {str: "text", int: "integer", bool: "true or false"}.get(annotation, "text")


def _limits(field: FieldInfo) -> str:
    low = next((each.ge for each in field.metadata if hasattr(each, "ge")), None)
    high = next((each.le for each in field.metadata if hasattr(each, "le")), None)
    return "" if low is None or high is None else f", {low} to {high}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    REFERENCE.parent.mkdir(parents=True, exist_ok=True)
    REFERENCE.write_text(reference(), encoding="utf-8")
    PROJECT_FILE.write_text(project_file(PROJECT_FILE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{REFERENCE.relative_to(ROOT)} and {PROJECT_FILE.name} are up to date.\n")


if __name__ == "__main__":
    main()
