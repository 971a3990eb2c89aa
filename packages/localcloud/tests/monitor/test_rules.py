"""Metric alert rules over time, with a clock of the test's own and without a gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from localcloud.core.context import Context
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import SUBSCRIPTION_ID, Settings
from localcloud.gateway.faults import Faults
from localcloud.gateway.services import build
from localcloud.monitor.alerts import Alerts
from localcloud.monitor.evaluator import RULE, Evaluator
from localcloud.monitor.metric_store import MetricStore, Sample
from localcloud.testing.monitoring import rule

GROUP = f"/subscriptions/{SUBSCRIPTION_ID}/resourceGroups/rg"
COMPONENT = f"{GROUP}/providers/Microsoft.Insights/components/appi"
KEY = "11111111-2222-3333-4444-555555555555"
NOON = datetime(2027, 1, 4, 12, tzinfo=UTC)


class Played:
    """A context with a component and rules, and the alerts that evaluations of its values bring about."""

    def __init__(self, home: Path) -> None:
        self.ctx: Context = build(Settings(home=home, cache=home), Faults([])).context
        self.store, self.alerts = MetricStore(self.ctx.database), Alerts(self.ctx.database)
        self.evaluator = Evaluator(self.ctx, self.store, self.alerts)
        self.ctx.resources.put(
            Resource(
                id=COMPONENT, type="Microsoft.Insights/components", name="appi", location="westeurope",
                properties={"InstrumentationKey": KEY},
            )
        )  # fmt: skip

    def rule(self, name: str = "watch", metric: str = "watch_breaches", **properties: Any) -> Resource:
        content = rule(COMPONENT, metric, **properties)["properties"]
        resource = Resource(id=f"{GROUP}/providers/{RULE}/{name}", type=RULE, name=name, properties=content)
        self.ctx.resources.put(resource)
        return resource

    def value(self, value: float, minutes: float, metric: str = "watch_breaches", **dimensions: str) -> None:
        time = NOON + timedelta(minutes=minutes)
        sample = Sample(metric, time, value, 1, value, value, dimensions)
        self.store.add(KEY, [sample], with_dimensions=True, now=time)

    async def until(self, rule: Resource, minutes: float, since: float = 0) -> list[tuple[str, str]]:
        """Evaluate the moments in a span of minutes; conditions and times of the alerts, the oldest first."""
        await self.evaluator.evaluate(rule, NOON + timedelta(minutes=since), NOON + timedelta(minutes=minutes))
        return [self._line(alert) for alert in reversed(self.alerts.all())]

    @staticmethod
    def _line(alert: Json) -> tuple[str, str]:
        essentials = alert["properties"]["essentials"]
        return essentials["monitorCondition"], essentials["startDateTime"][11:16]


@pytest.fixture
def played(tmp_path: Path) -> Played:
    return Played(tmp_path)


async def _never(played: Played, rule: Resource) -> bool:
    played.value(5, 1)
    return await played.until(rule, 60) == []


@pytest.mark.anyio
async def test_a_breach_fires_once_and_is_resolved_after_three_healthy_evaluations(played: Played) -> None:
    rule = played.rule()
    played.value(2, 3)

    assert await played.until(rule, 4) == [], "no moment has come"
    assert await played.until(rule, 5, 4) == [("Fired", "12:05")]
    assert await played.until(rule, 15, 5) == [("Fired", "12:05")], "one alert, as long as its window sees the breach"
    # The window of 12:20 begins at 12:05: 12:20, 12:25 and 12:30 are healthy.
    assert await played.until(rule, 25, 15) == [("Fired", "12:05")]
    assert await played.until(rule, 30, 25) == [("Resolved", "12:05")]


@pytest.mark.anyio
async def test_another_breach_after_that_is_another_alert(played: Played) -> None:
    rule = played.rule()
    played.value(1, 3)
    await played.until(rule, 60)
    played.value(1, 63)

    assert await played.until(rule, 70, 60) == [("Resolved", "12:05"), ("Fired", "13:05")]


@pytest.mark.anyio
async def test_a_breach_in_between_keeps_the_alert_open(played: Played) -> None:
    rule = played.rule()
    played.value(1, 3)
    played.value(1, 24)

    assert await played.until(rule, 45) == [("Fired", "12:05")], "two healthy evaluations, a breach, and two more"
    assert await played.until(rule, 50, 45) == [("Resolved", "12:05")]


@pytest.mark.anyio
async def test_a_stateless_rule_fires_each_time(played: Played) -> None:
    rule = played.rule(autoMitigate=False)
    played.value(1, 3)

    assert await played.until(rule, 60) == [("Fired", "12:05"), ("Fired", "12:10"), ("Fired", "12:15")]


@pytest.mark.anyio
async def test_values_that_do_not_meet_the_threshold_fire_nothing(played: Played) -> None:
    rule = played.rule()
    played.value(0, 3)

    assert await played.until(rule, 60) == []


@pytest.mark.anyio
async def test_each_value_of_a_dimension_has_an_alert_of_its_own(played: Played) -> None:
    dimension = {"name": "model", "operator": "Include", "values": ["*"]}
    content = rule(COMPONENT, "watch_breaches")["properties"]["criteria"]
    content["allOf"][0]["dimensions"] = [dimension]
    alert_rule = played.rule(criteria=content)
    played.value(1, 3, model="diabetes")
    played.value(0, 3, model="houses")
    played.value(1, 8, model="cancer")

    assert await played.until(alert_rule, 10) == [("Fired", "12:05"), ("Fired", "12:10")]
    assert await played.until(alert_rule, 90, 10) == [("Resolved", "12:05"), ("Resolved", "12:10")], (
        "their values have ended"
    )


@pytest.mark.anyio
async def test_a_dimension_selects(played: Played) -> None:
    content = rule(COMPONENT, "watch_breaches")["properties"]["criteria"]
    content["allOf"][0]["dimensions"] = [{"name": "Model", "operator": "Include", "values": ["houses"]}]
    alert_rule = played.rule(criteria=content)
    played.value(1, 3, model="diabetes")
    assert await played.until(alert_rule, 10) == []

    played.value(1, 11, model="houses")
    assert await played.until(alert_rule, 20, 10) == [("Fired", "12:15")]


@pytest.mark.anyio
async def test_all_criteria_have_to_be_met(played: Played) -> None:
    first = rule(COMPONENT, "watch_breaches")["properties"]["criteria"]
    second = rule(COMPONENT, "drift_index")["properties"]["criteria"]["allOf"][0]
    first["allOf"].append({**second, "name": "drift", "threshold": 0.25})
    alert_rule = played.rule(criteria=first)
    played.value(1, 3)
    played.value(0.2, 3, metric="drift_index")
    assert await played.until(alert_rule, 10) == []

    played.value(0.3, 11, metric="drift_index")
    assert await played.until(alert_rule, 15, 10) == [("Fired", "12:15")]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "properties",
    [
        {"enabled": False},
        {"scopes": [COMPONENT, f"{COMPONENT}2"]},
        {"scopes": [f"{COMPONENT}-that-is-gone"]},
    ],
)
async def test_a_rule_that_is_not_evaluated_never_fires(played: Played, properties: Json) -> None:
    assert await _never(played, played.rule(**properties))


@pytest.mark.anyio
async def test_platform_metrics_and_dynamic_thresholds_are_not_evaluated(played: Played) -> None:
    for change in (
        {"metricNamespace": "microsoft.insights/components"},
        {"criterionType": "DynamicThresholdCriterion"},
    ):
        content = rule(COMPONENT, "watch_breaches")["properties"]["criteria"]
        content["allOf"][0] |= change
        assert await _never(played, played.rule(criteria=content))


def test_values_are_bounded_by_age(played: Played) -> None:
    played.value(1, -60 * 24 * 94)
    assert played.store.names(KEY), "kept until a newer one comes"
    played.value(1, 0, metric="new")

    assert set(played.store.names(KEY)) == {"new"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
