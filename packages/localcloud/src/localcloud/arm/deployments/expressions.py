"""The expressions in ARM templates: "[concat(parameters('name'), '-data')]".

Grammar: learn.microsoft.com/azure/azure-resource-manager/templates/template-expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from localcloud.core.errors import ServiceError

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_][\w.]*)|(?P<sign>[()\[\],.]))")


def invalid(message: str) -> ServiceError:
    return ServiceError(400, "InvalidTemplate", f"Deployment template validation failed: '{message}'.")


@dataclass(frozen=True)
class Value:
    """A text or a number."""

    value: Any


@dataclass(frozen=True)
class Invocation:
    """`name` in lower case, without a namespace (sys.concat is concat)."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Member:
    """owner.name or owner[index]."""

    owner: Node
    key: Node


Node = Value | Invocation | Member


class Scope(Protocol):
    """Answers functions. `evaluate` turns an argument into its value; arguments of if() are not all evaluated."""

    def invoke(self, name: str, arguments: tuple[Node, ...], evaluate: Callable[[Node], Any]) -> Any: ...


def is_expression(text: str) -> bool:
    return text.startswith("[") and text.endswith("]") and not text.startswith("[[")


def parse(text: str) -> Node:
    """Parse an expression "[…]". Raises ServiceError 400 InvalidTemplate naming the expression."""
    return _Parser(text).whole()


def evaluate(value: Any, scope: Scope) -> Any:
    """Return a JSON value with every expression in it replaced, keys included."""
    if isinstance(value, dict):
        return {str(evaluate(key, scope)): evaluate(item, scope) for key, item in value.items()}
    if isinstance(value, list):
        return [evaluate(item, scope) for item in value]
    if isinstance(value, str):
        if is_expression(value):
            return _evaluated(parse(value), scope, value)
        return value[1:] if value.startswith("[[") else value
    return value


def _evaluated(node: Node, scope: Scope, text: str) -> Any:
    if isinstance(node, Value):
        return node.value
    if isinstance(node, Invocation):
        return scope.invoke(node.name, node.arguments, lambda argument: _evaluated(argument, scope, text))
    owner, key = _evaluated(node.owner, scope, text), _evaluated(node.key, scope, text)
    if isinstance(owner, dict) and isinstance(key, str):
        for name, value in owner.items():
            if name.lower() == key.lower():
                return value
        known = ", ".join(map(str, owner))
        raise invalid(
            f"The template language expression '{text}' is not valid: the property '{key}' doesn't exist, available "
            f"properties are '{known}'"
        )
    if isinstance(owner, list) and isinstance(key, int) and 0 <= key < len(owner):
        return owner[key]
    raise invalid(f"The template language expression '{text}' is not valid: there is nothing at '{key}'")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split(text[1:-1])
        self._at = 0

    def whole(self) -> Node:
        node = self._node()
        if self._at != len(self._tokens):
            raise self._wrong()
        return node

    def _split(self, inner: str) -> list[tuple[str, str]]:
        tokens, place = [], 0
        while place < len(inner) and inner[place:].strip():
            match = _TOKEN.match(inner, place)
            if match is None or match.lastgroup is None:
                raise self._wrong()
            tokens.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        return tokens

    def _wrong(self) -> ServiceError:
        return invalid(f"Unable to parse language expression '{self._text}'")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._wrong()
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("sign", sign):
            self._at += 1
            return True
        return False

    def _node(self) -> Node:
        kind, text = self._next()
        node: Node
        if kind == "text":
            node = Value(text[1:-1].replace("''", "'"))
        elif kind == "number":
            node = Value(int(text))
        elif kind == "name" and self._take("("):
            node = Invocation(text.rsplit(".", 1)[-1].lower(), self._arguments())
        else:
            raise self._wrong()
        return self._members(node)

    def _arguments(self) -> tuple[Node, ...]:
        arguments: list[Node] = []
        if self._take(")"):
            return ()
        while True:
            arguments.append(self._node())
            if self._take(")"):
                return tuple(arguments)
            if not self._take(","):
                raise self._wrong()

    def _members(self, node: Node) -> Node:
        while True:
            if self._take("."):
                kind, text = self._next()
                if kind != "name":
                    raise self._wrong()
                for part in text.split("."):
                    node = Member(node, Value(part))
            elif self._take("["):
                node = Member(node, self._node())
                if not self._take("]"):
                    raise self._wrong()
            else:
                return node
