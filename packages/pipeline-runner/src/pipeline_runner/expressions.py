"""Azure Pipelines expressions: text to tree, tree to value.

Source of the grammar: learn.microsoft.com "Azure Pipelines expressions". Names and functions ignore case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline_runner import functions
from pipeline_runner.errors import ExpressionError

Value = Any
Function = Callable[..., Value]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>'(?:[^']|'')*')
      | (?P<version>\d+\.\d+\.\d+(?:\.\d+)?)
      | (?P<number>-?(?:0x[0-9a-fA-F]+|\d+(?:\.\d+)?|\.\d+))
      | (?P<name>[A-Za-z_][A-Za-z0-9_-]*)
      | (?P<mark>[()\[\],.*])
    )""",
    re.VERBOSE,
)
_WORDS: Mapping[str, Value] = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Literal:
    """A string, number, version or keyword."""

    value: Value


@dataclass(frozen=True)
class Name:
    """A named context, such as `variables`."""

    name: str


@dataclass(frozen=True)
class Index:
    """`of[key]` or `of.key`; the key `*` selects every member."""

    of: Node
    key: Node


@dataclass(frozen=True)
class Call:
    """A function with its arguments."""

    function: str
    arguments: tuple[Node, ...]


Node = Literal | Name | Index | Call
ALL = Literal("*")


def parse(text: str) -> Node:
    """Return the tree of an expression. Raises ExpressionError with the text and the position."""
    parser = _Parser(text)
    node = parser.expression()
    parser.end()
    return node


def evaluate(node: Node, contexts: Mapping[str, Value], extra: Mapping[str, Function] | None = None) -> Value:
    """Return the value of an expression's tree.

    `contexts` are keyed by lower-case name; `extra` has functions that exist in some places only, such as conditions.
    Raises ExpressionError for unknown names, unknown functions and wrong arguments.
    """
    match node:
        case Literal(value):
            return value
        case Name(name):
            if name.lower() not in contexts:
                raise ExpressionError(f"Unrecognized value: '{name}'. Known here: {', '.join(sorted(contexts))}.")
            return contexts[name.lower()]
        case Index(of, key):
            container = evaluate(of, contexts, extra)
            if key is ALL:
                return list(container.values()) if isinstance(container, Mapping) else container
            return member(container, evaluate(key, contexts, extra))
        case Call(function, arguments):
            name = function.lower()
            if name == "iif":
                condition, yes, no = _exactly(3, arguments, function)
                return evaluate(yes if functions.truth(evaluate(condition, contexts, extra)) else no, contexts, extra)
            implementation = (extra or {}).get(name) or functions.TABLE.get(name)
            if implementation is None:
                raise ExpressionError(f"Unrecognized function: '{function}'.")
            values = [evaluate(argument, contexts, extra) for argument in arguments]
            try:
                return implementation(*values)
            except TypeError as error:
                raise ExpressionError(f"'{function}' does not take {len(values)} arguments ({error}).") from error
    raise AssertionError(node)


def member(container: Value, key: Value) -> Value:
    """Return a member by name, ignoring case, or by position; None when there is none."""
    if isinstance(container, Mapping):
        member_key = functions.text(key).lower()
        return next((value for name, value in container.items() if str(name).lower() == member_key), None)
    if isinstance(container, Sequence) and not isinstance(container, str):
        if isinstance(key, str) and not key.isdigit():
            return [member(element, key) for element in container]  # after `.*`
        position = int(functions.number(key))
        return container[position] if 0 <= position < len(container) else None
    return None


def _exactly(count: int, arguments: Sequence[Node], function: str) -> Sequence[Node]:
    if len(arguments) != count:
        raise ExpressionError(f"'{function}' takes {count} arguments, not {len(arguments)}.")
    return arguments


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str, int]] = []
        position = 0
        while rest := text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise ExpressionError(f"Unexpected symbol: {rest[:1]!r} at {position + 1} in {text!r}.")
            self._tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            position = match.end()
        self._at = 0

    def expression(self) -> Node:
        """Return the tree of the next expression."""
        node = self._first()
        while self._is("[", "."):
            if self._take() == ".":
                kind, word = self._peek()
                if word != "*" and kind != "name":
                    raise self._unexpected()
                node = Index(node, ALL if self._take() == "*" else Literal(word))
            else:
                key: Node = ALL if self._is("*") else Literal(None)
                if key is ALL:
                    self._take()
                else:
                    key = self.expression()
                self._expect("]")
                node = Index(node, key)
        return node

    def end(self) -> None:
        """Raise ExpressionError unless every token was read."""
        if self._at < len(self._tokens):
            raise self._unexpected()

    def _first(self) -> Node:
        kind, word = self._peek()
        if kind == "string":
            self._take()
            return Literal(word[1:-1].replace("''", "'"))
        if kind == "number":
            self._take()
            return Literal(functions.number(word))
        if kind == "version":
            self._take()
            return Literal(word)
        if kind != "name":
            raise self._unexpected()
        self._take()
        if self._is("("):
            return Call(word, self._arguments())
        return Literal(_WORDS[word.lower()]) if word.lower() in _WORDS else Name(word)

    def _arguments(self) -> tuple[Node, ...]:
        self._expect("(")
        arguments: list[Node] = []
        while not self._is(")"):
            arguments.append(self.expression())
            if not self._is(")"):
                self._expect(",")
        self._expect(")")
        return tuple(arguments)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at][:2] if self._at < len(self._tokens) else ("end", "")

    def _is(self, *marks: str) -> bool:
        kind, word = self._peek()
        return kind == "mark" and word in marks

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, mark: str) -> None:
        if not self._is(mark):
            raise self._unexpected(f", expected {mark!r}")
        self._take()

    def _unexpected(self, hint: str = "") -> ExpressionError:
        if self._at >= len(self._tokens):
            return ExpressionError(f"Unexpected end of the expression {self._text!r}{hint}.")
        _, word, position = self._tokens[self._at]
        return ExpressionError(f"Unexpected {word!r} at {position + 1} in {self._text!r}{hint}.")
