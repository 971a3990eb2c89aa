"""The subscription's activity log: one event for each change that a client requested from ARM, with ARM's answer.

Schema: learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema, category Administrative. The changes that
a template deployment makes on its caller's behalf are not events of their own, nor is the end of an operation after a
202 answer.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from localcloud.arm import ids, resource_types
from localcloud.arm.resource_types import Call, ProviderRoute
from localcloud.arm.wire import page
from localcloud.core.context import Context, Principal
from localcloud.core.database import Database
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.settings import SUBSCRIPTION_ID, TENANT_ID

_SCHEMA = """
CREATE TABLE IF NOT EXISTS arm_activity (
    serial INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    time TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    caller TEXT NOT NULL,
    operation TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    method TEXT NOT NULL,
    status INTEGER NOT NULL,
    client_request_id TEXT NOT NULL
);
"""
_KEPT = 10_000
"""Events; Azure keeps them for 90 days."""
_VERSIONS = ("2014-04-01", "2015-04-01", "2017-03-01-preview")
_CONDITION = re.compile(r"(\w+)\s+(eq|ge|le)\s+'?([^']*?)'?", re.IGNORECASE)
_TEXTS = {
    "correlationid": "correlationId", "resourcegroupname": "resourceGroupName", "resourceid": "resourceId",
    "resourceuri": "resourceId", "resourceprovider": "resourceProviderName", "caller": "caller",
    "status": "status",
}  # fmt: skip


class ActivityLog:
    """Records events and lists them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.script(_SCHEMA)

    def record(self, ctx: Context, principal: Principal, request: Request, response: Response) -> None:
        """Keep one event, and the newest ones only."""
        operation, resource_id = _operation(ctx, request.method, request.url.path)
        headers = response.headers
        self._database.execute(
            "INSERT INTO arm_activity (id, time, correlation_id, caller, operation, resource_id, method, status,"
            " client_request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                str(uuid.uuid4()), datetime.now(UTC).isoformat(), headers.get("x-ms-correlation-request-id", ""),
                principal.app_id, operation, resource_id, request.method, response.status_code,
                request.headers.get("x-ms-client-request-id", ""),
            ),
        )  # fmt: skip
        self._database.execute(
            "DELETE FROM arm_activity WHERE serial <= (SELECT max(serial) FROM arm_activity) - ?", (_KEPT,)
        )

    def events(self, since: datetime, until: datetime) -> list[Json]:
        """Return the events of a time, newest first."""
        rows = self._database.query(
            "SELECT * FROM arm_activity WHERE time >= ? AND time <= ? ORDER BY serial DESC",
            (since.isoformat(), until.isoformat()),
        )
        return [_render(dict(row)) for row in rows]


def _operation(ctx: Context, method: str, path: str) -> tuple[str, str]:
    """Return the operation's name and the id of the resource that it changes."""
    path = re.sub("/{2,}", "/", "/" + path.strip("/"))
    rid = None if method == "POST" else ids.parse(path)
    action = "delete" if method == "DELETE" else "write"
    if rid is None:
        above, _, name = path.rpartition("/")
        rid, action = ids.parse(above), f"{name}/action"
    if rid is None:
        return f"{path.rpartition('/providers/')[2]}/action", path
    type_ = resource_types.of(ctx).get(rid.type)
    return f"{rid.type if type_ is None else type_.permission}/{action}", rid.text


def _render(row: Json) -> Json:
    resource_id = str(row["resource_id"])
    rid = ids.parse(resource_id)
    status = HTTPStatus(row["status"])
    failed = status >= HTTPStatus.BAD_REQUEST
    outcome = "Failed" if failed else "Accepted" if status == HTTPStatus.ACCEPTED else "Succeeded"
    ticks = int((datetime.fromisoformat(row["time"]) - datetime(1, 1, 1, tzinfo=UTC)).total_seconds() * 10**7)
    namespace = str(row["operation"]).split("/", 1)[0]
    event: Json = {
        "authorization": {"action": row["operation"], "scope": resource_id},
        "caller": row["caller"],
        "channels": "Operation",
        "claims": {"appid": row["caller"]},
        "correlationId": row["correlation_id"],
        "description": "",
        "eventDataId": row["id"],
        "eventName": _name("EndRequest", "End request"),
        "category": _name("Administrative"),
        "httpRequest": {"clientRequestId": row["client_request_id"], "method": row["method"]},
        "id": f"{resource_id}/events/{row['id']}/ticks/{ticks}",
        "level": "Error" if failed else "Informational",
        "resourceGroupName": "" if rid is None else rid.resource_group,
        "resourceProviderName": _name(namespace),
        "resourceId": resource_id,
        "operationId": row["correlation_id"],
        "operationName": _name(row["operation"]),
        "properties": {"statusCode": status.phrase.replace(" ", "")},
        "status": _name(outcome),
        "subStatus": _name(status.phrase.replace(" ", ""), f"{status.phrase} (HTTP Status Code: {status.value})"),
        "eventTimestamp": row["time"],
        "submissionTimestamp": row["time"],
        "subscriptionId": SUBSCRIPTION_ID,
        "tenantId": TENANT_ID,
    }
    if rid is not None:
        event["resourceType"] = _name(rid.type)
    return event


def _name(value: str, label: str = "") -> Json:
    return {"value": value, "localizedValue": label or value}


class ActivityRoute:
    """Handlers of GET …/eventtypes/management/values?$filter=…."""

    def __init__(self, log: ActivityLog) -> None:
        self._log = log

    async def list(self, ctx: Context, parameters: Mapping[str, str], body: Json, call: Call) -> Json:
        """Return the events that a filter lets through. Raises ServiceError 400 for one without a begin."""
        text = call.query.get("$filter", "")
        since, until, texts = _parse(text)
        events = [event for event in self._log.events(since, until) if _matches(event, texts)]
        selected = {name.strip() for name in call.query.get("$select", "").split(",") if name.strip()}
        if selected:
            events = [{name: value for name, value in event.items() if name in selected} for event in events]
        url = (
            f"{call.base_url}/subscriptions/{SUBSCRIPTION_ID}/providers/Microsoft.Insights/eventtypes/management/values"
        )
        return page(events, call.query, url)

    def register(self, ctx: Context) -> None:
        """Register the operation."""
        ctx.types.register_routes(
            ProviderRoute(
                method="GET",
                template="/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values",
                permission="Microsoft.Insights/eventtypes/values/Read",
                handler=self.list,
                api_versions=_VERSIONS,
            )
        )


def _parse(text: str) -> tuple[datetime, datetime, dict[str, str]]:
    since, until, texts = None, datetime.now(UTC), {}
    for part in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE):
        condition = _CONDITION.fullmatch(part.strip())
        name, operator = ("", "") if condition is None else (condition[1].lower(), condition[2].lower())
        if condition is not None and name == "eventtimestamp" and operator != "eq":
            if operator == "ge":
                since = _time(condition[3], text)
            else:
                until = _time(condition[3], text)
        elif condition is not None and name in _TEXTS and operator == "eq":
            texts[_TEXTS[name]] = condition[3].lower()
        else:
            raise _invalid(text)
    if since is None:
        raise _invalid(text)
    return since, until, texts


def _time(value: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        raise _invalid(text) from error
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _matches(event: Json, texts: Mapping[str, str]) -> bool:
    values = {name: event.get(name) for name in texts}
    plain = {name: value["value"] if isinstance(value, dict) else value for name, value in values.items()}
    return all(str(plain[name]).lower() == expected for name, expected in texts.items())


def _invalid(text: str) -> ServiceError:
    return ServiceError(
        400,
        "BadRequest",
        f"The filter '{text}' is not valid: give eventTimestamp ge a time, and optionally eventTimestamp le and any of "
        "resourceGroupName, resourceId, resourceProvider, correlationId, caller and status with eq, joined by and.",
    )
