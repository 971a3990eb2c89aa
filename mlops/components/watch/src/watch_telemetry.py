"""The custom metrics of watched files: each window and judgement is sent once, or twice after a kill.

A result is marked after the service has accepted its metrics, so that a run sends metrics that earlier ones did not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from azure.core.credentials import TokenCredential

from steps import telemetry
from steps.telemetry import WATCH_BREACHES, Metric
from steps.watch_results import History, Judgement, Window

if TYPE_CHECKING:
    from watch_history import WatchHistory  # type: ignore[import-not-found]

NOWHERE = "none"
"""Value in place of a connection string: the stack has none."""


def send(store: WatchHistory, history: History, connection_string: str, credential: TokenCredential) -> int:
    """Send the metrics of the results that were not sent yet; return their number. Raises TelemetryError."""
    results: Sequence[Window | Judgement] = store.unsent([*history.windows, *history.judgements.values()])
    if results:
        telemetry.send(connection_string, [metric for result in results for metric in metrics(result)], credential)
    for result in results:
        store.mark_sent(result)
    return len(results)


def metrics(result: Window | Judgement) -> Iterator[Metric]:
    """Yield the metrics of a result, with the model and the column as dimensions."""
    model = {"model": result.model}
    if isinstance(result, Judgement):
        if result.breaches:
            yield Metric(WATCH_BREACHES, len(result.breaches), model)
        for name, value in result.metrics.items():
            yield Metric(f"realised_{name}", value, model)
        return
    yield Metric(WATCH_BREACHES, len(result.breaches), model)
    yield Metric("refused_share", result.refused_share, model)
    yield Metric("scored_rows", result.rows_scored, model)
    for name, column in result.columns.items():
        yield Metric("missing_share", column.missing, model | {"column": name})
        if column.index is not None:
            yield Metric("drift_index", column.index, model | {"column": name})
    if result.worst_prediction is not None and result.worst_prediction[1].index is not None:
        yield Metric("prediction_drift_index", result.worst_prediction[1].index, model)
