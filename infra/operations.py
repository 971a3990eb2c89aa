"""The operators' layer: diagnostic logs, alerts, a budget, a workbook and locks."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from declarations.training_pipelines import watched_models
from infra.alerts import Alerts, AlertsArgs
from infra.diagnostics import Diagnostics, DiagnosticsArgs, Source
from infra.foundation import Foundation
from infra.locks import Locks, LocksArgs
from infra.model_alerts import ModelAlerts, ModelAlertsArgs
from infra.new_data_alerts import NewDataAlerts, NewDataAlertsArgs
from infra.stack_parts import Layer, StackContext
from infra.workbook import PlatformWorkbook, WorkbookArgs
from infra.workspaces import Workspaces


@dataclass(frozen=True, kw_only=True)
class Operations(Layer):
    """The components; `locks` and `new_data_alerts` are None unless the settings enable them."""

    diagnostics: Diagnostics
    alerts: Alerts
    model_alerts: ModelAlerts
    new_data_alerts: NewDataAlerts | None
    workbook: PlatformWorkbook
    locks: Locks | None


def declare_operations(context: StackContext, foundation: Foundation, workspaces: Workspaces) -> Operations:
    """Declare the layer."""
    monitoring, registry = foundation.monitoring, workspaces.model_registry
    diagnostics = Diagnostics(
        "diagnostics",
        DiagnosticsArgs(
            log_workspace_id=monitoring.workspace_id,
            sources=[
                *foundation.storage.sources,
                Source(label="keyvault", id=foundation.key_vault.vault_id),
                Source(label="registry", id=foundation.container_registry.registry_id),
                Source(label="workspace", id=workspaces.learning.workspace_id),
                Source(label="databricks", id=workspaces.databricks.workspace_id, metrics=False),
                Source(label="logs", id=monitoring.workspace_id),
                # Application Insights has no setting: its telemetry is in this workspace already, and would be there
                # twice.
                *([] if registry is None else registry.sources),
                *([] if workspaces.serving is None else workspaces.serving.sources),
                *([] if workspaces.new_data is None else workspaces.new_data.sources),
                *foundation.network.sources,
            ],
        ),
        context.child,
    )
    alerts = Alerts(
        "alerts",
        AlertsArgs(
            names=context.names,
            placement=context.placement,
            emails=context.settings.monitoring.alert_emails,
            webhooks=context.settings.monitoring.alert_webhooks,
            budget=context.settings.budget,
            ml_workspace_id=workspaces.learning.workspace_id,
            log_workspace_id=monitoring.workspace_id,
            resource_group_id=context.resource_group_id,
            depends_on=[diagnostics],
        ),
        context.child,
    )
    model_alerts = ModelAlerts(
        "model-alerts",
        ModelAlertsArgs(
            names=context.names,
            placement=context.placement,
            application_insights_id=monitoring.application_insights_id,
            action_group_id=alerts.action_group_id,
            models=watched_models(),
        ),
        context.child,
    )
    new_data_alerts = None
    if workspaces.new_data is not None:
        new_data_alerts = NewDataAlerts(
            "new-data-alerts",
            NewDataAlertsArgs(
                names=context.names,
                placement=context.placement,
                action_group_id=alerts.action_group_id,
                workflow_ids=workspaces.new_data.workflow_ids,
            ),
            context.child,
        )
    workbook = PlatformWorkbook(
        "workbook",
        WorkbookArgs(
            names=context.names,
            placement=context.placement,
            log_workspace_id=monitoring.workspace_id,
            ml_workspace_id=workspaces.learning.workspace_id,
            resource_group_id=context.resource_group_id,
        ),
        context.child,
    )
    own = [diagnostics, alerts, model_alerts, *([] if new_data_alerts is None else [new_data_alerts]), workbook]
    everything = [*foundation.components, *workspaces.components, *own]
    locks = _locks(context, foundation, workspaces, everything)
    return Operations(
        diagnostics=diagnostics,
        alerts=alerts,
        model_alerts=model_alerts,
        new_data_alerts=new_data_alerts,
        workbook=workbook,
        locks=locks,
    )


def _locks(
    context: StackContext, foundation: Foundation, workspaces: Workspaces, everything: list[pulumi.Resource]
) -> Locks | None:
    """Lock resources that hold data. Locks come after everything else, so that a destroy has to begin with them."""
    protection, registry = context.settings.protection, workspaces.model_registry
    scopes: dict[str, pulumi.Input[str]] = {}
    if protection.lock:
        scopes = {
            "workspace-storage": foundation.storage.workspace_account_id,
            "training-storage": foundation.storage.training_account_id,
            "keyvault": foundation.key_vault.vault_id,
            "workspace": workspaces.learning.workspace_id,
        }
    kept = registry is not None and context.settings.model_registry.protect
    if registry is not None and (protection.lock or kept):
        scopes["model-registry"] = registry.registry_id
    if not scopes:
        return None
    protect = protection.protect or kept
    return Locks("locks", LocksArgs(scopes=scopes, depends_on=everything, protect=protect), context.child)
