"""Alerts on failed pipeline runs, failed notebook runs and an exhausted budget, and their receivers."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import consumption, monitor

from infra.metric_alert_rules import above_zero, actions
from infra.naming import Names
from infra.placement import Placement
from infra.settings import BudgetSettings

_FAILED_NOTEBOOK_RUNS = 'DatabricksJobs | where ActionName in ("runFailed", "submitRunFailed")'


@dataclass(frozen=True, kw_only=True)
class AlertsArgs:
    """Ids are ARM ids; `resource_group_id` is the scope of the budget. `webhooks` may hold secrets."""

    names: Names
    placement: Placement
    emails: Sequence[str]
    webhooks: Sequence[str]
    budget: BudgetSettings
    ml_workspace_id: pulumi.Input[str]
    log_workspace_id: pulumi.Input[str]
    resource_group_id: pulumi.Input[str]
    depends_on: Sequence[pulumi.Resource]


class Alerts(pulumi.ComponentResource):
    """An action group and its alerts where there are recipients; a budget where there is an amount."""

    action_group_id: pulumi.Output[str] | None

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dataopsml:monitoring:Alerts", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        group = self._group() if args.emails or args.webhooks else None
        self.action_group_id = None if group is None else group.id
        if group is not None:
            self._failed_pipelines(group)
            self._failed_notebooks(group)
        if args.budget.monthly_amount:
            self._budget(group)
        self.register_outputs({})

    def _group(self) -> monitor.ActionGroup:
        args = self._args
        return monitor.ActionGroup(
            f"{self._name}-people",
            action_group_name=args.names.action_group,
            group_short_name=args.names.base,
            resource_group_name=args.placement.resource_group_name,
            location="global",
            enabled=True,
            email_receivers=[
                monitor.MicrosoftCommonEmailReceiverArgs(name=email, email_address=email, use_common_alert_schema=True)
                for email in args.emails
            ],
            webhook_receivers=[
                monitor.WebhookReceiverArgs(
                    name=f"webhook-{number}", service_uri=pulumi.Output.secret(url), use_common_alert_schema=True
                )
                for number, url in enumerate(args.webhooks, start=1)
            ]
            or None,  # an empty list would be an update of stacks that were deployed before there were webhooks
            tags=args.placement.tags,
            opts=self._child,
        )

    def _failed_pipelines(self, group: monitor.ActionGroup) -> None:
        args = self._args
        monitor.MetricAlert(
            f"{self._name}-failed-pipelines",
            rule_name=args.names.alert("failed-pipelines"),
            resource_group_name=args.placement.resource_group_name,
            location="global",
            description="A run in Azure Machine Learning failed.",
            severity=2,
            enabled=True,
            scopes=[args.ml_workspace_id],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            criteria=above_zero(
                "failed",
                "Microsoft.MachineLearningServices/workspaces",
                "Failed Runs",
                monitor.AggregationTypeEnum.TOTAL,
            ),
            actions=actions(group.id),
            tags=args.placement.tags,
            opts=self._child,
        )

    def _failed_notebooks(self, group: monitor.ActionGroup) -> None:
        args = self._args
        monitor.ScheduledQueryRule(
            f"{self._name}-failed-notebooks",
            rule_name=args.names.alert("failed-notebooks"),
            resource_group_name=args.placement.resource_group_name,
            location=args.placement.location,
            display_name="Failed notebook runs",
            description="A run in Azure Databricks failed.",
            severity=2,
            enabled=True,
            scopes=[args.log_workspace_id],
            evaluation_frequency="PT15M",
            window_size="PT15M",
            # The table appears with the first log of the Databricks workspace.
            skip_query_validation=True,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(
                all_of=[
                    monitor.ConditionArgs(
                        query=_FAILED_NOTEBOOK_RUNS,
                        time_aggregation=monitor.TimeAggregation.COUNT,
                        operator="GreaterThan",  # the enum of that name is another service's
                        threshold=0,
                    )
                ]
            ),
            actions=monitor.ActionsArgs(action_groups=[group.id]),
            tags=args.placement.tags,
            opts=pulumi.ResourceOptions(parent=self, depends_on=args.depends_on),
        )

    def _budget(self, group: monitor.ActionGroup | None) -> None:
        args, budget = self._args, self._args.budget
        groups = [] if group is None else [group.id]

        def notice(percent: int, kind: consumption.ThresholdType) -> consumption.NotificationArgs:
            return consumption.NotificationArgs(
                enabled=True,
                operator=consumption.OperatorType.GREATER_THAN_OR_EQUAL_TO,
                threshold=percent,
                threshold_type=kind,
                contact_emails=list(args.emails),
                contact_groups=groups,
                contact_roles=["Owner", "Contributor"],
            )

        consumption.Budget(
            f"{self._name}-budget",
            budget_name=args.names.budget,
            scope=args.resource_group_id,
            category=consumption.CategoryType.COST,
            amount=budget.monthly_amount,
            time_grain=consumption.TimeGrainType.MONTHLY,
            time_period=consumption.BudgetTimePeriodArgs(start_date=f"{first_of_the_month(_today())}T00:00:00Z"),
            notifications={
                "actual": notice(budget.warn_percent, consumption.ThresholdType.ACTUAL),
                "forecast": notice(100, consumption.ThresholdType.FORECASTED),
            },
            # Azure wants a new budget to start in the current month, and an old one to keep its start.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["timePeriod"]),
        )


def first_of_the_month(day: datetime.date) -> datetime.date:
    """Return the first day of the month, the only start that Azure accepts for a monthly budget."""
    return day.replace(day=1)


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()
