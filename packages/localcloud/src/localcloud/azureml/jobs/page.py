"""Run pages: one HTML document a job, with its steps, metrics, inputs and outputs, errors and logs.

It has no script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from html import escape
from itertools import islice
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from localcloud.azureml.common import WORKSPACE
from localcloud.azureml.jobs import blob_logs, run_shapes, tracked
from localcloud.azureml.jobs.arm import page_url
from localcloud.azureml.jobs.artifact_page import PATH as ARTIFACT_PATH
from localcloud.azureml.jobs.artifact_page import Artifacts, is_page
from localcloud.azureml.jobs.runner import JobRunner
from localcloud.azureml.jobs.runs import Run, RunStore
from localcloud.azureml.mlflow import workspaces
from localcloud.azureml.mlflow.client import Mlflow
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.resource import Resource
from localcloud.databricks.runs import find_submitted

_JOBS = "/_localcloud/azureml"
_LOG_TAIL = 40_000
_MOST_PAIRS = 10
_LONGEST = 40
"""Letters of a value in the list of jobs; the job's page has all of it."""
_TOKEN_LENGTH = 64
"""Letters of an idempotency token of Databricks: a job that submits a notebook run names itself by its run's id."""
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1b1f;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;vertical-align:top;border-bottom:1px solid #ddd}
td,h1,small,pre{overflow-wrap:anywhere}td:first-child{min-width:6.5rem}small{opacity:.75}b{white-space:nowrap}
pre{background:#f5f5f7;padding:.7rem;white-space:pre-wrap}pre.error{background:#fdecea}
.Completed{color:#1a7f37}.Failed{color:#b3261e}.Canceled,.CancelRequested{color:#8a6100}
@media(prefers-color-scheme:dark){body{color:#e6e6e9;background:#1b1b1f}pre{background:#2a2a30}pre.error{background:#4a2420}
th,td{border-color:#444}.Completed{color:#4cc26b}.Failed{color:#ff8a80}.Canceled,.CancelRequested{color:#f2c14e}
a{color:#8ab4f8}}
@media(max-width:50rem){.jobs tr:first-child{display:none}.jobs td{display:block;border:0}
.jobs tr{display:block;padding:.6rem 0;border-bottom:1px solid #888}}
"""


class Pages:
    """GET /_localcloud/azureml and /_localcloud/azureml/runs/ID?wsid=WORKSPACE, on localhost."""

    def __init__(self, ctx: Context, store: RunStore, runner: JobRunner, mlflow: Mlflow) -> None:
        self._ctx = ctx
        self._store = store
        self._runner = runner
        self._mlflow = mlflow
        self._artifacts = Artifacts(ctx, store)

    def routes(self) -> list[Route]:
        return [
            Route(_JOBS, self._jobs, methods=["GET"]),
            Route("/_localcloud/azureml/runs/{run}", self._run, methods=["GET"]),
            Route(ARTIFACT_PATH, self._artifacts.serve, methods=["GET"]),
        ]

    async def _jobs(self, request: Request) -> Response:
        """Render every workspace with its jobs, newest first."""
        parts = []
        for workspace in self._ctx.resources.list(WORKSPACE):
            runs = [self._live(run) for run in self._store.jobs(workspace.id)]
            parts.append(f"<h2>{escape(workspace.name)}</h2>")
            try:
                logged = await tracked.of_runs(self._mlflow, workspace, runs)
            except ServiceError as error:
                logged = {}
                parts.append(f"<p>MLflow does not answer: {escape(error.message)}</p>")
            rows = [
                [
                    f"{self._link(workspace, run)}<br><small>{escape(run.id)}</small>",
                    f"{_state(run)}<br><small>{self._cause(workspace, run)}</small>",
                    _pairs(_literals(run)),
                    _pairs(logged[run.id].metrics if run.id in logged else {}),
                    _pairs(logged[run.id].tags if run.id in logged else run.tags),
                    f"{escape(run.created[:19].replace('T', ' '))}<br>{_lasted(run)}",
                ]
                for run in runs
            ]
            heads = ["Job", "State", "Inputs", "Metrics", "Tags", "Submitted (UTC)"]
            parts.append(f"<div class='jobs'>{_table(heads, rows)}</div>")
        return HTMLResponse(_document("Azure ML jobs", parts or ["<p>There is no workspace.</p>"], refresh=False))

    async def _run(self, request: Request) -> Response:
        workspace = self._ctx.resources.get(request.query_params.get("wsid", "/"))
        run = self._store.get(workspace.id, request.path_params["run"]) if workspace is not None else None
        if workspace is None or run is None:
            return HTMLResponse(_document("No such run", ["<p>There is no such run.</p>"], refresh=False), 404)
        run = self._live(run)
        children = [self._live(child) for child in self._store.children(workspace.id, run.id)]
        parts = [f"<p><a href='{_JOBS}'>All jobs</a></p>"]
        parts += self._errors(workspace, run, children)
        names = await asyncio.to_thread(self._artifacts.names, workspace, run)
        links = self._artifact_links(workspace, run, names)
        parts.append(_facts(self._head(workspace, run, await self._links(workspace, [run, *children], links))))
        if children:
            rows = [
                [
                    self._link(workspace, child),
                    f"{_state(child)}{', reused' if child.reused else ''}",
                    _lasted(child),
                    _reason(child),
                ]
                for child in children
            ]
            parts += ["<h2>Steps</h2>", _table(["Step", "State", "Duration", "Error"], rows)]
        parts += await self._tracked(workspace, [run, *children])
        if links:
            parts.append(f"<h2>Artifacts</h2><ul>{''.join(f'<li>{link}</li>' for link in links.values())}</ul>")
        for title, ports in (("Inputs", run.inputs), ("Outputs", run.outputs)):
            rows = [[escape(name), escape(str(port.get("value", port.get("uri"))))] for name, port in ports.items()]
            parts += [f"<h2>{title}</h2>", _table(["Name", "Value"], rows)] if rows else []
        parts += await self._logs(workspace, run)
        return HTMLResponse(_document(f"Job {run.display_name}", parts, refresh=not run.over))

    def _errors(self, workspace: Resource, run: Run, children: list[Run]) -> list[str]:
        """Return why a run failed: the cause of each step that did, then its own error."""
        parts = [
            f"<h3>{self._link(workspace, child)}</h3><pre class='error'>{escape(child.reason or 'No reason.')}</pre>"
            for child in children
            if child.status == "Failed"
        ]
        if run.error is not None:
            parts.append(f"<pre class='error'>{escape(str(run.error['message']))}</pre>")
        return ["<h2>Why it failed</h2>", *parts] if parts else []

    async def _links(self, workspace: Resource, runs: list[Run], artifacts: Mapping[str, str]) -> dict[str, str]:
        """Return links to a run's pages, to notebook runs that it or its steps submitted, and to models from them."""
        links = {}
        if pages := [link for name, link in artifacts.items() if is_page(name)]:
            links["Pages"] = "<br>".join(pages)
        notebooks = [(run, find_submitted(self._ctx.database, run.id[:_TOKEN_LENGTH])) for run in runs]
        if links_of_tasks := [
            f"<a href='{escape(submitted.page_url)}'>run {submitted.run_id} of {escape(run.name)}</a>"
            for run, submitted in notebooks
            if submitted is not None
        ]:
            links["Databricks"] = "<br>".join(links_of_tasks)
        try:
            versions = await tracked.model_versions(self._mlflow, workspace, runs)
        except ServiceError as error:
            return links | {"Models": f"MLflow does not answer: {escape(error.message)}"}
        if versions:
            links["Models"] = "<br>".join(self._model_link(workspace, *version) for version in versions)
        return links

    def _artifact_links(self, workspace: Resource, run: Run, names: list[str]) -> dict[str, str]:
        return {
            name: f"<a href='{escape(self._artifacts.address(workspace, run, name))}'>{escape(name)}</a>"
            for name in names
        }

    def _head(self, workspace: Resource, run: Run, links: Mapping[str, str]) -> dict[str, str]:
        head = {
            "State": _state(run), "Run id": escape(run.id), "Workspace": escape(workspace.name),
            "Experiment": escape(run.experiment), "Submitted": f"{escape(run.created[:19])} UTC",
            "Duration": _lasted(run),
        }  # fmt: skip
        if run.parent is not None:
            parent = self._store.get(workspace.id, run.parent)
            head["Step of"] = self._link(workspace, parent) if parent is not None else escape(run.parent)
        if run.reused is not None:
            earlier = self._store.get(workspace.id, run.reused)
            head["Reused from"] = escape(run.reused) if earlier is None else self._link(workspace, earlier, run.reused)
        identity = self._ctx.identities.by_object_id(run.spec.get("identity") or "")
        if run.compute is not None:
            head["Compute"] = escape(run.compute.rsplit("/", 1)[-1])
        if identity is not None:
            head["Runs as"] = f"{escape(identity.display_name)} ({escape(identity.app_id)})"
        if run.mlflow_run_id is not None:
            head["MLflow"] = self._mlflow_link(workspace, run)
        head |= links
        for name, at in run.states:
            head[f"{escape(name)} at"] = f"{escape(at[11:23])} UTC"
        return head

    def _mlflow_link(self, workspace: Resource, run: Run) -> str:
        path = f"#/experiments/{run.spec.get('mlflow_experiment')}/runs/{quote(run.mlflow_run_id or '')}"
        return f"<a href='{self._mlflow_address(workspace, path)}'>run in MLflow</a>"

    def _model_link(self, workspace: Resource, name: str, version: str) -> str:
        address = self._mlflow_address(workspace, f"#/models/{quote(name)}/versions/{quote(version)}")
        return f"<a href='{address}'>{escape(name)} version {escape(version)}</a>"

    def _mlflow_address(self, workspace: Resource, path: str) -> str:
        name = quote(workspaces.name_of(self._ctx.database, workspace) or workspaces.DEFAULT)
        return escape(f"{self._ctx.settings.tracking_url}/?workspace={name}{path}?workspace={name}")

    async def _tracked(self, workspace: Resource, runs: list[Run]) -> list[str]:
        """Return the metrics and tags of a run and its steps."""
        try:
            logged = await tracked.of_runs(self._mlflow, workspace, runs)
        except ServiceError as error:
            return [f"<p>MLflow does not answer: {escape(error.message)}</p>"]
        parts = []
        known = [(escape(run.display_name or run.name), logged[run.id]) for run in runs if run.id in logged]
        for title, values in (
            ("Metric", [(name, entry.metrics) for name, entry in known]),
            ("Tag", [(name, entry.tags) for name, entry in known]),
        ):
            rows = [[run, escape(name), escape(value)] for run, pairs in values for name, value in pairs.items()]
            parts += [f"<h2>{title}s</h2>", _table(["Run", title, "Value"], rows)] if rows else []
        return parts

    async def _logs(self, workspace: Resource, run: Run) -> list[str]:
        parts = []
        for name in run.logs:
            text = await asyncio.to_thread(self._log, workspace, run, name)
            parts.append(f"<h2>{escape(name)}</h2><pre>{escape(text)}</pre>")
        return parts

    def _log(self, workspace: Resource, run: Run, name: str) -> str:
        account, container = blob_logs.artifact_store(self._ctx, workspace)
        blob = self._ctx.storage.service_client(account).get_blob_client(
            container, f"{blob_logs.folder(run.origin)}/{name}"
        )
        size = int(blob.get_blob_properties().size) if blob.exists() else 0
        start = max(0, size - _LOG_TAIL)
        content = blob.download_blob(offset=start, length=_LOG_TAIL).readall() if size else b""
        text: str = content.decode("utf-8", "replace")
        return ("… (the end of the log)\n" if start else "") + text

    def _cause(self, workspace: Resource, run: Run) -> str:
        """Return why a run failed: the first step that did, with its reason; else the run's own."""
        children = self._store.children(workspace.id, run.id) if run.status == "Failed" else []
        failed = next((child for child in children if child.status == "Failed"), None)
        return _reason(run) if failed is None else f"{escape(failed.name)}: {_reason(failed)}"

    def _live(self, run: Run) -> Run:
        return self._runner.live(run.workspace_id, run.id) or run

    def _link(self, workspace: Resource, run: Run, text: str = "") -> str:
        label = text or run.display_name or run.name
        return f"<a href='{escape(page_url(self._ctx, workspace, run.id))}'>{escape(label)}</a>"


def _document(title: str, parts: list[str], *, refresh: bool) -> str:
    again = '<meta http-equiv="refresh" content="2">' if refresh else ""
    return "\n".join(
        [
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            f"<meta name='viewport' content='width=device-width'>{again}<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
            *parts,
            "</body></html>",
        ]
    )


def _facts(rows: dict[str, str]) -> str:
    return "<table>" + "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items()) + "</table>"


def _table(head: list[str], rows: list[list[str]]) -> str:
    first = "".join(f"<th>{name}</th>" for name in head)
    rest = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{rest}</table>"


def _literals(run: Run) -> dict[str, str]:
    """Return the inputs that are values, which distinguish runs of one pipeline."""
    return {name: str(port["value"]) for name, port in run.inputs.items() if "value" in port}


def _pairs(values: Mapping[str, str]) -> str:
    """Return the first names and values on a line each, long values shortened: the run's own page has all of them."""
    lines = [
        f"<small>{escape(name)}</small> {escape(value if len(value) <= _LONGEST else f'{value[:_LONGEST]}…')}"
        for name, value in islice(values.items(), _MOST_PAIRS)
    ]
    if len(values) > _MOST_PAIRS:
        lines.append(f"<small>and {len(values) - _MOST_PAIRS} more</small>")
    return "<br>".join(lines)


def _state(run: Run) -> str:
    return f"<b class='{escape(run.status)}'>{escape(run.status)}</b>"


def _lasted(run: Run) -> str:
    return f"{run_shapes.lasted(run):.1f} s" if run.started else ""


def _reason(run: Run) -> str:
    return escape(run.reason[:300])
