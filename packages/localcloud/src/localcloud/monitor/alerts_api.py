"""Microsoft.AlertsManagement/alerts: the list with its filters, one alert, its history, and the state that people set.

Source: azure-mgmt-alertsmanagement 1 (AlertsOperations) and azure-rest-api-specs, alertsmanagement.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.arm.wire import page
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.monitor.alerts import TYPE, Alerts, guid_of

_VERSIONS = (
    "2018-05-05-preview", "2018-05-05", "2019-03-01", "2019-05-05-preview", "2023-07-12-preview", "2024-01-01-preview",
    "2025-05-25-preview",
)  # fmt: skip
_RANGES = {"1h": timedelta(hours=1), "1d": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_DEFAULT_RANGE = "1d"
_FILTERS = {
    "targetresource": "targetResource", "targetresourcetype": "targetResourceType",
    "targetresourcegroup": "targetResourceGroup", "monitorservice": "monitorService",
    "monitorcondition": "monitorCondition", "severity": "severity", "alertstate": "alertState",
}  # fmt: skip
_SORTED_BY = {
    "startdatetime": "startDateTime", "lastmodifieddatetime": "lastModifiedDateTime", "severity": "severity",
    "alertstate": "alertState", "monitorcondition": "monitorCondition", "targetresource": "targetResource",
    "targetresourcename": "targetResourceName", "targetresourcegroup": "targetResourceGroup",
    "targetresourcetype": "targetResourceType",
}  # fmt: skip
_UNKNOWN = ("select", "smartgroupid", "includeegressconfig")
_BASE = f"{{scope...}}/providers/{TYPE}"


class AlertsApi:
    """Handlers of the operations."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts

    def register(self, ctx: Context) -> None:
        """Register the operations at a subscription and at every scope below it."""
        ctx.types.register_routes(
            *(
                ProviderRoute(
                    method=method,
                    template=_BASE + end,
                    permission=f"{TYPE}/{action}",
                    handler=handler,
                    api_versions=_VERSIONS,
                )
                for method, end, action, handler in (
                    ("GET", "", "read", self.list),
                    ("GET", "/{alert}", "read", self.get),
                    ("GET", "/{alert}/history", "read", self.history),
                    ("POST", "/{alert}/changestate", "changestate/action", self.change_state),
                )
            )
        )

    async def list(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return the alerts of a scope that the filters let through. Raises ServiceError 400 for a malformed one."""
        query = {name.lower(): value for name, value in call.query.items()}
        for name in _UNKNOWN:
            if query.get(name, "false").lower() != "false":
                raise not_emulated(f"the parameter {name} of the list of alerts")
        since, until = _time_range(query, ctx.clock.now())
        scope = "/" + parameters["scope"].strip("/").lower()
        alerts = [
            alert
            for alert in self._alerts.all()
            if str(alert["id"]).lower().startswith(f"{scope}/")
            and since <= datetime.fromisoformat(alert["properties"]["essentials"]["startDateTime"]) <= until
            and _matches(alert, query)
        ]
        key = _SORTED_BY.get(query.get("sortby", "lastModifiedDateTime").lower())
        if key is None:
            raise _bad("sortBy", query["sortby"], _SORTED_BY.values())
        alerts.sort(
            key=lambda alert: str(alert["properties"]["essentials"].get(key, "")),
            reverse=query.get("sortorder", "desc").lower() == "desc",
        )
        items = [_render(alert, context=query.get("includecontext", "false").lower() == "true") for alert in alerts]
        query = dict(call.query) | ({"$top": query["pagecount"]} if "pagecount" in query else {})
        return page(items, query, f"{call.base_url}{scope}/providers/{TYPE}")

    async def get(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        return _render(self._alerts.get(parameters["alert"]), context=True)

    async def history(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return the history of an alert."""
        alert = self._alerts.get(parameters["alert"])
        guid = guid_of(alert)
        return {
            "id": f"{alert['id']}/history/default",
            "type": f"{TYPE}/history",
            "name": alert["name"],
            "properties": {"alertId": guid, "modifications": alert["properties"]["history"]},
        }

    async def change_state(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        query = {name.lower(): value for name, value in call.query.items()}
        by = call.principal.display_name or call.principal.app_id
        state = query.get("newstate", "")
        return _render(self._alerts.change_state(parameters["alert"], state, by, ctx.clock.now()), context=True)


def _time_range(query: Mapping[str, str], now: datetime) -> tuple[datetime, datetime]:
    custom = query.get("customtimerange")
    if custom is None:
        name = query.get("timerange", _DEFAULT_RANGE)
        if name not in _RANGES:
            raise _bad("timeRange", name, _RANGES)
        return now - _RANGES[name], now
    first, _, last = custom.partition("/")
    try:
        since, until = (datetime.fromisoformat(part) for part in (first, last))
    except ValueError as error:
        raise ServiceError(
            400, "BadRequest", f"The customTimeRange '{custom[:100]}' is not valid: give two times, START/END."
        ) from error
    return (
        since if since.tzinfo else since.replace(tzinfo=UTC),
        until if until.tzinfo else until.replace(tzinfo=UTC),
    )


def _matches(alert: Json, query: Mapping[str, str]) -> bool:
    essentials = alert["properties"]["essentials"]
    rule = query.get("alertrule", "").lower()
    if rule and rule not in (str(essentials["alertRule"]).lower(), str(alert["name"]).lower()):
        return False
    return all(
        str(essentials[field]).lower() == query[name].lower() for name, field in _FILTERS.items() if name in query
    )


def _render(alert: Json, *, context: bool) -> Json:
    properties = {"essentials": alert["properties"]["essentials"]}
    if context:
        properties["context"] = alert["properties"].get("context") or {}
    return {"id": alert["id"], "type": alert["type"], "name": alert["name"], "properties": properties}


def _bad(name: str, value: str, valid: object) -> ServiceError:
    names = ", ".join(sorted(str(item) for item in valid))  # type: ignore[attr-defined]
    return ServiceError(400, "BadRequest", f"The {name} '{value[:50]}' is not valid: use one of {names}.")
