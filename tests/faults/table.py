"""The pytest plugin of `make faults`: one table at the end, with the number of tries and successes of each fault.

A test of one fault has the marker `fault_kind("what is broken")` and counts as one try. A test of several moments or
rounds has the fixture `tries` and counts each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

_PROPERTY = "fault tries"
_LONGEST = "tests/faults/test_runs.py"
Counts = dict[str, tuple[int, int]]


@dataclass
class Tries:
    """The tries of one test, by kind of fault: their number, and the number of right ends."""

    counts: Counts

    def add(self, kind: str, passed: bool) -> None:
        tried, good = self.counts.get(kind, (0, 0))
        self.counts[kind] = (tried + 1, good + int(passed))


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Iterator[Tries]:
    tries = Tries({})
    yield tries
    request.node.user_properties.append((_PROPERTY, tries.counts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest file first, which would run alone at the end, and note the kind of fault of each test."""
    items.sort(key=lambda item: not item.nodeid.startswith(_LONGEST))
    for item in items:
        marker = item.get_closest_marker("fault_kind")
        if marker is not None and "tries" not in getattr(item, "fixturenames", ()):
            item.user_properties.append((_PROPERTY, {str(marker.args[0]): None}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the table. A test that failed before its first try counts as a try."""
    table: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                for kind, (tried, passed) in _counts(report).items():
                    table[kind][0] += tried
                    table[kind][1] += passed
    if not table:
        return
    width = max(len(kind) for kind in table)
    terminalreporter.section("faults")
    terminalreporter.write_line(f"{'fault':{width}}  tried  passed")
    for kind, (tried, passed) in sorted(table.items()):
        terminalreporter.write_line(f"{kind:{width}}  {tried:5}  {passed:6}", red=tried != passed)
    tried, passed = (sum(column) for column in zip(*table.values(), strict=True))
    terminalreporter.write_line(f"{'all':{width}}  {tried:5}  {passed:6}", bold=True)


def _counts(report: pytest.TestReport) -> Counts:
    counts: Counts = {}
    for name, value in report.user_properties:
        if name == _PROPERTY and isinstance(value, dict):
            for kind, count in value.items():
                if count is not None and report.when == "teardown":
                    counts[kind] = (int(count[0]), int(count[1]))
                elif count is None and (report.when == "call" or (report.when == "setup" and report.failed)):
                    counts[kind] = (1, int(report.passed))
    return counts
