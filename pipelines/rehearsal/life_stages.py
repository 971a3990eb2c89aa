"""The life of a model in prod after its release, stage by stage, with the expected results.

Prod's deployer leaves files, scores, promotes and rolls back, by the verbs and pipelines that people use. The rest
follows by itself and is only observed: watching, telemetry, alert, retraining, gate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from pipeline_runner.errors import RunnerError

from pipelines.rehearsal.agent import Agent, mlops_json
from pipelines.rehearsal.life_data import LifeData
from pipelines.rehearsal.life_table import Outcome
from pipelines.rehearsal.prod import Prod
from pipelines.rehearsal.webhook import Webhook

OWN_FILES = "rehearsal-"
"""Beginning of the names of files that a life leaves."""
_INCOMING = "incoming/"
_ENDED = ("Completed", "Failed", "Canceled", "NotResponding")
_NEXT_EVALUATION = timedelta(minutes=6)
"""Rules are evaluated every five minutes, and see the values of fifteen."""
_RESOLVED = timedelta(minutes=60)
_T = TypeVar("_T")


@dataclass
class Life:
    """An active life. `invoker` is the client id of the identity that starts retrainings."""

    agent: Agent
    prod: Prod
    webhook: Webhook
    data: LifeData
    model: str
    input_folder: str
    invoker: str
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    wait: Callable[[float], None] = time.sleep
    first: str = ""
    """The version that serves when the life begins; `run` and `second` are the retraining and its version."""
    run: str = ""
    second: str = ""
    drifted_at: datetime | None = None
    earlier_alerts: frozenset[str] = frozenset()

    @property
    def rule(self) -> str:
        """The end of the name of the model's alert rule."""
        return f"watch-{self.model}"

    def until(self, read: Callable[[], _T | None], minutes: float, problem: str) -> _T:
        """Return the first value of `read` that is not None. Raises RunnerError with the problem after some time."""
        waited = 0.0
        while waited <= minutes * 60:
            value = read()
            if value is not None:
                return value
            self.wait(2)
            waited += 2
        raise RunnerError(f"{problem} within {minutes:g} minutes.")


def begin(life: Life) -> Outcome:
    """Remove leftovers of an earlier life, and read the serving version."""
    tidy(life)
    serving = _serving(life)
    life.first = serving["version"]
    if not serving["promoted_from"]:
        raise RunnerError(f"Version {life.first} of {life.model} serves in prod, and was not promoted: release first.")
    life.prod.move_clock(_RESOLVED)
    life.until(lambda: None if _open_alerts(life) else True, 2, "An earlier alert was not resolved")
    life.earlier_alerts = frozenset(str(alert["id"]) for alert in life.prod.alerts())
    life.prod.move_clock(None)
    return Outcome(f"staging trained {serving['promoted_from']}, prod promoted it", life.first)


def score_usual(life: Life) -> Outcome:
    """Score rows as the model knows them."""
    return _score(life, "usual", life.data.usual(), life.first, breach=False)


def score_drifted(life: Life) -> Outcome:
    """Score rows that have drifted, when there are new training data."""
    life.prod.leave(f"{_INCOMING}{OWN_FILES}training.csv", life.data.training())
    life.drifted_at = datetime.now(UTC)
    return _score(life, "drifted", life.data.drifted(), life.first, breach=True)


def alert(life: Life) -> Outcome:
    """Look for the alert of the stack, in the list of fired alerts and at the webhook."""
    life.prod.move_clock(_NEXT_EVALUATION)

    def fired() -> dict[str, Any] | None:
        new = [alert for alert in _open_alerts(life) if str(alert["id"]) not in life.earlier_alerts]
        return new[0] if new else None

    fired_alert = life.until(fired, 2, f"No alert of the rule {life.rule} fired")
    guid = str(fired_alert["id"]).rsplit("/", 1)[-1]
    notice = life.until(lambda: life.webhook.of_alert(guid), 1, f"The webhook was not called with alert {guid}")
    return Outcome(f"{notice['alertRule']} fired ({notice['severity']}) and called the webhook", life.first)


def retrain(life: Life) -> Outcome:
    """Wait for the training that the breach started, and check its starter."""

    def started() -> dict[str, Any] | None:
        return next((run for run in life.prod.runs() if _is_retraining(run, life)), None)

    run = life.until(started, 2, "No training was started after the breach")
    life.run = str(run["name"])
    starter = str((run.get("systemData") or {}).get("createdBy"))
    if starter != life.invoker:
        raise RunnerError(f"Run {life.run} was started by {starter}, and not by the identity for it, {life.invoker}.")

    def ended() -> str | None:
        status = {str(job["name"]): str(job["properties"].get("status")) for job in life.prod.runs()}.get(life.run)
        return status if status in _ENDED else None

    status = life.until(ended, 15, f"Run {life.run} did not end")
    if status != "Completed":
        raise RunnerError(f"Run {life.run} is {status}: `mlops report {life.run} --stack prod` says why.")
    return Outcome(f"{life.run} trained on {OWN_FILES}training.csv, started by the identity for it", life.first)


def gate(life: Life) -> Outcome:
    """Check the gate's decision; the earlier version still serves."""
    versions = _versions(life)
    version = next((version for version in versions if version["pipeline_run"] == life.run), None)
    if version is None:
        raise RunnerError(f"The gate refused the model of run {life.run}: `mlops report {life.run}` has the reason.")
    life.second = version["version"]
    serves = _serving(life)["version"]
    if serves != life.first:
        raise RunnerError(f"Version {serves} serves before anybody promoted one; version {life.first} did.")
    return Outcome(f"version {life.second} registered: {version['decision']}", serves)


def promote(life: Life) -> Outcome:
    """Promote the new version by the pipeline for it."""
    life.agent.play("pipelines/promote.yml", {"modelVersion": life.second})
    serves = _expect(life, life.second)
    return Outcome("pipelines/promote.yml: approved, promoted, a sample scored", serves)


def score_with_the_new_one(life: Life) -> Outcome:
    """Score drifted rows again: the new version was trained on them."""
    return _score(life, "after-promotion", life.data.drifted(2), life.second, breach=False)


def roll_back(life: Life) -> Outcome:
    """Take the promotion back."""
    life.agent.run("make", "rollback", "STACK=prod")
    serves = _expect(life, life.first)
    return Outcome("make rollback STACK=prod", serves)


def score_with_the_old_one(life: Life) -> Outcome:
    """Score rows as the earlier version knows them."""
    return _score(life, "after-rollback", life.data.usual(2), life.first, breach=False)


STAGES: Mapping[str, Callable[[Life], Outcome]] = {
    "release": begin,
    "score": score_usual,
    "drift": score_drifted,
    "alert": alert,
    "retrain": retrain,
    "gate": gate,
    "promote": promote,
    "score again": score_with_the_new_one,
    "roll back": roll_back,
    "score at last": score_with_the_old_one,
}
"""The stages in their order, by the names that the table has."""


def tidy(life: Life) -> None:
    """Remove the files of lives from the storage, and the requests for retrainings, so that another life may follow."""
    life.prod.move_clock(None)
    requests = f"scoring/watch/{life.model}/requests/"
    life.prod.remove((requests, f"{_INCOMING}{OWN_FILES}", f"{life.input_folder}/{OWN_FILES}"))


def _score(life: Life, name: str, content: bytes, version: str, *, breach: bool) -> Outcome:
    """Write a file, score it, and check the version, and whether it was beyond a limit."""
    file = f"{OWN_FILES}{name}-{life.began:%Y%m%dT%H%M%S}.csv"
    life.prod.leave(f"{life.input_folder}/{file}", content)
    entries = mlops_json(life.agent, "score", "--incoming", "--json")
    entry = next((entry for entry in entries if str(entry["file_name"]).endswith(file)), None)
    if entry is None:
        raise RunnerError(f"{file} was not scored.")
    if entry["model_version"] != version:
        raise RunnerError(f"{file} was scored by version {entry['model_version']}, and version {version} serves.")
    windows = mlops_json(life.agent, "watch", "--last", "1", "--json")
    window = next((window for window in windows if str(window["file_name"]).endswith(file)), None)
    if window is None:
        raise RunnerError(f"{file} was scored and not watched.")
    breaches = [breach_["message"] for breach_ in window["breaches"]]
    if bool(breaches) is not breach:
        raise RunnerError(f"{file} {'is beyond a limit: ' + '; '.join(breaches) if breaches else 'breaches no limit'}.")
    verdict = f"{len(breaches)} breaches, such as {breaches[0]}" if breaches else "no breach"
    return Outcome(f"{entry['rows_scored']} of {entry['rows_read']} rows of {name} data scored, {verdict}", version)


def _versions(life: Life) -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = mlops_json(life.agent, "models", "--output", "json")
    return versions


def _serving(life: Life) -> dict[str, Any]:
    version = next((version for version in _versions(life) if version["serves"]), None)
    if version is None:
        raise RunnerError(f"No version of {life.model} serves in prod: release first.")
    return version


def _expect(life: Life, version: str) -> str:
    serves = str(_serving(life)["version"])
    if serves != version:
        raise RunnerError(f"Version {serves} serves, and version {version} should.")
    return serves


def _open_alerts(life: Life) -> list[dict[str, Any]]:
    return [
        alert
        for alert in life.prod.alerts()
        if str(alert["name"]).endswith(life.rule) and alert["properties"]["essentials"]["monitorCondition"] == "Fired"
    ]


def _is_retraining(run: Mapping[str, Any], life: Life) -> bool:
    """Whether a run was started by a request of this life; an earlier life's had the same names."""
    key = ((run["properties"].get("inputs") or {}).get("reuse_key") or {}).get("value")
    created = datetime.fromisoformat(str(run["systemData"]["createdAt"]))
    begun = life.drifted_at is not None and created.replace(tzinfo=created.tzinfo or UTC) >= life.drifted_at
    return str(key).startswith(f"retraining-{life.model}-") and begun
