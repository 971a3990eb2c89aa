"""Expressions of workflow definitions: `@last(triggerBody())?['subject']`, parsed when the definition is written.

Source: learn.microsoft.com/azure/logic-apps/workflow-definition-language-functions-reference. A function that is not in
the table here is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.core.errors import ServiceError, not_emulated

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<sign>\?\[|\?\.|[\[\](),.]))"
)
_CONSTANTS = {"true": True, "false": False, "null": None}


class EvaluationError(Exception):
    """An expression that cannot be evaluated on the values of a run; the action fails with it."""


@dataclass(frozen=True)
class Scope:
    """Values that functions of a run can see: the trigger's body, and the bodies of actions by name."""

    trigger_body: Any
    bodies: Mapping[str, Any]


Node = Callable[[Scope], Any]


def parse(value: Any, where: str) -> Node:
    """Return an evaluator of a definition's value: expressions at any depth, all else unchanged.

    Raises ServiceError 400 InvalidTemplate for a malformed expression, 501 for a function that is not emulated.
    """
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, dict):
        parts = {key: parse(item, where) for key, item in value.items()}
        return lambda scope: {key: part(scope) for key, part in parts.items()}
    if isinstance(value, list):
        items = [parse(item, where) for item in value]
        return lambda scope: [item(scope) for item in items]
    return lambda scope: value


def _text(text: str, where: str) -> Node:
    if text.startswith("@@"):
        return lambda scope: text[1:]
    if text.startswith("@") and not text.startswith("@{"):
        return _Parser(text[1:], where).whole()
    pieces = re.split(r"(@\{[^}]*\})", text)
    if len(pieces) == 1:
        return lambda scope: text
    parts = [_Parser(piece[2:-1], where).whole() if piece.startswith("@{") else _constant(piece) for piece in pieces]
    return lambda scope: "".join(_as_text(part(scope)) for part in parts)


class _Parser:
    """A parser by descent of one expression."""

    def __init__(self, text: str, where: str) -> None:
        self._whole, self._where = text, where
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._malformed(f"unexpected '{text[at:].strip()[:20]}'")
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()
        self._at = 0

    def whole(self) -> Node:
        node = self._expression()
        if self._at < len(self._tokens):
            raise self._malformed(f"unexpected '{self._tokens[self._at][1]}'")
        return node

    def _expression(self) -> Node:
        kind, token = self._next()
        if kind == "text":
            node = _constant(token[1:-1].replace("''", "'"))
        elif kind == "number":
            node = _constant(float(token) if "." in token else int(token))
        elif kind == "name" and token.lower() in _CONSTANTS:
            node = _constant(_CONSTANTS[token.lower()])
        elif kind == "name":
            node = self._call(token)
        else:
            raise self._malformed(f"unexpected '{token}'")
        return self._members(node)

    def _call(self, name: str) -> Node:
        if self._peek() != "(":
            raise self._malformed(f"'{name}' is neither a constant nor a function")
        self._next()
        arguments: list[Node] = []
        while self._peek() != ")":
            arguments.append(self._expression())
            if self._peek() == ",":
                self._next()
            elif self._peek() != ")":
                raise self._malformed(f"the arguments of {name} do not end")
        self._next()
        function = _FUNCTIONS.get(name.lower())
        if function is None:
            raise not_emulated(f"the function {name} of workflow definitions ({self._where})")
        least, most, call = function
        if not least <= len(arguments) <= most:
            raise self._malformed(f"{name} takes {least if least == most else f'{least} to {most}'} arguments")
        return lambda scope: call(scope, *(argument(scope) for argument in arguments))

    def _members(self, node: Node) -> Node:
        while self._peek() in {"[", "?["}:
            optional = self._next()[1] == "?["
            key = self._expression()
            if self._peek() != "]":
                raise self._malformed("a bracket does not end")
            self._next()
            node = _member(node, key, optional=optional)
        if self._peek() in {".", "?."}:
            raise not_emulated(f"members by a dot in expressions ({self._where}): write ?['name']")
        return node

    def _peek(self) -> str:
        if self._at >= len(self._tokens):
            return ""
        kind, token = self._tokens[self._at]
        return "" if kind == "text" else token

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise self._malformed("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _malformed(self, reason: str) -> ServiceError:
        return ServiceError(
            400,
            "InvalidTemplate",
            f"Unable to parse template language expression '{self._whole}' of {self._where}: {reason}.",
        )


def _constant(value: Any) -> Node:
    return lambda scope: value


def _member(node: Node, key: Node, *, optional: bool) -> Node:
    def value(scope: Scope) -> Any:
        holder, name = node(scope), key(scope)
        if holder is None and optional:
            return None
        if isinstance(holder, dict) and isinstance(name, str):
            if name in holder or optional:
                return holder.get(name)
            raise EvaluationError(f"The property '{name}' doesn't exist, available properties are {sorted(holder)}.")
        if isinstance(holder, list) and isinstance(name, int) and not isinstance(name, bool):
            if -1 < name < len(holder):
                return holder[name]
            raise EvaluationError(f"The array index '{name}' is outside bounds (0, {len(holder) - 1}).")
        raise EvaluationError(
            f"Members of a value of type '{type(holder).__name__}' cannot be selected by {name!r:.60}."
        )

    return value


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value)
    return "" if value is None else str(value)


def _texts(*values: Any) -> tuple[str, ...]:
    for value in values:
        if not isinstance(value, str):
            raise EvaluationError(f"A text is needed, and {value!r:.60} is none.")
    return values


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise EvaluationError(f"An array is needed, and {value!r:.60} is none.")
    return value


def _body(scope: Scope, name: str) -> Any:
    if name not in scope.bodies:
        raise EvaluationError(f"The action '{name}' has not run, or has no body.")
    return scope.bodies[name]


def _sort(scope: Scope, values: Any, key: str) -> list[Any]:
    return sorted(_list(values), key=lambda item: str(item.get(key) or "") if isinstance(item, dict) else "")


def _last(scope: Scope, values: Any) -> Any:
    if not values or not isinstance(values, list | str):
        raise EvaluationError(f"last needs an array or a text that is not empty, not {values!r:.60}.")
    return values[-1]


def _contains(scope: Scope, holder: Any, value: Any) -> bool:
    if isinstance(holder, str):
        return _texts(value)[0] in holder
    if isinstance(holder, list | dict):
        return value in holder
    raise EvaluationError(f"contains needs a text, an array or an object, not {holder!r:.60}.")


def _replace(scope: Scope, text: Any, old: Any, new: Any) -> str:
    text, old, new = _texts(text, old, new)
    return str(text).replace(old, new)


def _substring(scope: Scope, text: Any, start: Any) -> str:
    if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start <= len(*_texts(text)):
        raise EvaluationError(f"substring cannot begin at {start!r:.20} in a text of {len(text)} characters.")
    return str(text)[start:]


def _length(scope: Scope, value: Any) -> int:
    if not isinstance(value, str | list):
        raise EvaluationError(f"length needs a text or an array, not {value!r:.60}.")
    return len(value)


_MANY = 100
_FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "body": (1, 1, _body),
    "concat": (1, _MANY, lambda scope, *values: "".join(_as_text(value) for value in values)),
    "contains": (2, 2, _contains),
    "equals": (2, 2, lambda scope, left, right: left == right),
    "last": (1, 1, _last),
    "length": (1, 1, _length),
    "not": (1, 1, lambda scope, value: not value),
    "or": (2, _MANY, lambda scope, *values: any(values)),
    "sort": (2, 2, _sort),
    "replace": (3, 3, _replace),
    "substring": (2, 2, _substring),
    "triggerbody": (0, 0, lambda scope: scope.trigger_body),
}
"""Least and most arguments, and the function."""
