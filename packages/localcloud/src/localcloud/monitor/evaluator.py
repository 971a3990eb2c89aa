"""The task that evaluates metric alert rules in time, by the clock that tests move.

Moments are the multiples of a rule's evaluationFrequency. Moments that passed while localcloud was stopped are
skipped; moments that a jump of the clock passed over are evaluated, in order, so that alerts fire and are resolved as
if it had been that time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import isodate

from localcloud.core.context import Context
from localcloud.core.resource import Resource
from localcloud.monitor import conditions
from localcloud.monitor.alerts import Alerts
from localcloud.monitor.metric_store import MetricStore
from localcloud.monitor.notifications import Notifications, context_of

RULE = "Microsoft.Insights/metricAlerts"
_MOST_MOMENTS = 2_500
"""Most moments of one rule after a jump of the clock: a week at five minutes. Older ones are passed over."""
_log = logging.getLogger("localcloud.monitor")


class Evaluator:
    """Evaluates the rules on the stored metrics, every minute and whenever the clock moves."""

    def __init__(self, ctx: Context, store: MetricStore, alerts: Alerts) -> None:
        self._ctx, self._store, self._alerts = ctx, store, alerts
        self._notifications = Notifications(ctx)
        self._moved = asyncio.Event()
        ctx.clock.on_move.append(self._moved.set)

    async def start(self) -> None:
        """Go on until the gateway stops."""
        self._ctx.tasks.start(self._run(self._ctx.clock.now()), "alert rules")

    async def _run(self, last: datetime) -> None:
        while True:
            self._moved.clear()
            now = self._ctx.clock.now()
            for rule in self._ctx.resources.list(RULE):
                try:
                    await self.evaluate(rule, last, now)
                except Exception:
                    _log.exception("alert rule %s is not evaluated", rule.name)
            last = now
            following = _floor(now, timedelta(minutes=1)) + timedelta(minutes=1)
            wait = max((following - self._ctx.clock.now()).total_seconds(), 0.0) + 0.05
            try:
                await asyncio.wait_for(self._moved.wait(), wait)
            except TimeoutError:
                continue

    async def evaluate(self, rule: Resource, since: datetime, until: datetime) -> None:
        """Evaluate a rule at its moments after `since`, up to `until`."""
        component = conditions.component_of(self._ctx, rule)
        if component is None:
            return
        frequency: timedelta = isodate.parse_duration(rule.properties["evaluationFrequency"])
        for moment in _moments(since, until, frequency):
            await asyncio.sleep(0)  # requests go on during a long catching up
            combinations = conditions.readings(self._store, rule, component, moment)
            for combination in self._alerts.open_combinations(rule):
                combinations.setdefault(combination, conditions.no_readings(rule))
            for combination, readings in combinations.items():
                change = self._alerts.observe(rule, component, combination, readings, moment)
                if change is None:
                    continue
                context = context_of(change)
                self._alerts.keep_context(change, context)
                _log.info("alert %s: %s", rule.name, change.essentials["monitorCondition"])
                self._notifications.send(change, context)


def _moments(since: datetime, until: datetime, frequency: timedelta) -> Iterator[datetime]:
    """Yield the multiples of `frequency` after `since`, up to `until`."""
    moment = max(_floor(since, frequency) + frequency, _floor(until, frequency) - _MOST_MOMENTS * frequency)
    while moment <= until:
        yield moment
        moment += frequency


def _floor(moment: datetime, step: timedelta) -> datetime:
    seconds = step.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)
