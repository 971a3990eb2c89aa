"""Drift of a refresh, by the events that the engine recorded (drift_events.jsonl) and their look-alikes.

The recording is of the real engine, previewing a stack whose state a refresh on Azure had filled with the values of the
threads; outputs and debug messages are left out of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.agent.drift import Comparison, DriftError, compare
from pipelines.agent.tolerated import ABSENT, TOLERATED, parts

_RECORDED = Path(__file__).with_name("drift_events.jsonl").read_text(encoding="utf-8").splitlines()
Step = dict[str, Any]
Change = Callable[[Step], None]


def _compared(resource: str = "", change: Change | None = None) -> Comparison:
    """Return the recording with one resource's update changed."""
    events = [json.loads(line) for line in _RECORDED]
    for event in events:
        step = event.get("resourcePreEvent", {}).get("metadata", {})
        if change is not None and step.get("op") == "update" and step["urn"].endswith(f"::{resource}"):
            change(step)
    return compare(map(json.dumps, events))


def _changed_value(path: str, value: Any) -> Change:
    """Another value is there: `path` of names with dots."""

    def change(step: Step) -> None:
        inside = step["old"]["inputs"]
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in way:
            inside = inside[part]
        inside[last] = value

    return change


def _declared(name: str, value: Any) -> Change:
    def change(step: Step) -> None:
        step["new"]["inputs"][name] = value
        step["detailedDiff"][name]["diffKind"] = "update"

    return change


def _differs(path: str, there: Any) -> Change:
    """Another property differs."""

    def change(step: Step) -> None:
        step["old"]["inputs"][path] = there
        step["detailedDiff"][path] = {"diffKind": "delete", "inputDiff": True}

    return change


def _operation(operation: str) -> Change:
    return lambda step: step.update(op=operation)


def _type(name: str) -> Change:
    return lambda step: step.update(type=name)


def test_values_that_azure_fills_in_are_set_aside_with_their_thread() -> None:
    drift = _compared()

    assert drift.drift == []
    assert len(drift.tolerated) == 5
    report = drift.report("dev").splitlines()
    assert 'cors: {"corsRules": []} is there, nothing is declared' in report[0]
    assert report[1].strip() == "https://github.com/pulumi/pulumi-azure-native/issues/1700"
    assert report[-1] == "0 differences of stack dev that should not be there."


@pytest.mark.parametrize(
    ("resource", "change", "message"),
    [
        ("blobs", _changed_value("cors", {"corsRules": [{"allowedOrigins": ["*"]}]}), '"allowedOrigins": ["*"]'),
        ("blobs", _changed_value("cors", {"corsRules": [], "more": 1}), '"more": 1'),
        ("blobs", _changed_value("cors", {}), "cors: {} is there"),
        (
            "blobs",
            _changed_value("deleteRetentionPolicy.allowPermanentDelete", True),
            "allowPermanentDelete: true is there",
        ),
        ("blobs", _changed_value("deleteRetentionPolicy.allowPermanentDelete", 0), "allowPermanentDelete: 0 is there"),
        (
            "blobs",
            _declared("cors", {"corsRules": [{}]}),
            'cors: {"corsRules": []} is there, {"corsRules": [{}]} is dec',
        ),
        ("blobs", _differs("isVersioningEnabled", False), "isVersioningEnabled: false is there, true is declared"),
        ("blobs", _differs("changeFeed", {"enabled": True}), 'changeFeed: {"enabled": true} is there'),
        ("blobs", _type("azure-native:storage:FileServiceProperties"), "FileServiceProperties blobs: cors"),
        ("blobs", _operation("replace"), "blobs: replace"),
        ("container", _changed_value("defaultEncryptionScope", "of-somebody"), '"of-somebody" is there'),
        (
            "container",
            _changed_value("denyEncryptionScopeOverride", True),
            "denyEncryptionScopeOverride: true is there",
        ),
        ("container", _operation("create"), "container: create"),
        ("container", _operation("delete"), "container: delete"),
        ("diagnostics", _changed_value("metrics.0.retentionPolicy", {"days": 30, "enabled": True}), '"days": 30'),
        ("diagnostics", _changed_value("metrics.0.retentionPolicy", {"days": 0, "enabled": 0}), '"enabled": 0'),
        ("diagnostics", lambda step: step.update(detailedDiff=None), "DiagnosticSetting diagnostics: update"),
    ],
)
def test_a_look_alike_is_drift(resource: str, change: Change, message: str) -> None:
    drift = _compared(resource, change)

    assert message in drift.report("dev")
    assert drift.drift and {difference.urn.rsplit("::", 1)[-1] for difference in drift.drift} == {resource}
    assert not [step for step, _ in drift.tolerated if step.urn.endswith(f"::{resource}")], "a step is drift as a whole"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    change = _changed_value("metrics.0.retentionPolicy", {"days": 0.0, "enabled": False})

    assert _compared("diagnostics", change).drift == []


def test_two_entries_for_one_difference_set_nothing_more_aside() -> None:
    doubled = [entry for entry in TOLERATED if entry.path == "logs[*].retentionPolicy"] * 2
    inputs = {"logs": [{"retentionPolicy": {"days": 0, "enabled": False}}], "name": "theirs"}
    step = {
        "op": "update", "urn": "urn:pulumi:dev::dataopsml::t::diagnostics", "type": doubled[0].type,
        "old": {"inputs": inputs}, "new": {"inputs": {"logs": [{}], "name": "ours"}},
        "detailedDiff": {"logs[0].retentionPolicy": {}, "name": {}},
    }  # fmt: skip
    events = [json.dumps({"resourcePreEvent": {"metadata": step}}), _summary("succeeded")]

    drift = compare(events, doubled)

    assert [difference.path for difference in drift.drift] == ["logs[0].retentionPolicy", "name"]
    assert drift.tolerated == []


def test_a_position_matches_a_position_only() -> None:
    logs = next(entry for entry in TOLERATED if entry.path == "logs[*].retentionPolicy")
    for path, covered in (("logs[3].retentionPolicy", True), ("logs.a.retentionPolicy", False), ("logs[3]", False)):
        assert logs.covers(logs.type, path, logs.there, ABSENT) is covered


def test_every_entry_names_its_thread_and_one_property() -> None:
    for entry in TOLERATED:
        assert entry.thread.startswith("https://github.com/pulumi/pulumi-azure-native/issues/")
        assert parts(entry.path)[0] != "*" and entry.type.startswith("azure-native:")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("logs[0].retentionPolicy", ["logs", 0, "retentionPolicy"]),
        ('tags["a.b"]', ["tags", "a.b"]),
        ('tags["say \\"x\\""].y', ["tags", 'say "x"', "y"]),
        ("a", ["a"]),
    ],
)
def test_paths_are_read_as_pulumi_writes_them(path: str, expected: list[str | int]) -> None:
    assert parts(path) == expected


def _summary(result: str) -> str:
    return json.dumps({"summaryEvent": {"result": result, "resourceChanges": {}}})


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "The preview did not succeed."),
        (_RECORDED[:-2], "The preview did not succeed."),
        (["warning: something else"], "A line of the preview is no event of its engine: warning: something else"),
        (['{"resourcePreEvent": {}}'], "is no event of its engine"),
        (
            [
                json.dumps({"diagnosticEvent": {"severity": "error", "message": "AuthorizationFailed: …\n"}}),
                _summary("failed"),
            ],
            "The preview did not succeed.\nAuthorizationFailed: …",
        ),
    ],
)
def test_a_preview_that_did_not_compare_to_its_end_is_never_a_stack_without_drift(
    events: list[str], message: str
) -> None:
    with pytest.raises(DriftError) as caught:
        compare(events)
    assert message in str(caught.value)
