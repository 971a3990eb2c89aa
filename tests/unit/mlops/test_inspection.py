"""Output of the verbs that show something: versions, runs, differences, and text from outside as text."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from mlops import registered_models, runs, specifications
from mlops.jobs import Job
from mlops.report import Report
from mlops.runs import Run
from mlops.terminal import as_json, plain, say
from tests import samples

LINEAGE = {"commit": "c1", "code_version": "417", "data_version": "d1", "metric.rmse": "50.5"}


def _clients(*versions: tuple[str, dict[str, str]]) -> Any:
    listed = [SimpleNamespace(version=version, tags=tags) for version, tags in versions]
    ml = SimpleNamespace(models=SimpleNamespace(list=lambda name: iter(listed)))
    return SimpleNamespace(ml=ml, pipeline=specifications.load(None, samples.PIPELINES))


def _render(models: list[registered_models.RegisteredModel]) -> str:
    text = io.StringIO()
    registered_models.show(models, "houses", Console(file=text, width=120))
    return text.getvalue()


def test_the_serving_version_is_marked_and_each_has_its_reason() -> None:
    promoted = LINEAGE | {"promoted_from": "staging:houses:4", "promoted_at": "2026-11-01"}
    later = LINEAGE | {"decision": "rmse 49 is better"}
    models = registered_models.read(_clients(("1", promoted), ("2", later), ("by-hand", {})))

    assert [(model.version, model.serves) for model in models] == [("2", False), ("1", True)]
    assert models[0].metrics == {"rmse": 50.5}
    text = _render(models)
    assert "promoted from staging:houses:4" in text and "rmse 49 is better" in text
    assert registered_models.as_json(models)[1]["promoted_at"] == "2026-11-01"
    assert "No version of houses is registered." in _render([])


def test_text_from_tags_styles_no_terminal_and_commands_no_build() -> None:
    hostile = LINEAGE | {"decision": "[bold]x[/bold] \x1b[31mred ##vso[task.setvariable variable=X]1"}

    text = _render(registered_models.read(_clients(("1", hostile))))

    assert "[bold]x[/bold]" in "".join(text.split("\n")) or "[bold]x[/bold]" in text
    assert "\x1b" not in text and "##vso[" not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[2Jb", "a\N{REPLACEMENT CHARACTER}[2Jb"),
        ("##vso[task.complete]", "## vso[task.complete]"),
        ("x ##[error]y", "x ## [error]y"),
        ("#\ufe0f#v\u034fso[x]", "## v\u034fso[x]"),
        ("##VSO[task.complete]", "## VSO[task.complete]"),
        ("#\N{SOFT HYPHEN}#vso[x]", "#\N{REPLACEMENT CHARACTER}#vso[x]"),
        ("two\nlines", "two\N{REPLACEMENT CHARACTER}lines"),
        ("größe ✓", "größe ✓"),
    ],
)
def test_plain_text_holds_no_control_character_and_no_command(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_json_in_a_build_s_log_commands_nothing_and_is_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"decision": "##vso[task.setvariable variable=X]1", "more": ["##[error]", "###", "a # b"]}

    assert "##" not in as_json(value)
    assert json.loads(as_json(value)) == value
    say("promoted ##vso[task.complete]\nnext ##[group]")
    assert capsys.readouterr().out == "promoted ## vso[task.complete]\nnext ## [group]\n"


def test_lines_of_a_log_stay_lines() -> None:
    assert plain("one\n\ttwo\r\n##[group]", lines=True) == "one\n\ttwo\N{REPLACEMENT CHARACTER}\n## [group]"


def _run(name: str, rmse: float, alpha: str) -> Run:
    job = Job(name, "Completed", "417", "d1", "https://page", parameters={"alpha": alpha})
    return Run(job, {"train": 5.0}, Report("houses", "3", {"rmse": rmse}, "better", {"commit": "c1"}))


def test_only_differences_between_two_runs_are_shown() -> None:
    differences = runs.compare(_run("a", 50.0, "1.0"), _run("b", 49.0, "0.5"))

    assert differences == [("parameter alpha", "1.0", "0.5"), ("metric rmse", "50", "49")]
    assert runs.compare(_run("a", 50.0, "1.0"), _run("b", 50.0, "1.0")) == []


def test_a_failed_run_is_compared_by_its_existing_parts() -> None:
    failed = Run(Job("b", "Failed", "418", "d1", "https://page"), {}, None)

    names = {name: second for name, _, second in runs.compare(_run("a", 50.0, "1.0"), failed)}

    assert names["status"] == "Failed" and names["metric rmse"] == "" and names["code"] == "418"
