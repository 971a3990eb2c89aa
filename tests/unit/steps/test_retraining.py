"""The rules of a retraining: the scored files that lead to one, and the earliest time of the next request."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from steps import retraining
from steps.retraining import Observation

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)


def _files(pattern: str) -> list[Observation]:
    """Return files 00, 01, …: b breached a limit, p passed, - was not judged."""
    return [
        Observation(f"{number:02}", state != "-", (f"drift of {number}",) if state == "b" else ())
        for number, state in enumerate(pattern)
    ]


@pytest.mark.parametrize(
    ("pattern", "number", "after", "windows"),
    [
        ("bbb", 3, "", ["00", "01", "02"]),
        ("pbbb", 3, "", ["01", "02", "03"]),
        ("bb", 3, "", []),
        ("bbpb", 2, "", []),
        ("bb-b", 3, "", ["00", "01", "03"]),
        ("bbbb", 2, "02", []),
        ("bbbbb", 2, "02", ["03", "04"]),
        ("b", 1, "", ["00"]),
        ("", 1, "", []),
    ],
)
def test_as_many_judged_files_in_a_row_have_to_breach_a_limit(
    pattern: str, number: int, after: str, windows: list[str]
) -> None:
    due = retraining.breaching(_files(pattern), number, after)
    assert [observed.window for observed in due] == windows


def test_requests_are_numbered_and_name_their_cause() -> None:
    data = retraining.TrainingInput(uri="abfss://x", version="abc", name="new.csv")
    first = retraining.make("m", "on_drift", _files("bb"), None, "me", NOW, data)
    second = retraining.make("m", "work_item", _files("b"), first, "me", NOW + timedelta(days=7))
    assert (first.name, second.name) == ("retraining-m-000001", "retraining-m-000002")
    assert first.windows == ("00", "01") and first.reasons == ("drift of 1", "drift of 0")
    assert retraining.not_before(first, timedelta(days=7)) == second.requested_at
    assert first.is_pending and not first.model_copy(update={"run": "r"}).is_pending and not second.is_pending
    assert retraining.training_inputs(first) == {
        "data_uri": "abfss://x", "data_version": "abc", "reuse_key": "retraining-m-000001"
    }  # fmt: skip
    with pytest.raises(ValueError, match="retraining-m-000002 has no data to train on"):
        retraining.training_inputs(second)
