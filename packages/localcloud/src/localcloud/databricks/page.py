"""The run page: one HTML document with state, parameters, output and driver log.

It has no script and nothing from elsewhere.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from localcloud.core.json import Json
from localcloud.core.settings import Settings
from localcloud.databricks.run_states import Lifecycle
from localcloud.databricks.runs import Run, TaskRun

JOBS_PATH = "/_localcloud/azureml"
_LOG_TAIL = 20_000
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1b1f;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;max-width:100%}
h1,td,pre{overflow-wrap:anywhere}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;border-bottom:1px solid #ddd}
iframe{width:100%;height:20rem;border:1px solid #ddd}
pre{background:#f5f5f7;padding:.7rem;overflow:auto;white-space:pre-wrap}pre.error{background:#fdecea}
.SUCCESS{color:#1a7f37}.FAILED,.TIMEDOUT,.INTERNAL_ERROR{color:#b3261e}
@media(prefers-color-scheme:dark){body{color:#e6e6e9;background:#1b1b1f}pre{background:#2a2a30}pre.error{background:#4a2420}
th,td{border-color:#444}.SUCCESS{color:#4cc26b}.FAILED,.TIMEDOUT,.INTERNAL_ERROR{color:#ff8a80}a{color:#8ab4f8}}
"""


def render(settings: Settings, run: Run, task: TaskRun | None) -> str:
    """Return the page of a task, or without one of the run with all of its tasks."""
    shown_run = task or run
    result, lifecycle = shown_run.lifecycle.shown_state, shown_run.lifecycle
    title = f"Run {shown_run.run_id} of {run.name}"
    refresh = "" if lifecycle.is_over else '<meta http-equiv="refresh" content="2">'
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<meta name='viewport' content='width=device-width'>{refresh}<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
        f"<p><a href='{JOBS_PATH}'>All jobs</a></p>",
        _table(
            {
                "State": f"<b class='{escape(result)}'>{escape(result)}</b> {escape(lifecycle.message)}",
                "Workspace": escape(run.workspace_host),
                "Runs as": escape(run.run_as),
                "Started": escape(_time(lifecycle.start_time)),
                "Duration": escape(_duration(lifecycle)),
            }
        ),
    ]
    for item in [task] if task else run.tasks:
        parts += _task(settings, item, heading=task is None)
    parts.append("</body></html>")
    return "\n".join(parts)


def _task(settings: Settings, task: TaskRun, *, heading: bool) -> list[str]:
    lifecycle = task.lifecycle
    result = escape(lifecycle.shown_state)
    parts = []
    if heading:
        parts.append(f"<h2>Task {escape(task.key)}: <span class='{result}'>{result}</span></h2>")
    parameters = task.notebook.get("base_parameters") or {}
    parts.append(
        _table(
            {
                "Notebook": escape(task.notebook["notebook_path"]),
                "Cluster": escape(task.cluster_id),
                "Runtime": escape(str(task.new_cluster.get("spark_version"))),
                "Setup / execution": f"{lifecycle.setup_duration} ms / {lifecycle.execution_duration} ms",
                **{f"Parameter {escape(name)}": escape(value) for name, value in parameters.items()},
            }
        )
    )
    if (outcome := lifecycle.outcome) is not None and outcome.value is not None:
        parts.append(f"<h2>Result</h2><pre>{escape(outcome.value)}</pre>")
    if outcome is not None and outcome.error:
        parts.append(f"<h2>Error</h2><pre class='error'>{escape(outcome.error_trace or outcome.error)}</pre>")
    folder = settings.runs / f"databricks-{task.run_id}"
    items = _items(folder / "output.jsonl")
    if items:
        parts.append("<h2>Output</h2>")
        parts += [_item(item) for item in items]
    log = folder / "driver.log"
    if log.exists():
        tail = log.read_text(errors="replace")[-_LOG_TAIL:]
        parts.append(f"<details><summary>Driver log</summary><pre>{escape(tail)}</pre></details>")
    return parts


def _items(path: Path) -> list[Json]:
    """Return the items of the output; the text of one cell is one item."""
    if not path.exists():
        return []
    merged: list[Json] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            item: Json = json.loads(line)
        except ValueError:
            break  # the last line of a driver that was killed while writing
        if merged and item["kind"] == "text" == merged[-1]["kind"] and item["cell"] == merged[-1]["cell"]:
            merged[-1]["data"] += item["data"]
        elif item["kind"] != "error":  # shown above, once
            merged.append(item)
    return merged


def _item(item: Json) -> str:
    label = f"<p>Cell {item['cell']}</p>"
    if item["kind"] == "table":
        head = "".join(f"<th>{escape(name)}</th>" for name in item["columns"])
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in item["rows"])
        return f"{label}<table><tr>{head}</tr>{rows}</table>"
    if item["kind"] == "html":
        # A notebook's HTML is untrusted here: in a frame without scripts or the page's origin.
        return f"{label}<iframe sandbox srcdoc='{escape(item['data'])}'></iframe>"
    return f"{label}<pre>{escape(item['data'])}</pre>"


def _table(rows: dict[str, Any]) -> str:
    return "<table>" + "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items()) + "</table>"


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(lifecycle: Lifecycle) -> str:
    return "running" if lifecycle.run_duration is None else f"{lifecycle.run_duration / 1000:.1f} s"
