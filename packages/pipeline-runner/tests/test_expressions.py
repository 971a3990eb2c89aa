"""Expressions, with the results in learn.microsoft.com's pages on Azure Pipelines."""

from __future__ import annotations

from typing import Any

import pytest
from pipeline_runner.errors import ExpressionError
from pipeline_runner.expressions import evaluate, parse

_CONTEXTS: dict[str, Any] = {
    "variables": {"Build.Reason": "PullRequest", "isMain": "False", "empty": ""},
    "parameters": {"run": False, "names": ["dev", "prod"], "pool": {"vmImage": "ubuntu"}},
    "dependencies": {"A": {"result": "Succeeded", "outputs": {"step.id": "42"}}},
}


def value(text: str) -> Any:
    return evaluate(parse(text), _CONTEXTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("eq('A', 'a')", True),  # strings compare without case
        ("ne(1, 2)", True),
        ("eq(1, '1')", True),  # the right side is cast to the left side's type
        ("eq(1, 'one')", False),  # a value that cannot be cast is not equal
        ("eq(true, 'false')", True),  # any string but the empty one is true
        ("eq('True', true)", True),
        ("and(true, eq(1, 1), 'x')", True),
        ("or(false, '', null)", False),
        ("not('')", True),
        ("xor(true, false)", True),
        ("in('b', 'A', 'B')", True),
        ("notIn('c', 'A', 'B')", True),
        ("lt(2, '10')", True),
        ("ge('b', 'A')", True),
        ("contains('ABCDE', 'bcd')", True),
        ("startsWith('refs/heads/main', 'REFS/')", True),
        ("endsWith('a.csv', '.CSV')", True),
        ("coalesce('', null, 'x')", "x"),
        ("format('{0}-{{{1}}}', 'a', 2)", "a-{2}"),
        ("join(';', parameters.names)", "dev;prod"),
        ("split('a,b', ',')[1]", "b"),
        ("length(parameters.names)", 2),
        ("lower('AbC')", "abc"),
        ("iif(eq(1, 1), 'yes', 'no')", "yes"),
        ("'it''s'", "it's"),
        ("variables['build.reason']", "PullRequest"),
        ("variables.isMain", "False"),
        ("eq(variables['not.there'], '')", True),  # an unknown variable is null, which is an empty string
        ("parameters.pool.vmImage", "ubuntu"),
        ("dependencies.A.outputs['step.id']", "42"),
        ("containsValue(parameters.names, 'PROD')", True),
        ("0x1f", 31),
        ("-1.5", -1.5),
        ("1.2.3", "1.2.3"),
    ],
)
def test_an_expression_has_its_value_in_azure_pipelines(text: str, expected: object) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eq(1", "Unexpected end of the expression"),
        ("eq(1,, 2)", "Unexpected ','"),
        ("frobnicate(1)", "Unrecognized function: 'frobnicate'"),
        ("succeeded()", "Unrecognized function: 'succeeded'"),  # only conditions have it
        ("secrets.x", "Unrecognized value: 'secrets'"),
        ("eq(1)", "'eq' does not take 1 arguments"),
        ("a == b", "Unexpected symbol: '='"),
        ("'a' 'b'", "Unexpected \"'b'\""),
        ("lt(1, 'one')", "Unable to convert from String to Number"),
        ("format('{1}', 'a')", "has no argument 1"),
    ],
)
def test_a_bad_expression_is_refused_with_its_fault(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        value(text)
    assert message in str(caught.value)
