"""Metric alerts on the Logic Apps that new data start: a run that failed has started no training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import monitor

from infra.metric_alert_rules import above_zero, actions
from infra.naming import Names
from infra.placement import Placement

_WARNING = 2


@dataclass(frozen=True, kw_only=True)
class NewDataAlertsArgs:
    """`workflow_ids`: the Logic Apps by pipeline.

    `action_group_id`: the receivers of alerts, None without receivers.
    """

    names: Names
    placement: Placement
    action_group_id: pulumi.Input[str] | None
    workflow_ids: Mapping[str, pulumi.Input[str]]


class NewDataAlerts(pulumi.ComponentResource):
    """A rule for each Logic App."""

    def __init__(self, name: str, args: NewDataAlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:monitoring:NewDataAlerts", name, None, opts)
        for pipeline, workflow_id in args.workflow_ids.items():
            monitor.MetricAlert(
                f"{name}-{pipeline}",
                rule_name=args.names.alert(f"new-data-{pipeline}"),
                resource_group_name=args.placement.resource_group_name,
                location="global",
                description=f"New data of {pipeline} came and started no training: docs/operations.md.",
                severity=_WARNING,
                enabled=True,
                scopes=[workflow_id],
                evaluation_frequency="PT5M",
                window_size="PT5M",
                criteria=above_zero(
                    "failed", "Microsoft.Logic/workflows", "RunsFailed", monitor.AggregationTypeEnum.TOTAL
                ),
                actions=actions(args.action_group_id),
                tags=args.placement.tags,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
