"""Delivery of events to webhooks: at least once, in batches, tried again within the limits of the subscription.

Times of repetitions, and the answers that stop them: learn.microsoft.com/azure/event-grid/delivery-and-retry ("Retry
schedule", "Retry policy", "Output batching"). Events wait in the database, so that a restart loses none.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from sqlite3 import Row

import httpx

from localcloud.core.blob_events import BlobCreated
from localcloud.core.context import Context
from localcloud.core.errors import ServiceError
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.integration.eventgrid import filters, schema
from localcloud.integration.requests import Requests

TOPIC = "Microsoft.EventGrid/systemTopics"
SUBSCRIPTION = f"{TOPIC}/eventSubscriptions"
ENDPOINT = "properties.destination.properties.endpointUrl"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS eventgrid_deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    subscription TEXT NOT NULL,
    event TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL,
    published REAL NOT NULL
);
"""
_TIMEOUT_SECONDS = 30.0
_SCHEDULE_SECONDS = (10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 43200)
_LEAST_SECONDS = {404: 300, 408: 120, 503: 30}
_FINAL = frozenset({400, 401, 403, 413})
_LONGEST_WAIT_SECONDS = 60.0
_log = logging.getLogger("localcloud.eventgrid")


class Delivery:
    """Listens to created blobs, keeps their events for the subscriptions that they pass, and delivers them."""

    def __init__(self, ctx: Context, requests: Requests) -> None:
        self._ctx, self._requests = ctx, requests
        ctx.database.script(_SCHEMA)
        self._wake = asyncio.Event()
        ctx.clock.on_move.append(self._wake.set)

    async def start(self) -> None:
        """Go on until the gateway stops."""
        self._ctx.tasks.start(self._run(), "event grid")

    def wants(self, account_id: str) -> bool:
        """See BlobListener."""
        return bool(self._subscriptions(account_id))

    def created(self, event: BlobCreated) -> None:
        """See BlobListener."""
        content = schema.blob_created(event)
        now = self._now()
        for subscription in self._subscriptions(event.account_id):
            if filters.passes(subscription.properties["filter"], content):
                self._ctx.database.execute(
                    "INSERT INTO eventgrid_deliveries (subscription, event, due, published) VALUES (?, ?, ?, ?)",
                    (subscription.id.lower(), json.dumps(content), now, now),
                )
                self._wake.set()

    def forget(self, subscription_id: str) -> None:
        """Drop the waiting events of a subscription."""
        self._ctx.database.execute(
            "DELETE FROM eventgrid_deliveries WHERE subscription = ?", (subscription_id.lower(),)
        )

    async def validate(self, subscription: Resource) -> None:
        """Send the handshake. Raises ServiceError 400 unless the endpoint returns the code at once.

        Another way, a GET of the event's validationUrl by a person, is not emulated.
        """
        code = str(uuid.uuid4()).upper()
        event = schema.validation(subscription.properties["topic"], code)
        base_url = subscription.properties["destination"]["properties"]["endpointBaseUrl"]
        try:
            answer = await self._post(subscription, [event], "SubscriptionValidation")
        except httpx.HTTPError as error:
            raise _handshake_failed(base_url, f"Http POST request failed with {type(error).__name__}") from error
        if not answer.is_success:
            raise _handshake_failed(base_url, f"Http POST request failed with response code {answer.status_code}")
        if _validation_response(answer) != code:
            raise _handshake_failed(
                base_url,
                "Http POST request returned 2XX response without the validation code in its body; localcloud emulates "
                "no handshake by the validationUrl",
            )

    def _subscriptions(self, account_id: str) -> list[Resource]:
        """Return the subscriptions of the account's topic that are ready."""
        resources = self._ctx.resources
        topics = [
            topic
            for topic in resources.list(TOPIC)
            if str(topic.properties["source"]).lower() == account_id.lower() and topic.state == "Succeeded"
        ]
        return [
            subscription
            for topic in topics
            for subscription in resources.children(topic.id, SUBSCRIPTION)
            if subscription.state == "Succeeded"
        ]

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._deliver_due()
            except Exception:
                _log.exception("events are not delivered")
            row = self._ctx.database.row("SELECT min(due) AS due FROM eventgrid_deliveries")
            due = None if row is None else row["due"]
            wait = _LONGEST_WAIT_SECONDS if due is None else min(max(due - self._now(), 0.05), _LONGEST_WAIT_SECONDS)
            try:
                await asyncio.wait_for(self._wake.wait(), wait)
            except TimeoutError:
                continue

    async def _deliver_due(self) -> None:
        rows = self._ctx.database.query("SELECT * FROM eventgrid_deliveries WHERE due <= ? ORDER BY id", (self._now(),))
        waiting: dict[str, list[Row]] = {}
        for row in rows:
            waiting.setdefault(row["subscription"], []).append(row)
        await asyncio.gather(*(self._deliver(id_, events) for id_, events in waiting.items()))

    async def _deliver(self, subscription_id: str, rows: list[Row]) -> None:
        subscription = self._ctx.resources.get(subscription_id)
        if subscription is None or subscription.state in {"Deleting", "Failed"}:
            self.forget(subscription_id)
            return
        destination = subscription.properties["destination"]["properties"]
        most_bytes = destination["preferredBatchSizeInKilobytes"] * 1024
        batch: list[Row] = []
        for row in rows:
            size = sum(len(waiting["event"]) for waiting in batch) + len(row["event"])
            if batch and (len(batch) >= destination["maxEventsPerBatch"] or size > most_bytes):
                await self._deliver_batch(subscription, batch)
                batch = []
            batch.append(row)
        await self._deliver_batch(subscription, batch)

    async def _deliver_batch(self, subscription: Resource, batch: list[Row]) -> None:
        events = [json.loads(row["event"]) for row in batch]
        status: int | None = None
        try:
            answer = await self._post(subscription, events, "Notification")
        except httpx.HTTPError as error:
            outcome = type(error).__name__
        else:
            status, outcome = answer.status_code, f"status {answer.status_code}"
            if answer.is_success:
                self._delete(batch)
                _log.info("subscription %s: %d events were delivered", subscription.name, len(batch))
                return
        policy = subscription.properties["retryPolicy"]
        now = self._now()
        dropped = [
            row
            for row in batch
            if status in _FINAL
            or row["attempts"] + 1 >= policy["maxDeliveryAttempts"]
            or now >= row["published"] + policy["eventTimeToLiveInMinutes"] * 60
        ]
        self._delete(dropped)
        if dropped:
            _log.warning("subscription %s: %d events are dropped: %s", subscription.name, len(dropped), outcome)
        ids = {row["id"] for row in dropped}
        for row in batch:
            if row["id"] in ids:
                continue
            delay = _SCHEDULE_SECONDS[min(row["attempts"], len(_SCHEDULE_SECONDS) - 1)]
            delay = max(delay, _LEAST_SECONDS.get(status or 0, 0))
            self._ctx.database.execute(
                "UPDATE eventgrid_deliveries SET attempts = attempts + 1, due = ? WHERE id = ?",
                (now + delay, row["id"]),
            )
            _log.info("subscription %s: %s; trying again in %d s", subscription.name, outcome, delay)

    async def _post(self, subscription: Resource, events: list[Json], kind: str) -> httpx.Response:
        """POST events. The address is a secret, and is used nowhere else."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "aeg-event-type": kind,
            "aeg-subscription-name": subscription.name.upper(),
            "aeg-delivery-count": "0",
            "aeg-data-version": "",
            "aeg-metadata-version": "1",
        }
        url = str(subscription.private["writeOnly"][ENDPOINT])
        body = json.dumps(events).encode()
        return await self._requests.send("POST", url, headers=headers, body=body, seconds=_TIMEOUT_SECONDS)

    def _delete(self, rows: list[Row]) -> None:
        for row in rows:
            self._ctx.database.execute("DELETE FROM eventgrid_deliveries WHERE id = ?", (row["id"],))

    def _now(self) -> float:
        return self._ctx.clock.now().timestamp()


def _validation_response(answer: httpx.Response) -> object:
    try:
        content = answer.json()
    except ValueError:
        return None
    return content.get("validationResponse") if isinstance(content, dict) else None


def _handshake_failed(url: str, reason: str) -> ServiceError:
    return ServiceError(400, "URL validation", f"Webhook validation handshake failed for {url}. {reason}.")
