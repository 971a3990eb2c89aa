"""Edits of YAML files as people make them: one value changes, and comments, order and layout of the rest stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import yaml
from pipeline_runner.errors import RunnerError


def with_value(text: str, path: Sequence[str | int], value: Any) -> str:
    """Return the text with a value at a path of keys and indices, where missing mappings are made.

    Raises RunnerError where the path leads through another value than a mapping or a list.
    """
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        raise RunnerError("The YAML is empty: it has no value to change.")
    for depth, part in enumerate(path):
        inner = _inner(node, part)
        if inner is None:
            return _with_entry(text, node, path[depth:], value)
        node = inner
    return _replaced(text, node, _flow(value))


def _inner(node: yaml.Node, part: str | int) -> yaml.Node | None:
    """Return the node at a key or index, None where it is missing."""
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        inner: yaml.Node = node.value[part]
        return inner
    return None


def _with_entry(text: str, node: yaml.Node, path: Sequence[str | int], value: Any) -> str:
    """Return the text with a new first entry in a mapping; in the place of an empty value, with a mapping of it."""
    for part in reversed(path[1:]):
        value = {part: value}
    key = path[0]
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return _replaced(text, node, _flow({key: value}))
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1
        raise RunnerError(f"There is no place for {key} in line {line} of the YAML: it has no mapping there.")
    if not node.value:
        return _replaced(text, node, _flow({key: value}))
    start = node.value[0][0].start_mark
    separator = ", " if node.flow_style else "\n" + " " * start.column
    return f"{text[: start.index]}{key}: {_flow(value)}{separator}{text[start.index :]}"


def _replaced(text: str, node: yaml.Node, value: str) -> str:
    """Return the text with another value in a node's place."""
    start = node.start_mark.index
    before = " " if text[start - 1 : start] == ":" else ""
    return f"{text[:start]}{before}{value}{text[_end(node) :]}"


def _end(node: yaml.Node) -> int:
    """Return the index after a node's last value: a block's own mark is behind the comments after it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    return end


def _flow(value: Any) -> str:
    """Return a value on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=math.inf, sort_keys=False)
    return text.removesuffix("\n...\n").rstrip("\n")
