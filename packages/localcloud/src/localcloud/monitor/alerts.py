"""Fired alerts: one for each rule and combination of dimensions that met its condition, with its later states.

A stateful alert fires once and is resolved after three evaluations in a row that do not meet the condition
(learn.microsoft.com/azure/azure-monitor/alerts/alerts-types, "Metric alerts"). Its shape is from
azure-mgmt-alertsmanagement 1.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID
from localcloud.monitor.conditions import Combination, Reading

TYPE = "Microsoft.AlertsManagement/alerts"
STATES = ("New", "Acknowledged", "Closed")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS monitor_alerts (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    combination TEXT NOT NULL,
    fired TEXT NOT NULL,
    healthy INTEGER NOT NULL,
    body TEXT NOT NULL
);
"""
_HEALTHY_TO_RESOLVE = 3
_RETENTION = timedelta(days=30)
"""Azure's: learn.microsoft.com/azure/azure-monitor/alerts/alerts-overview."""
_MOST = 10_000
_SYSTEM = "System"


@dataclass(frozen=True)
class Change:
    """An alert that has just fired or been resolved, and the readings by which it was."""

    alert: Json
    rule: Resource
    combination: Combination
    readings: Sequence[Reading]
    moment: datetime

    @property
    def essentials(self) -> Json:
        content: Json = self.alert["properties"]["essentials"]
        return content


class Alerts:
    """A table of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def observe(
        self, rule: Resource, component: Resource, combination: Combination, readings: Sequence[Reading], now: datetime
    ) -> Change | None:
        """Take an evaluation of a rule; return the change that it brings about, None for none."""
        met = all(reading.met for reading in readings)
        stateful = rule.properties.get("autoMitigate", True)
        row = self._database.row(
            "SELECT id, healthy, body FROM monitor_alerts WHERE rule = ? AND combination = ?"
            " AND json_extract(body, '$.properties.essentials.monitorCondition') = 'Fired' ORDER BY fired DESC",
            (rule.id.lower(), json.dumps(combination)),
        )
        if met and (row is None or not stateful):
            alert = self._fire(rule, component, combination, now)
            return Change(alert, rule, combination, readings, now)
        if row is None or not stateful:
            return None
        healthy = 0 if met else row["healthy"] + 1
        self._database.execute("UPDATE monitor_alerts SET healthy = ? WHERE id = ?", (healthy, row["id"]))
        if healthy < _HEALTHY_TO_RESOLVE:
            return None
        alert = json.loads(row["body"])
        essentials = alert["properties"]["essentials"]
        essentials |= {"monitorCondition": "Resolved", "monitorConditionResolvedDateTime": stamp(now)}
        self._modify(alert, "MonitorConditionChange", "Fired", "Resolved", _SYSTEM, now)
        return Change(alert, rule, combination, readings, now)

    def _fire(self, rule: Resource, component: Resource, combination: Combination, now: datetime) -> Json:
        guid = str(uuid.uuid4())
        group = component.id.split("/")[4]
        alert: Json = {
            "id": f"{component.id}/providers/{TYPE}/{guid}",
            "type": TYPE,
            "name": rule.name,
            "properties": {
                "essentials": {
                    "severity": f"Sev{rule.properties['severity']}",
                    "signalType": "Metric",
                    "alertState": "New",
                    "monitorCondition": "Fired",
                    "targetResource": component.id,
                    "targetResourceName": component.name,
                    "targetResourceGroup": group,
                    "targetResourceType": component.type.lower(),
                    "monitorService": "Platform",
                    "alertRule": rule.id,
                    "sourceCreatedId": f"{guid}_{group}_microsoft.insights_metricAlerts_{rule.name}",
                    "startDateTime": stamp(now),
                    "description": str(rule.properties.get("description") or ""),
                },
                "history": [],
            },
        }
        self._database.execute(
            "INSERT INTO monitor_alerts (id, rule, combination, fired, healthy, body) VALUES (?, ?, ?, ?, 0, '{}')",
            (guid, rule.id.lower(), json.dumps(combination), now.astimezone(UTC).isoformat()),
        )
        self._modify(alert, "AlertCreated", "", "", _SYSTEM, now)
        self._database.execute("DELETE FROM monitor_alerts WHERE fired < ?", ((now - _RETENTION).isoformat(),))
        self._database.execute(
            "DELETE FROM monitor_alerts WHERE id IN (SELECT id FROM monitor_alerts ORDER BY fired DESC LIMIT -1 OFFSET"
            " ?)",
            (_MOST,),
        )
        return alert

    def open_combinations(self, rule: Resource) -> list[Combination]:
        """Return the combinations whose alerts of a rule are fired: they may have no new values."""
        rows = self._database.query(
            "SELECT DISTINCT combination FROM monitor_alerts WHERE rule = ?"
            " AND json_extract(body, '$.properties.essentials.monitorCondition') = 'Fired'",
            (rule.id.lower(),),
        )
        return [tuple((name, value) for name, value in json.loads(row["combination"])) for row in rows]

    def keep_context(self, change: Change, context: Json) -> None:
        """Keep the alert's readings, which `includeContext` shows."""
        change.alert["properties"]["context"] = context
        self._write(change.alert)

    def all(self) -> list[Json]:
        """Return all alerts, the newest first."""
        return [
            json.loads(row["body"])
            for row in self._database.query("SELECT body FROM monitor_alerts ORDER BY fired DESC")
        ]

    def get(self, guid: str) -> Json:
        """Return an alert by its GUID. Raises ServiceError 404."""
        row = self._database.row("SELECT body FROM monitor_alerts WHERE id = ?", (guid.lower(),))
        if row is None:
            raise ServiceError(
                404, "NotFound", f"The alert '{guid}' was not found in subscription '{SUBSCRIPTION_ID}'."
            )
        alert: Json = json.loads(row["body"])
        return alert

    def change_state(self, guid: str, state: str, by: str, now: datetime) -> Json:
        """Set the state that a person assigns to an alert. Raises ServiceError 404, and 400 for another state."""
        if state not in STATES:
            raise ServiceError(400, "BadRequest", f"The newState '{state[:50]}' is not valid: use {', '.join(STATES)}.")
        alert = self.get(guid)
        essentials = alert["properties"]["essentials"]
        before, essentials["alertState"] = essentials["alertState"], state
        self._modify(alert, "StateChange", before, state, by, now)
        return alert

    def _modify(self, alert: Json, event: str, old: str, new: str, by: str, now: datetime) -> None:
        essentials = alert["properties"]["essentials"]
        essentials |= {"lastModifiedDateTime": stamp(now), "lastModifiedUserName": by}
        alert["properties"]["history"].append(
            {"modificationEvent": event, "oldValue": old, "newValue": new, "modifiedAt": stamp(now), "modifiedBy": by}
        )
        self._write(alert)

    def _write(self, alert: Json) -> None:
        self._database.execute("UPDATE monitor_alerts SET body = ? WHERE id = ?", (json.dumps(alert), guid_of(alert)))


def guid_of(alert: Json) -> str:
    return str(alert["id"]).rsplit("/", 1)[-1]


def stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
