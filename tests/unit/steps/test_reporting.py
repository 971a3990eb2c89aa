"""The report of a run: its content for both tasks and for failures, and escaped text from data."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from steps.data_results import ColumnProfile, ContractResult, Profile, RuleResult
from steps.reporting.charts import number
from steps.reporting.page import RunFacts, Step, duration, html
from steps.reporting.summary import markdown
from tests.unit.steps.reports import COMMAND, HOSTILE, Page, classification, regression

RUN = RunFacts(
    "run-1", page="https://ml.azure.com/runs/run-1",
    steps=[Step("train", "Completed", 75.0, reused=True), Step("evaluate", "Completed", 2.5)],
)  # fmt: skip


def page(content: Any, run: RunFacts = RUN) -> Page:
    page = Page(html(content, run))
    assert page.faults == []
    return page


def test_decision_and_reason_are_first() -> None:
    words = page(regression()).words

    assert (
        words.index("houses version 4 is registered") < words.index("better than version 3's") < words.index("On 120")
    )
    refused = page(classification())
    assert "kinds is not registered" in refused.words
    assert ("p", {"class": "verdict refused"}) in refused.tags


def test_metrics_are_shown_beside_the_champion_s_with_intervals() -> None:
    content = regression()
    words = page(content).words

    interval = content["details"]["intervals"]["rmse"]
    assert interval["low"] < content["metrics"]["rmse"] < interval["high"]
    assert f"{number(interval['low'])} to {number(interval['high'])}" in words
    gain = content["comparisons"][0]
    assert f"{number(gain['gain'])} {number(gain['low'])} to {number(gain['high'])}" in words
    other = content["details"]["intervals"]["r2"]
    assert other["gain_low"] > 0, "metrics that do not decide have intervals of their gain too"
    assert "at least 0.5" in words


def test_a_regression_shows_residuals_and_no_row_of_the_data() -> None:
    content = regression()
    residuals = content["details"]["residuals"]

    assert sum(residuals["histogram"]["challenger"]) == sum(residuals["histogram"]["champion"]) == 120
    assert sum(band["rows"] for band in residuals["bands"]) == 120
    assert all(band["rows"] >= 5 for band in residuals["bands"])
    charts = [attributes["aria-label"] for tag, attributes in page(content).tags if attributes.get("class") == "chart"]
    assert charts == ["Residuals by prediction", "Distribution of residuals"]


def test_the_column_that_matters_is_the_most_important() -> None:
    columns = regression()["details"]["importance"]["columns"]

    assert [column["name"] for column in columns] == ["size", "noise"]
    assert columns[0]["loss"] > 1 and columns[1]["loss"] == 0


def test_a_classification_shows_roc_calibration_confusion_and_slices() -> None:
    content = classification()
    (curves,) = content["details"]["classes"]["curves"]

    assert curves["label"] == "yes" and curves["roc"][0] == [0, 0] and curves["roc"][-1] == [1, 1]
    assert [point["rows"] for point in curves["calibration"]] == [15] * 10
    assert sum(map(sum, content["details"]["classes"]["confusion"]["counts"])) == 150
    page_ = page(content)
    assert {"ROC of yes", "Calibration of yes"} <= {attributes.get("aria-label") for _, attributes in page_.tags}
    assert "Slices" in page_.words and "predicted no" in page_.words


def test_many_classes_have_curves_each_and_labels_alone_have_none() -> None:
    many = classification(("a", "b", "c"))["details"]["classes"]
    assert [curves["label"] for curves in many["curves"]] == ["a", "b", "c"]

    labels = classification(labels_only=True)
    assert "curves" not in labels["details"]["classes"]
    assert "The model gives labels alone" in page(labels).words


def test_the_content_is_json_without_numbers_that_json_lacks() -> None:
    for content in (regression(), classification()):
        json.dumps(content, allow_nan=False)


def test_a_page_loads_nothing_external_and_runs_no_script() -> None:
    for content in (regression(), classification()):
        page_ = page(content)
        assert {tag for tag, _ in page_.tags}.isdisjoint({"script", "link", "img", "iframe", "object", "form"})
        references = {
            (tag, name)
            for tag, attributes in page_.tags
            for name in attributes
            if name in ("src", "href", "srcset", "action", "data") or name.startswith("on")
        }
        assert references == {("a", "href")}, "the link to the run's page alone"
        assert "url(" not in html(content, RUN) and "@import" not in html(content, RUN)
        policy = next(a["content"] for _, a in page_.tags if a.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None and policy.startswith("default-src 'none'")


def test_names_and_values_from_data_are_text() -> None:
    hostile = regression(
        HOSTILE,
        lineage={"commit": HOSTILE},
        parameters={HOSTILE: HOSTILE},
        data_contract=contract(HOSTILE, show_values=True),
        profile=profile(HOSTILE),
        decision={"register": False, "reason": HOSTILE},
    )
    failed = RunFacts(HOSTILE, "Failed", "https://x", [Step(HOSTILE, "Failed", 1.0, error=HOSTILE)])

    for run in (RUN, failed):
        page_ = page(hostile, run)
        assert not [tag for tag, _ in page_.tags if tag == "img"]
        assert page_.words.count(HOSTILE) >= 8
    summary = markdown(hostile, failed)
    assert "<" not in summary and HOSTILE not in summary


def contract(text: str, *, show_values: bool, accepted: bool = True) -> dict[str, Any]:
    broken = RuleResult(
        rule="allowed", column=text, severity="warning" if accepted else "error", passed=False, count=3, limit=text,
        message=f"{text} has 3 values that are not allowed", examples=("secret-value",),
    )  # fmt: skip
    result = ContractResult(
        accepted=accepted, show_values=show_values, rows_read=442, rows_kept=406, missing={text: 36},
        rules=(broken, RuleResult(rule="rows", passed=True)), quarantine=text, not_compared=text,
    )  # fmt: skip
    return result.model_dump(mode="json")


def profile(text: str) -> dict[str, Any]:
    columns = {
        text: ColumnProfile(type="text", count=400, missing=6, categories={text: 0.9, "secret-value": 0.1}),
        "size": ColumnProfile(
            type="number", count=406, missing=0, minimum=-77.25, maximum=99.0, mean=3.0, edges=(1.0, 2.0),
            shares=(0.2, 0.5, 0.3),
        ),
    }  # fmt: skip
    return Profile(rows=406, target="price", columns=columns).model_dump(mode="json")


def test_the_data_s_contract_and_profile_are_shown_without_values_unless_allowed() -> None:
    closed = regression(data_contract=contract("kind", show_values=False), profile=profile("kind"))
    words = page(closed).words

    assert "442 rows were read , 406 kept, 36 dropped" in words.replace("read,", "read ,")
    assert "kind has 3 values that are not allowed" in words and "2 rules, 0 broken, 1 warnings" in words
    assert "Values are not shown" in words
    assert "secret-value" not in html(closed, RUN) and "77.25" not in html(closed, RUN)
    opened = html(regression(data_contract=contract("kind", show_values=True), profile=profile("kind")), RUN)
    assert "secret-value: 10.0%" in opened and "−77.25" in opened and "above 2" in opened


def test_results_of_a_later_version_are_named_and_not_guessed() -> None:
    later = regression(data_contract={"version": 2}, profile={"version": 2})
    words = page(later).words
    assert "The data contract's results are of a version that this page does not know." in words
    assert "The data profile is of a version that this page does not know." in words


def test_a_run_stopped_by_its_data_shows_the_broken_rule() -> None:
    failed = RunFacts("run-5", "Failed", "", [Step("check_data", "Failed", 9.0, error="the data are refused")])
    content = {"data_contract": contract("kind", show_values=False, accepted=False)}
    assert "The data are refused" in page(content, failed).words
    assert "kind has 3 values that are not allowed" in markdown(content, failed)


def test_a_summary_holds_no_command_to_azure_pipelines() -> None:
    hostile = regression(decision={"register": False, "reason": COMMAND})
    failed = RunFacts("r", "Failed", "", [Step(COMMAND, "Failed", 1.0, error=f"a\n{COMMAND}\n##[error]x")], COMMAND)

    summary = markdown(hostile, failed)

    assert re.search(r"##(vso)?\[", summary) is None
    assert "task.setvariable" in summary, "it is shown all the same"


def test_a_summary_has_the_content_of_the_page() -> None:
    content = regression()
    summary = markdown(content, RUN)

    assert summary.startswith("## houses version 4 is registered")
    assert f"| rmse | {number(content['metrics']['rmse'])}" in summary
    assert "| train | Completed, reused | 1 min 15 s |" in summary


def test_a_failed_run_has_a_report_with_step_and_reason() -> None:
    failed = RunFacts(
        "run-2", "Failed", "", [Step("check", "Completed", 3.0), Step("train", "Failed", 1.0, error="no rows are left")]
    )
    for content in ({}, regression()):
        words = page(content, failed).words
        assert words.index("Failed") < words.index("Where it failed") < words.index("Step train no rows are left")
    assert "**train** failed: no rows are left" in markdown({}, failed)
    assert "the compute is gone" in page({}, RunFacts("run-3", "Failed", error="the compute is gone")).words
    assert "Cancelled" in page({}, RunFacts("run-4", "Canceled")).words


def test_a_report_of_an_earlier_version_shows_its_existing_parts() -> None:
    earlier: dict[str, Any] = {
        "metrics": {"rmse": 50.0}, "champion": None, "comparisons": [], "slices": [], "model_name": "houses",
        "model_version": "1", "decision": {"register": True, "reason": "it is the first version"}, "lineage": {},
    }  # fmt: skip
    words = page(earlier).words
    assert "houses version 1 is registered" in words and "50" in words and "No version served before." in words
    assert "No evaluation" in page({}, RunFacts()).words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"), (-1.5, "−1.5"), (-0.0, "0"), (1234567.0, "1,234,567"), (None, "–"),
        (float("nan"), "–"), (7, "7"),
    ],
)  # fmt: skip
def test_numbers_are_rounded_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


def test_durations_are_rounded_for_people() -> None:
    assert [duration(value) for value in (0.44, 75, 3720, None)] == ["0.4 s", "1 min 15 s", "1 h 2 min", "–"]
