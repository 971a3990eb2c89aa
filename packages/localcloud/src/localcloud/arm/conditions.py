"""Conditions on role assignments: parsed when an assignment is made, evaluated when it would allow something.

Source: learn.microsoft.com "Azure role assignment condition format and syntax". Attributes are addressed by source and
name: {"request": {"microsoft.authorization/roleassignments:roledefinitionid": ["acdd72a7-…"]}}. A comparison with an
attribute that the request does not have does not hold.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Attributes = Mapping[str, Mapping[str, Sequence[str]]]

NONE: Attributes = {}
_TOKEN = re.compile(
    r"\s*(?:(?P<op>\(|\)|\{|\}|,|!|&&|\|\|)"
    r"|(?P<attr>@(?P<source>Request|Resource|Principal|Environment)\[(?P<name>[^\]]+)\](?:<\$[a-z_]+\$>)?)"
    r"|'(?P<text>(?:[^'\\]|\\.)*)'"
    r"|(?P<word>[A-Za-z0-9_:.\-]+))",
    re.IGNORECASE,
)
_PREFIXES = ("ForAnyOfAnyValues", "ForAllOfAnyValues", "ForAnyOfAllValues", "ForAllOfAllValues")


def _like(left: str, right: str) -> bool:
    pattern = "".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in re.split(r"([*?])", right))
    return re.fullmatch(pattern, left, re.DOTALL) is not None


def _numeric(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def holds(left: str, right: str) -> bool:
        return compare(float(left), float(right))

    return holds


def _same(left: str, right: str) -> bool:
    return left.lower() == right.lower()


_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "stringequals": operator.eq,
    "stringequalsignorecase": _same,
    "stringstartswith": str.startswith,
    "stringstartswithignorecase": lambda left, right: left.lower().startswith(right.lower()),
    "stringlike": _like,
    "stringlikeignorecase": lambda left, right: _like(left.lower(), right.lower()),
    "guidequals": _same,
    "boolequals": _same,
    "numericequals": _numeric(operator.eq),
    "numericlessthan": _numeric(operator.lt),
    "numericlessthanequals": _numeric(operator.le),
    "numericgreaterthan": _numeric(operator.gt),
    "numericgreaterthanequals": _numeric(operator.ge),
    "datetimeequals": operator.eq,
    "datetimelessthan": operator.lt,
    "datetimegreaterthan": operator.gt,
}


class ConditionError(Exception):
    """The text is not a condition; the message has the position and the reason."""


@dataclass(frozen=True)
class AccessRequest:
    """Action and attributes on which a condition is evaluated."""

    action: str
    attributes: Attributes


Node = Callable[[AccessRequest], bool]


@dataclass(frozen=True)
class Condition:
    """A parsed condition."""

    text: str
    _node: Node

    def holds(self, action: str, attributes: Attributes) -> bool:
        return self._node(AccessRequest(action, attributes))


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """Parse an expression. Raises ConditionError."""
    parser = _Parser(text)
    node = parser.either()
    parser.end()
    return Condition(text, node)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str, str]] = []
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise ConditionError(f"unexpected '{text[position:].strip()[:20]}' at character {position}")
            kind = next(name for name in ("op", "attr", "text", "word") if match[name] is not None)
            value = match["name"] if kind == "attr" else match[kind]
            self._tokens.append((kind, value, (match["source"] or "").lower()))
            position = match.end()
        self._at = 0

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise ConditionError(f"unexpected '{self._tokens[self._at][1]}' after the end of the expression")

    def either(self) -> Node:
        nodes = [self._both()]
        while self._accept("OR", "||"):
            nodes.append(self._both())
        return nodes[0] if len(nodes) == 1 else lambda request: any(node(request) for node in nodes)

    def _both(self) -> Node:
        nodes = [self._operand()]
        while self._accept("AND", "&&"):
            nodes.append(self._operand())
        return nodes[0] if len(nodes) == 1 else lambda request: all(node(request) for node in nodes)

    def _operand(self) -> Node:
        if self._accept("NOT", "!"):
            inner = self._operand()
            return lambda request: not inner(request)
        if self._accept("("):
            node = self.either()
            self._expect(")")
            return node
        if self._accept("ActionMatches"):
            patterns = self._values()
            return lambda request: any(_like(request.action.lower(), pattern.lower()) for pattern in patterns)
        if self._accept("SubOperationMatches"):
            # Suboperations (listing as a kind of reading) are treated like their operation.
            self._values()
            return lambda request: False
        if self._accept("Exists"):
            source, name = self._attribute()
            return lambda request: name in request.attributes.get(source, {})
        return self._comparison()

    def _comparison(self) -> Node:
        source, name = self._attribute()
        _, word, _ = self._next("an operator")
        prefix, _, rest = word.partition(":")
        quantifier, operator_name = (prefix, rest) if rest else ("", prefix)
        if quantifier and quantifier.lower() not in {part.lower() for part in _PREFIXES}:
            raise ConditionError(f"'{quantifier}' is not one of {', '.join(_PREFIXES)}")
        negated = "not" in operator_name.lower()
        compare = _COMPARE.get(operator_name.lower().replace("not", "", 1))
        if compare is None:
            raise ConditionError(f"'{operator_name}' is not an operator of conditions")
        values = self._values()
        every_left, every_right = "allof" in quantifier.lower(), quantifier.lower().endswith("allvalues")

        def holds(request: AccessRequest) -> bool:
            actual = request.attributes.get(source, {}).get(name)
            if actual is None:
                return False
            over_right = all if every_right else any
            over_left = all if every_left else any
            return over_left(over_right(compare(part, value) != negated for value in values) for part in actual)

        return holds

    def _attribute(self) -> tuple[str, str]:
        kind, value, source = self._next("an attribute")
        if kind != "attr":
            raise ConditionError(f"expected an attribute such as @Request[…], not '{value}'")
        return source, value.lower()

    def _values(self) -> list[str]:
        if not self._accept("{"):
            return [self._next("a value")[1]]
        values = [self._next("a value")[1]]
        while self._accept(","):
            values.append(self._next("a value")[1])
        self._expect("}")
        return values

    def _next(self, expected: str) -> tuple[str, str, str]:
        if self._at >= len(self._tokens):
            raise ConditionError(f"the expression ends where {expected} is expected")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, *words: str) -> bool:
        if self._at < len(self._tokens):
            kind, value, _ = self._tokens[self._at]
            if kind in {"op", "word"} and value.lower() in {word.lower() for word in words}:
                self._at += 1
                return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            token = self._tokens[self._at][1] if self._at < len(self._tokens) else "the end"
            raise ConditionError(f"expected '{word}', not '{token}'")
