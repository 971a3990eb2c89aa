"""Diagnostic settings: logs and metrics of every resource go to Log Analytics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor


@dataclass(frozen=True, kw_only=True)
class Source:
    """A resource that logs; `label` is its name within the stack. Some types have no metrics, and some have no logs.

    `categories`: the categories of its logs by name; all of them if empty.
    """

    label: str
    id: pulumi.Input[str]
    logs: bool = True
    metrics: bool = True
    categories: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class DiagnosticsArgs:
    """`log_workspace_id` is Log Analytics'."""

    log_workspace_id: pulumi.Input[str]
    sources: Sequence[Source]


class Diagnostics(pulumi.ComponentResource):
    """A setting for each source, with all logs and all metrics."""

    def __init__(self, name: str, args: DiagnosticsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:monitoring:Diagnostics", name, None, opts)
        for source in args.sources:
            logs = [
                monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True) for category in source.categories
            ] or [monitor.DiagnosticsLogSettingsArgs(category_group="allLogs", enabled=True)]
            metrics = [monitor.DiagnosticsMetricSettingsArgs(category="AllMetrics", enabled=True)]
            monitor.DiagnosticSetting(
                f"{name}-{source.label}",
                name="dataopsml",
                resource_uri=source.id,
                workspace_id=args.log_workspace_id,
                logs=logs if source.logs else [],
                metrics=metrics if source.metrics else [],
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
