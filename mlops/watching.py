"""Results of watching scored files, for people: the newest windows as a table, as JSON and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mlops.clients import Clients
from mlops.components.watch.src.watch_history import WatchHistory
from mlops.errors import InvalidError
from mlops.specifications import FILE
from mlops.terminal import cell, plain
from steps.reporting import monitoring
from steps.reporting.charts import number
from steps.watch_results import History, Window, summary

DEFAULT_FOLDER = Path("build/reports")
PAGE_WINDOWS = 50
"""Windows that the page shows."""
_VERDICTS = {
    "passed": "no breach", "breach": "breach", "too_few_rows": "too few rows", "not_comparable": "not comparable",
}  # fmt: skip


def read(clients: Clients, last: int) -> History:
    """Return the newest windows. Raises InvalidError when the pipeline watches nothing."""
    pipeline = clients.pipeline
    if pipeline.specification.watch is None:
        raise InvalidError(
            f"The pipeline {pipeline.name} watches nothing: give its {FILE} a section watch, such as "
            "watch: {drift: 0.25}."
        )
    return WatchHistory(clients.training, pipeline.model).read(last)


def show(history: History, model: str, console: Console) -> None:
    """Print the windows, the newest first."""
    if not history.windows:
        console.print(f"No scored file of {model} was watched yet.", highlight=False, markup=False)
        return
    table = Table(
        "file", "scored at", "version", "rows", "verdict", "column", "index", "limit",
        title=f"Scored files of {model}", title_justify="left",
    )  # fmt: skip
    for window in reversed(history.windows):
        breaches = history.breaches(window)
        name, column = window.worst or ("–", None)
        table.add_row(
            cell(window.file_name), monitoring.moment(window.scored_at), window.model_version, str(window.rows_scored),
            "breach" if breaches else _VERDICTS[window.verdict], cell(name),
            number(column.index, 3) if column else "–", number(column.limit, 3) if column else "–",
        )  # fmt: skip
    console.print(table)
    for window in reversed(history.windows):
        for breach in history.breaches(window):
            line = f"{window.file_name}, {monitoring.moment(window.scored_at)}: {breach.message}."
            console.print(plain(line), highlight=False, markup=False, emoji=False, soft_wrap=True)
    row = history.breached_in_a_row
    if row > 1:
        console.print(f"{row} files in a row are beyond a limit.", highlight=False)


def show_window(window: Window, console: Console) -> None:
    """Print the verdict of a file that was just scored."""
    console.print(plain(f"Watch: {summary(window)}."), highlight=False, markup=False, emoji=False, soft_wrap=True)


def as_json(history: History) -> list[dict[str, Any]]:
    """Return the windows as JSON values, the newest first, each with its judgement by labels."""
    judged = {name: judgement.model_dump(mode="json") for name, judgement in history.judgements.items()}
    return [
        window.model_dump(mode="json") | {"judgement": judged.get(window.id)} for window in reversed(history.windows)
    ]


def write_page(clients: Clients, output: Path | None) -> Path:
    """Write the page of the newest windows. Raises InvalidError when it cannot be written."""
    history = read(clients, PAGE_WINDOWS)
    file = output or DEFAULT_FOLDER / f"{clients.pipeline.name}-watch.html"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(monitoring.html(clients.pipeline.specification, history), encoding="utf-8")
    except OSError as error:
        raise InvalidError(
            f"The page cannot be written to {file}: {error.strerror}. Name a file with --output, such as --output "
            "watch.html."
        ) from error
    return file
