"""Output of the verb watch, and the pipelines that it refuses."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from mlops import specifications, watching
from mlops.cli import app
from mlops.errors import InvalidError, MissingError
from steps.watch_results import History
from tests import samples
from tests.unit.steps.windows import history

COMMAND = "##vso[task.complete]\x1b[31m[bold]x"


def _render(history: History) -> str:
    text = io.StringIO()
    watching.show(history, "diabetes", Console(file=text, width=120))
    return text.getvalue()


def _clients(**changes: Any) -> Any:
    pipeline = specifications.load("diabetes", samples.PIPELINES)
    specified = pipeline.specification.model_copy(update=changes)
    return SimpleNamespace(pipeline=specifications.TrainingPipeline("diabetes", pipeline.folder, specified))


def test_the_newest_window_is_the_first_row_with_its_worst_column() -> None:
    lines = _render(history(3)).splitlines()

    rows = [line for line in lines if "march.csv │" in line]
    assert rows[0].split("│")[1:9] == [
        " march.csv ", " 2026-11-03 03:15 ", " 3       ", " 400  ", " breach    ", " bmi    ", " 0.61  ", " 0.25  ",
    ]  # fmt: skip
    assert "no breach" in rows[2] and "0.02" in rows[2]
    assert "march.csv, 2026-11-03 03:15: bmi has drifted: index 0.61." in lines
    assert lines[-1] == "2 files in a row are beyond a limit."


def test_without_a_window_it_says_so_and_without_a_section_it_is_refused() -> None:
    assert _render(History([])) == "No scored file of diabetes was watched yet.\n"

    with pytest.raises(InvalidError, match=r"The pipeline diabetes watches nothing: give its pipeline\.yml a section"):
        watching.read(_clients(watch=None), 5)


def test_names_of_files_command_no_build_and_style_no_terminal() -> None:
    text = _render(history(1, "bmi", COMMAND))

    assert "##vso[" not in text and "\x1b" not in text and "[bold]" in text


def test_json_has_the_windows_with_their_judgement() -> None:
    newest, *_, oldest = json.loads(json.dumps(watching.as_json(history(3))))

    assert (newest["verdict"], newest["breaches"][0]["column"], newest["judgement"]) == ("breach", "bmi", None)
    assert oldest["judgement"]["metrics"] == {"rmse": 55.5, "r2": 0.4}


def test_an_unknown_pipeline_gets_the_closest_name(tmp_path: Path) -> None:
    name = specifications.names()[0]
    completed = CliRunner().invoke(app, ["watch", "--pipeline", f"{name}x"])

    assert isinstance(completed.exception, MissingError)
    message = str(completed.exception)
    assert f"There is no pipeline '{name}x'" in message and f"Did you mean {name}" in message


def test_the_page_of_all_files_is_of_no_run() -> None:
    completed = CliRunner().invoke(app, ["report", "run-1", "--watch"])

    assert isinstance(completed.exception, InvalidError)
    assert "--watch is for all scored files" in str(completed.exception)
