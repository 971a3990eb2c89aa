"""Judgement of the counts by each rule of the contract. Messages have values only where the contract shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from .measures import ColumnMeasures, Measures
from .rules import ERROR, Rule, Rules

_KINDS = {
    "integer": "not a whole number",
    "number": "not a number",
    "boolean": "neither true nor false",
    "date": "not a date such as 2026-01-31",
    "timestamp": "not a time such as 2026-01-31T12:00:00",
}
_EXAMPLES = 3


@dataclass(frozen=True)
class Result:
    """A rule and whether the data keep it, as `steps/data_results.py` has it."""

    rule: str
    passed: bool
    message: str
    column: str | None = None
    severity: str = ERROR
    count: int | None = None
    measured: float | None = None
    limit: str = ""
    examples: tuple[str, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether the run must not go on."""
        return not self.passed and self.severity == ERROR


def judge(measures: Measures, rules: Rules) -> list[Result]:
    """Return the results of all rules, rules of the whole table first."""
    results = [*_whole(measures, rules)]
    for name, measured in measures.columns.items():
        results += _column(name, measured, measures.rows, rules)
    return results


def with_examples(results: Sequence[Result], examples: Mapping[tuple[str, str | None], Sequence[str]]) -> list[Result]:
    """Return the results with some of the values that break them, by rule and column."""

    def with_rows(result: Result) -> Result:
        values = tuple(dict.fromkeys(examples.get((result.rule, result.column), ())))[:_EXAMPLES]
        if result.passed or not values:
            return result
        listed = ", ".join(repr(value) for value in values)
        return replace(result, examples=values, message=f"{result.message}, such as {listed}")

    return [with_rows(result) for result in results]


def _whole(measures: Measures, rules: Rules) -> Iterator[Result]:
    fewest = rules.rows or Rule(1)
    yield Result(
        "rows",
        passed=measures.rows >= fewest.limit,
        message=f"there {_are(measures.rows, 'row')}, and at least {fewest.text} {_be(fewest.limit)} needed"
        if measures.rows
        else "there is not a single row",
        severity=fewest.severity,
        measured=measures.rows,
        limit=fewest.text,
    )
    yield Result(
        "row_length",
        passed=measures.malformed == 0,
        message=f"{_has(measures.malformed, 'row')} more or fewer values than there are columns",
        count=measures.malformed,
    )
    if rules.duplicates is not None:
        share = measures.duplicates / max(measures.rows, 1)
        yield Result(
            "duplicates",
            passed=share <= rules.duplicates.limit,
            message=f"{_rows(measures.duplicates)} {'repeats' if measures.duplicates == 1 else 'repeat'} another row "
            f"({share:.1%}, and {rules.duplicates.limit:.1%} may)",
            severity=rules.duplicates.severity,
            count=measures.duplicates,
            measured=share,
            limit=rules.duplicates.text,
        )
    target = measures.columns.get(rules.target or "")
    if target is not None and measures.rows:
        yield Result(
            "target",
            passed=target.varies,
            message=f"the target {rules.target} is constant: there is nothing to learn"
            if target.count
            else f"the target {rules.target} has not a single value",
            column=rules.target,
            count=target.count,
        )


def _column(name: str, measured: ColumnMeasures, rows: int, rules: Rules) -> Iterator[Result]:
    own = rules.of(name)
    yield Result(
        "type",
        passed=measured.wrong == 0,
        message=_wrong(name, measured),
        column=name,
        severity=own.type.severity if own.type else ERROR,
        count=measured.wrong,
        limit=measured.kind,
    )
    counted = (
        ("minimum", own.minimum, measured.below, "below"),
        ("maximum", own.maximum, measured.above, "above"),
        ("allowed", own.allowed, measured.not_allowed, "other than"),
    )
    for rule_name, rule, count, words in counted:
        if rule is not None:
            yield Result(
                rule_name,
                passed=count == 0,
                message=f"{name} {_has(count, 'value', subject=False)} {words} {rule.text}",
                column=name,
                severity=rule.severity,
                count=count,
                limit=rule.text,
            )
    if own.missing is not None:
        share = measured.missing / max(rows, 1)
        yield Result(
            "missing",
            passed=share <= own.missing.limit,
            message=f"{name} is missing in {_rows(measured.missing)} ({share:.1%}, and {own.missing.limit:.1%} may)",
            column=name,
            severity=own.missing.severity,
            count=measured.missing,
            measured=share,
            limit=own.missing.text,
        )
    if own.unique is not None:
        yield Result(
            "unique",
            passed=measured.repeated == 0,
            message=f"{name} repeats a value in {_rows(measured.repeated)}",
            column=name,
            severity=own.unique.severity,
            count=measured.repeated,
        )


def _wrong(name: str, measured: ColumnMeasures) -> str:
    other = measured.wrong - measured.too_large
    parts = []
    if other or not measured.too_large:
        kind = _KINDS.get(measured.kind, "not a text")
        parts.append(f"{_has(other, 'value', subject=False)} {_that(other)} {kind}")
    if measured.too_large:
        kind = "whole number" if measured.kind == "integer" else "number"
        parts.append(
            f"{_has(measured.too_large, 'value', subject=False)} {_that(measured.too_large)} infinite, or too large "
            f"for a {kind} here"
        )
    return f"{name} {' and '.join(parts)}"


def _has(count: int, noun: str, *, subject: bool = True) -> str:
    counted = f"{count} {noun}{'' if count == 1 else 's'}"
    return f"{counted} {'has' if count == 1 else 'have'}" if subject else f"has {counted}"


def _that(count: int) -> str:
    return "that is" if count == 1 else "that are"


def _are(count: int, noun: str) -> str:
    return f"is 1 {noun}" if count == 1 else f"are {count} {noun}s"


def _be(count: int) -> str:
    return "is" if count == 1 else "are"


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
