"""Records of watching in a run: metrics, artifacts and tags of the pipeline's run in MLflow."""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import mlflow
from mlflow.entities import Metric, RunTag

from steps.reporting import monitoring
from steps.specification import Specification
from steps.watch_results import WATCH_FILE, History, Judgement, Window, summary

_TAG_LENGTH = 250
_OTHER = re.compile(r"[^A-Za-z0-9_. /-]")
"""Letters that MLflow refuses in names of metrics."""
_PAGE = "watch.html"


def keep(specified: Specification, windows: Sequence[Window], judged: Sequence[Judgement], history: History) -> None:
    """Put results and the page of the trend into the pipeline's run; outside of a pipeline, into a run of its own.

    A run without new results, such as a sample's, stores nothing.
    """
    if not windows and not judged:
        return
    client = mlflow.MlflowClient()
    run = os.environ.get("AZUREML_ROOT_RUN_ID")
    if run is None:
        with mlflow.start_run() as own:
            run = own.info.run_id
    with tempfile.TemporaryDirectory() as folder:
        content = {
            "version": 1,
            "windows": [window.model_dump(mode="json") for window in windows],
            "judgements": [judgement.model_dump(mode="json") for judgement in judged],
        }
        files = Path(folder) / WATCH_FILE, Path(folder) / _PAGE
        files[0].write_text(json.dumps(content, indent=2), encoding="utf-8")
        files[1].write_text(monitoring.html(specified, history), encoding="utf-8")
        for file in files:
            client.log_artifact(run, str(file))
    now = int(time.time() * 1000)
    results: list[Window | Judgement] = [*windows, *judged]
    values = [
        Metric(_OTHER.sub("_", name), value, now, step)
        for step, result in enumerate(results)
        for name, value in _metrics(result)
    ]
    client.log_batch(run, metrics=values, tags=[RunTag("watch", _render(windows, judged)[:_TAG_LENGTH])])


def _render(windows: Sequence[Window], judged: Sequence[Judgement]) -> str:
    """Return the verdicts in a line, breaches first."""
    texts = [summary(window) for window in sorted(windows, key=lambda window: window.verdict != "breach")]
    texts += [f"by labels: {breach.message}" for judgement in judged for breach in judgement.breaches]
    return "; ".join(texts) or "labels are within their limits"


def _metrics(result: Window | Judgement) -> Iterator[tuple[str, float]]:
    if isinstance(result, Judgement):
        yield "labelled_rows", result.rows_labelled
        for name, value in result.metrics.items():
            yield f"realised_{name}", value
        return
    yield "watch_breaches", len(result.breaches)
    yield "refused_share", result.refused_share
    for name, column in result.columns.items():
        yield f"missing_share.{name}", column.missing
        if column.index is not None and column.distance is not None:
            yield f"drift_index.{name}", column.index
            yield f"drift_distance.{name}", column.distance
        if column.new_categories is not None:
            yield f"new_categories.{name}", column.new_categories
    for name, column in result.predictions.items():
        if column.index is not None:
            yield f"prediction_drift_index.{name}", column.index
