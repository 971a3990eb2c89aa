"""The run page: one HTML document with state, parameters, output and driver log. No script, nothing from elsewhere."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from localcloud.core.json import Json
from localcloud.core.settings import Settings
from localcloud.databricks import run_states

_LOG_TAIL = 20_000
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1b1f;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse}
th,td{text-align:left;padding:.2rem .8rem .2rem 0;vertical-align:top;border-bottom:1px solid #ddd}
iframe{width:100%;height:20rem;border:1px solid #ddd}
pre{background:#f5f5f7;padding:.7rem;overflow:auto;white-space:pre-wrap}pre.error{background:#fdecea}
.SUCCESS{color:#1a7f37}.FAILED,.TIMEDOUT,.INTERNAL_ERROR{color:#b3261e}
@media(prefers-color-scheme:dark){body{color:#e6e6e9;background:#1b1b1f}pre{background:#2a2a30}pre.error{background:#4a2420}
th,td{border-color:#444}.SUCCESS{color:#4cc26b}.FAILED,.TIMEDOUT,.INTERNAL_ERROR{color:#ff8a80}a{color:#8ab4f8}}
"""


def render(settings: Settings, run: Json, chosen: Json | None) -> str:
    """`chosen` is the task whose page it is; None shows all tasks of the run."""
    shown = chosen or run
    state = shown["state"]
    result = state.get("result_state") or state["life_cycle_state"]
    title = f"Run {shown['run_id']} of {run['run_name']}"
    refresh = "" if run_states.is_over(shown) else '<meta http-equiv="refresh" content="2">'
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<meta name='viewport' content='width=device-width'>{refresh}<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
        _table(
            {
                "State": f"<b class='{escape(result)}'>{escape(result)}</b> {escape(state['state_message'])}",
                "Workspace": escape(run["_"]["workspace_host"]),
                "Runs as": escape(run["run_as_user_name"]),
                "Started": escape(_time(shown["start_time"])),
                "Duration": escape(_duration(shown)),
            }
        ),
    ]
    for task in [chosen] if chosen else run["tasks"]:
        parts += _task(settings, task, heading=chosen is None)
    parts.append("</body></html>")
    return "\n".join(parts)


def _task(settings: Settings, task: Json, *, heading: bool) -> list[str]:
    notebook = task["notebook_task"]
    result = task["state"].get("result_state") or task["state"]["life_cycle_state"]
    parts = []
    if heading:
        parts.append(
            f"<h2>Task {escape(task['task_key'])}: <span class='{escape(result)}'>{escape(result)}</span></h2>"
        )
    parameters = notebook.get("base_parameters") or {}
    parts.append(
        _table(
            {
                "Notebook": escape(notebook["notebook_path"]),
                "Cluster": escape(task["cluster_instance"]["cluster_id"]),
                "Runtime": escape(str(task["new_cluster"].get("spark_version"))),
                "Setup / execution": f"{task['setup_duration']} ms / {task['execution_duration']} ms",
                **{f"Parameter {escape(name)}": escape(value) for name, value in parameters.items()},
            }
        )
    )
    output = task["_"].get("output") or {}
    if output.get("value") is not None:
        parts.append(f"<h2>Result</h2><pre>{escape(output['value'])}</pre>")
    if output.get("error"):
        parts.append(f"<h2>Error</h2><pre class='error'>{escape(output['error_trace'] or output['error'])}</pre>")
    folder = settings.runs / f"databricks-{task['run_id']}"
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
    """Text of one cell is one item."""
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


def _duration(run: Json) -> str:
    return f"{run['run_duration'] / 1000:.1f} s" if "run_duration" in run else "running"
