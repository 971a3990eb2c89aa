"""Parts that the stack's metric alerts share: the criterion and the receivers."""

from __future__ import annotations

import pulumi
from pulumi_azure_native import monitor


def above_zero(
    name: str,
    namespace: str,
    metric: str,
    aggregation: monitor.AggregationTypeEnum,
    *,
    skip_metric_validation: bool | None = None,
) -> monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs:
    """Return the criterion that a metric of one resource is above 0."""
    return monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
        odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
        all_of=[
            monitor.MetricCriteriaArgs(
                criterion_type="StaticThresholdCriterion",
                name=name,
                metric_namespace=namespace,
                metric_name=metric,
                time_aggregation=aggregation,
                operator=monitor.Operator.GREATER_THAN,
                threshold=0,
                skip_metric_validation=skip_metric_validation,
            )
        ],
    )


def actions(action_group_id: pulumi.Input[str] | None) -> list[monitor.MetricAlertActionArgs]:
    """Return the actions of a rule: none where there is no action group."""
    return [] if action_group_id is None else [monitor.MetricAlertActionArgs(action_group_id=action_group_id)]
