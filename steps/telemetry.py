"""Custom metrics of Application Insights, sent with an Entra token: each is accepted, or sending fails with a reason.

The vendor's exporter writes the envelopes, signs in for https://monitor.azure.com and posts them. It reports failures
to its log alone and stores unsent metrics in files for later, which a job does not have: see `send`.

Azure's metric store keeps custom metrics without their dimensions, unless the component was opted in by hand
(learn.microsoft.com/azure/azure-monitor/app/metrics-overview, "Pricing models"); logs keep them. Hence a metric that an
alert watches is sent once more under a name of the model's own: docs/adr/0039.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import RetryPolicy

WATCH_BREACHES = "watch_breaches"
"""The metric that the stack's alert rules watch, one rule per model: infra/model_alerts.py."""
_ROLE = "Monitoring Metrics Publisher"
_RETRIES = 4


class TelemetryError(Exception):
    """Metrics were not accepted; the text has the reason."""


@dataclass(frozen=True)
class Metric:
    """A value as of now. Dimensions are texts by name, such as model and column."""

    name: str
    value: float
    dimensions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise ValueError(f"the metric {self.name} is {self.value}, and must be a finite number")


def alerted_name(metric: str, model: str) -> str:
    """Return the name under which a model's alert rule finds a metric."""
    return f"{metric}_{model}"


def send(connection_string: str, metrics: Sequence[Metric], credential: TokenCredential) -> None:
    """Send metrics to the component that the connection string names.

    Raises TelemetryError when any was not accepted. It returns when the service has accepted all of them.
    """
    # The exporter would report its own use to Microsoft and to the component, and request settings from another host,
    # all in threads that outlive this call.
    for switch in ("STATSBEAT_DISABLED_ALL", "SDKSTATS_DISABLED", "CONTROLPLANE_DISABLED"):
        os.environ.setdefault(f"APPLICATIONINSIGHTS_{switch}", "true")
    from azure.monitor.opentelemetry.exporter import AzureMonitorMetricExporter  # takes a while
    from opentelemetry.sdk.metrics.export import MetricExportResult

    points = _with_alerted_names(metrics)
    attempts = _Attempts(retry_total=_RETRIES)
    try:
        exporter = AzureMonitorMetricExporter(
            connection_string=connection_string, credential=credential, disable_offline_storage=True,
            retry_policy=attempts,
        )  # fmt: skip
    except ValueError as error:
        raise TelemetryError(f"The connection string of Application Insights is not valid: {error}") from error
    result = exporter.export(_data(points))
    exporter.shutdown()
    reason = attempts.reason(len(points))
    if result is not MetricExportResult.SUCCESS or reason is not None:
        raise TelemetryError(f"Application Insights did not accept {len(points)} metrics: {reason or 'see the log'}")


class _Attempts(RetryPolicy):  # type: ignore[type-arg]
    """The retries of azure-core; it records the result of the last attempt, which the exporter does not return."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._error: AzureError | None = None
        self._status, self._phrase, self._body = 0, "", ""

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        try:
            response = super().send(request)
        except AzureError as error:
            self._error = error
            raise
        answer = response.http_response
        self._status, self._phrase, self._body = answer.status_code, str(answer.reason or ""), answer.text()
        return response

    def reason(self, sent: int) -> str | None:
        """Return why not all of `sent` items were accepted, None if they were."""
        if self._error is not None:
            return str(self._error)
        if not self._status:
            return "no request was sent"
        body = _json(self._body)
        if self._status == 200 and body.get("itemsAccepted") == sent:
            return None
        messages = sorted({str(error.get("message")) for error in body.get("errors") or [] if error.get("message")})
        text = "; ".join(messages) or self._phrase or "no reason given"
        mend = {
            401: "The token was refused: the identity signs in for another tenant, or not at all.",
            403: f"Give the identity the role {_ROLE} on the Application Insights component; `pulumi up` does for the "
            "pipeline's, and a new role takes minutes to have effect.",
        }.get(self._status, "")
        accepted = body.get("itemsAccepted", 0)
        return f"{self._status}, {accepted} of {sent} accepted: {text.rstrip('.')}. {mend}".rstrip()


def _with_alerted_names(metrics: Sequence[Metric]) -> list[Metric]:
    own = [
        Metric(alerted_name(metric.name, metric.dimensions["model"]), metric.value, metric.dimensions)
        for metric in metrics
        if metric.name == WATCH_BREACHES
    ]
    return [*metrics, *own]


def _data(metrics: Sequence[Metric]) -> Any:
    """Return OpenTelemetry's form of the metrics: a gauge with one value each."""
    from opentelemetry.sdk.metrics import export
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    now = time.time_ns()
    gauges = [
        export.Metric(
            metric.name,
            None,
            None,
            export.Gauge([export.NumberDataPoint(dict(metric.dimensions), now, now, metric.value)]),
        )
        for metric in metrics
    ]
    scope = export.ScopeMetrics(InstrumentationScope("dataopsml"), gauges, "")
    resource = Resource({"service.name": "dataopsml"})
    return export.MetricsData([export.ResourceMetrics(resource, [scope], "")])


def _json(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
