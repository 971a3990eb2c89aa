"""Notifications of action groups: webhooks are called with the common alert schema; no e-mail leaves the machine.

The payload is from learn.microsoft.com/azure/azure-monitor/alerts/alerts-payload-samples ("Metric alert with a static
threshold"), the times of repeated calls from learn.microsoft.com/azure/azure-monitor/alerts/action-groups.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from urllib.parse import urlsplit

import httpx

from localcloud.arm.types.alerts import ACTION_GROUP
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.settings import SUBSCRIPTION_ID
from localcloud.monitor.alerts import TYPE, Change, guid_of, stamp
from localcloud.monitor.conditions import window_of

_log = logging.getLogger("localcloud.monitor")
_RETRIABLE = frozenset({408, 429, 503, 504})
_DELAYS_SECONDS = (5.0, 20.0, 5.0, 40.0, 5.0)
_TIMEOUT_SECONDS = 10.0
_PAUSE_SECONDS = 15 * 60.0
"""Time without calls of a webhook's URL after it failed for good."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Notifications:
    """Calls webhooks in the background."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._paused: dict[str, float] = {}

    def send(self, change: Change, context: Json) -> None:
        """Tell the receivers of each action group of the rule."""
        payload = {
            "schemaId": "azureMonitorCommonAlertSchema",
            "data": {"essentials": _essentials(change), "alertContext": context, "customProperties": {}},
        }
        for action in change.rule.properties.get("actions") or []:
            group = self._ctx.resources.get(str(action.get("actionGroupId")))
            if group is None or group.type != ACTION_GROUP or not group.properties["enabled"]:
                continue
            for receiver in group.properties["emailReceivers"]:
                _log.info("alert %s: no mail is sent to receiver %s", change.rule.name, receiver["name"])
            for receiver in group.properties["webhookReceivers"]:
                work = self._call(str(receiver["serviceUri"]), str(receiver["name"]), payload)
                self._ctx.tasks.start(work, f"webhook {receiver['name']}")

    async def _call(self, url: str, receiver: str, payload: Json) -> None:
        """POST to a webhook until it answers. Logs name the receiver: the URL may hold a secret."""
        if time.monotonic() < self._paused.get(url, 0.0):
            _log.warning("webhook %s is not called: it failed less than 15 minutes ago", receiver)
            return
        bundle = self._ctx.settings.tls / "bundle.pem"
        tls = ssl.create_default_context(cafile=str(bundle)) if bundle.exists() else ssl.create_default_context()
        direct = urlsplit(url).hostname in _LOOPBACK
        async with httpx.AsyncClient(verify=tls, timeout=_TIMEOUT_SECONDS, trust_env=not direct) as client:
            for delay in (*_DELAYS_SECONDS, None):
                outcome = await _attempt(client, url, payload)
                if outcome is None:
                    _log.info("webhook %s was called", receiver)
                    return
                reason, again = outcome
                if not again or delay is None:
                    break
                _log.info("webhook %s: %s; trying again in %.0f s", receiver, reason, delay)
                await asyncio.sleep(delay)
        self._paused[url] = time.monotonic() + _PAUSE_SECONDS
        _log.warning("webhook %s failed: %s", receiver, reason)


async def _attempt(client: httpx.AsyncClient, url: str, payload: Json) -> tuple[str, bool] | None:
    """Return None for a success, else the reason and whether another attempt is due."""
    try:
        answer = await client.post(url, json=payload)
    except httpx.HTTPError as error:
        return type(error).__name__, True
    if answer.is_success:
        return None
    return f"status {answer.status_code}", answer.status_code in _RETRIABLE


def context_of(change: Change) -> Json:
    """Return the alert context: the condition with the values of its window."""
    rule = change.rule
    return {
        "properties": None,
        "conditionType": "SingleResourceMultipleMetricCriteria",
        "condition": {
            "windowSize": rule.properties["windowSize"],
            "allOf": [
                {
                    "metricName": reading.criterion["metricName"],
                    "metricNamespace": reading.criterion.get("metricNamespace"),
                    "operator": reading.criterion["operator"],
                    "threshold": f"{reading.criterion['threshold']:g}",
                    "timeAggregation": reading.criterion["timeAggregation"],
                    "dimensions": [{"name": name, "value": value} for name, value in change.combination],
                    "metricValue": reading.value,
                }
                for reading in change.readings
            ],
            "windowStartTime": stamp(change.moment - window_of(rule)),
            "windowEndTime": stamp(change.moment),
        },
    }


def _essentials(change: Change) -> Json:
    kept = change.essentials
    essentials: Json = {
        "alertId": f"/subscriptions/{SUBSCRIPTION_ID}/providers/{TYPE}/{guid_of(change.alert)}",
        "alertRule": change.rule.name,
        "alertRuleID": change.rule.id,
        "severity": kept["severity"],
        "signalType": kept["signalType"],
        "monitorCondition": kept["monitorCondition"],
        "monitoringService": kept["monitorService"],
        "alertTargetIDs": [str(kept["targetResource"]).lower()],
        "configurationItems": [kept["targetResourceName"]],
        "originAlertId": kept["sourceCreatedId"],
        "firedDateTime": kept["startDateTime"],
        "description": kept["description"],
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    }
    if kept["monitorCondition"] == "Resolved":
        essentials["resolvedDateTime"] = kept["monitorConditionResolvedDateTime"]
    return essentials
