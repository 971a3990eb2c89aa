"""Metric alerts on the custom metrics of watched models: severity, window, receivers.

The metric store of Application Insights keeps custom metrics without their dimensions (steps/telemetry.py), so that
each model has a metric of its own to watch; docs/adr/0039 has the choice. A rule without an action group sends no
message, and its alerts are still listed in the portal and by Microsoft.AlertsManagement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

from infra.metric_alert_rules import above_zero, actions
from infra.naming import Names
from infra.placement import Placement

NAMESPACE = "azure.applicationinsights"
"""Namespace of custom metrics that came by Application Insights: Azure's answer to metricNamespaces of a component."""
_WARNING = 2


@dataclass(frozen=True, kw_only=True)
class ModelAlertsArgs:
    """`models`: names of the watched models. `action_group_id`: the receivers of alerts, None without receivers."""

    names: Names
    placement: Placement
    application_insights_id: pulumi.Input[str]
    action_group_id: pulumi.Input[str] | None
    models: Sequence[str]


class ModelAlerts(pulumi.ComponentResource):
    """A rule for each watched model."""

    def __init__(self, name: str, args: ModelAlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:monitoring:ModelAlerts", name, None, opts)
        self._name, self._args = name, args
        for model in args.models:
            self._rule(model)
        self.register_outputs({})

    def _rule(self, model: str) -> monitor.MetricAlert:
        """Declare a rule that fires when the model's metric was above 0.

        A value comes once a run and may be minutes late: three evaluations see it, and a state lets one alert of them.
        """
        args = self._args
        return monitor.MetricAlert(
            f"{self._name}-watch-{model}",
            rule_name=args.names.alert(f"watch-{model}"),
            resource_group_name=args.placement.resource_group_name,
            location="global",
            description=f"Scored data or predictions of {model} have left the bounds of its specification: "
            "docs/operations.md.",
            severity=_WARNING,
            enabled=True,
            scopes=[args.application_insights_id],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            auto_mitigate=True,
            criteria=above_zero(
                "breached",
                NAMESPACE,
                f"watch_breaches_{model}",
                monitor.AggregationTypeEnum.MAXIMUM,
                skip_metric_validation=True,  # the metric is there with its first value
            ),
            actions=actions(args.action_group_id),
            tags=args.placement.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
