"""Workflow definitions: checked when they are written, so that a run finds no fault in them.

Source: learn.microsoft.com/azure/logic-apps/logic-apps-workflow-definition-language and …/logic-apps-workflow-actions-
triggers (types, runtimeConfiguration.concurrency, retryPolicy, operationOptions), …/authenticate-with-managed-identity.
A type, option or function beyond these answers 501 by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import isodate

from localcloud.core.errors import ServiceError, not_emulated
from localcloud.core.json import Json
from localcloud.integration.logic import expressions
from localcloud.integration.logic.expressions import Node

_SCHEMAS = "https://schema.management.azure.com/providers/Microsoft.Logic/schemas/2016-06-01/workflowdefinition.json#"
_MOST_CONCURRENT, _MOST_WAITING = 100, 100
_DEFAULT_WAITING = 10
_UNITS = {"Second": 1, "Minute": 60, "Hour": 3600, "Day": 86400}
_METHODS = frozenset({"GET", "PUT", "POST", "PATCH", "DELETE"})
_ACTION_FIELDS = frozenset(
    {"type", "inputs", "runAfter", "expression", "actions", "else", "operationOptions", "description"}
)
_HTTP_FIELDS = frozenset({"method", "uri", "queries", "headers", "body", "authentication", "retryPolicy"})
_CASES = ("Succeeded", "Failed", "Skipped", "TimedOut")


@dataclass(frozen=True)
class Trigger:
    """`concurrent` runs at a time, `waiting` ones behind them; None for no limit."""

    name: str
    concurrent: int | None
    waiting: int


@dataclass(frozen=True)
class Retry:
    """Attempts after the first one, and the seconds before each."""

    delays: tuple[float, ...]


@dataclass(frozen=True)
class Http:
    """A request. `identity` is the ARM id of a user-assigned identity, None for the system-assigned or no sign-in."""

    method: str
    uri: Node
    queries: Node
    headers: Node
    body: Node | None
    audience: str | None
    identity: str | None
    retry: Retry
    follows: bool
    """Whether 202 is followed to its end."""


@dataclass(frozen=True)
class Wait:
    """A pause."""

    seconds: int


@dataclass(frozen=True)
class If:
    """A condition with two lists of actions."""

    condition: Node
    then: tuple[Action, ...]
    otherwise: tuple[Action, ...]


@dataclass(frozen=True)
class Terminate:
    """The end of a run, with a status and, for Failed, an error."""

    status: str
    code: Node
    message: Node


@dataclass(frozen=True)
class Action:
    """An action with the statuses of others after which it runs."""

    name: str
    type: str
    run_after: dict[str, tuple[str, ...]]
    work: Http | Wait | If | Terminate


@dataclass(frozen=True)
class Definition:
    """A workflow in the form for runs."""

    trigger: Trigger
    actions: tuple[Action, ...]

    def all(self) -> Iterator[Action]:
        """Yield every action at any depth."""
        return _all(self.actions)


def invalid(message: str) -> ServiceError:
    """Return Logic Apps' refusal of a definition."""
    return ServiceError(400, "InvalidTemplate", f"The template validation failed: '{message}'.")


def parse(content: Any) -> Definition:
    """Return a definition. Raises ServiceError 400 InvalidTemplate, or 501 for a part that is not emulated."""
    if not isinstance(content, dict):
        raise invalid("The definition must be an object.")
    if str(content.get("$schema", "")).replace("http://", "https://") != _SCHEMAS:
        raise invalid(f"The $schema of the definition must be '{_SCHEMAS}'.")
    if not content.get("contentVersion"):
        raise invalid("The definition has no contentVersion.")
    for name in ("parameters", "staticResults", "outputs"):
        if content.get(name):
            raise not_emulated(f"{name} of workflow definitions")
    triggers = content.get("triggers") or {}
    if len(triggers) != 1:
        raise not_emulated(f"workflow definitions with {len(triggers)} triggers: there must be one")
    ((name, trigger),) = triggers.items()
    actions = _actions(content.get("actions") or {}, "the definition")
    names = [action.name for action in _all(actions)]
    for action in names:
        if names.count(action) > 1:
            raise invalid(f"The action name '{action}' is used more than once.")
    return Definition(_trigger(name, trigger), actions)


def _all(actions: tuple[Action, ...]) -> Iterator[Action]:
    for action in actions:
        yield action
        if isinstance(action.work, If):
            yield from _all((*action.work.then, *action.work.otherwise))


def _trigger(name: str, trigger: Json) -> Trigger:
    kind = trigger.get("type")
    if kind != "Request" or trigger.get("kind", "Http") != "Http":
        raise not_emulated(f"triggers of the type {kind}, kind {trigger.get('kind')} ('{name}'): Request, Http alone")
    inputs = {key: value for key, value in (trigger.get("inputs") or {}).items() if value}
    if set(inputs) - {"schema", "method"} or inputs.get("method", "POST") != "POST":
        raise not_emulated(f"the inputs {', '.join(sorted(inputs))} of the trigger '{name}'")
    for field in sorted(set(trigger) - {"type", "kind", "inputs", "runtimeConfiguration", "description"}):
        raise not_emulated(f"{field} of the trigger '{name}'")
    configuration = trigger.get("runtimeConfiguration") or {}
    concurrency = configuration.get("concurrency")
    if set(configuration) - {"concurrency"}:
        raise not_emulated(f"runtimeConfiguration of the trigger '{name}' beyond concurrency")
    if concurrency is None:
        return Trigger(name, None, 0)
    runs = _bounded(concurrency.get("runs"), f"concurrency.runs of the trigger '{name}'", _MOST_CONCURRENT)
    waiting = concurrency.get("maximumWaitingRuns", max(_DEFAULT_WAITING, runs))
    return Trigger(name, runs, _bounded(waiting, f"maximumWaitingRuns of the trigger '{name}'", _MOST_WAITING))


def _bounded(value: Any, subject: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise invalid(f"{subject} is {value!r:.40}: it must be an integer from 1 to {most}.")
    return value


def _actions(contents: Any, where: str) -> tuple[Action, ...]:
    """Return actions in an order in which each follows its predecessors."""
    if not isinstance(contents, dict):
        raise invalid(f"The actions of {where} must be an object.")
    actions = {name: _action(name, content) for name, content in contents.items()}
    ordered: list[Action] = []
    while len(ordered) < len(actions):
        done = {action.name for action in ordered}
        ready = [action for action in actions.values() if action.name not in done and set(action.run_after) <= done]
        if not ready:
            left = ", ".join(sorted(set(actions) - done))
            raise invalid(f"The actions {left} of {where} run after actions that do not exist there, or in a circle.")
        ordered += ready
    return tuple(ordered)


def _action(name: str, content: Any) -> Action:
    if not isinstance(content, dict):
        raise invalid(f"The action '{name}' must be an object.")
    kind = content.get("type")
    for field in sorted(set(content) - _ACTION_FIELDS):
        raise not_emulated(f"{field} of the action '{name}'")
    run_after = content.get("runAfter") or {}
    for other, cases in run_after.items():
        if not cases or not set(cases) <= set(_CASES):
            raise invalid(f"The action '{name}' runs after '{other}' in the cases {cases}: use {', '.join(_CASES)}.")
    makers: dict[str, Callable[[str, Json], Http | Wait | If | Terminate]] = {
        "Http": _http,
        "Wait": _wait,
        "If": _if,
        "Terminate": _terminate,
    }
    if kind not in makers:
        raise not_emulated(f"actions of the type {kind} ('{name}')")
    return Action(name, kind, {other: tuple(cases) for other, cases in run_after.items()}, makers[kind](name, content))


def _http(name: str, content: Json) -> Http:
    inputs = content.get("inputs") or {}
    for field in sorted(set(inputs) - _HTTP_FIELDS):
        raise not_emulated(f"inputs.{field} of the action '{name}'")
    method = inputs.get("method")
    if method not in _METHODS:
        raise invalid(f"The method {method!r:.40} of the action '{name}' is not valid.")
    if not inputs.get("uri"):
        raise invalid(f"The action '{name}' has no uri.")
    options = content.get("operationOptions")
    if options not in {None, "DisableAsyncPattern"}:
        raise not_emulated(f"the operationOptions {options} of the action '{name}'")
    audience, identity = _authentication(name, inputs.get("authentication"))
    where = f"the action '{name}'"
    return Http(
        method=method,
        uri=expressions.parse(inputs["uri"], where),
        queries=expressions.parse(inputs.get("queries") or {}, where),
        headers=expressions.parse(inputs.get("headers") or {}, where),
        body=expressions.parse(inputs["body"], where) if inputs.get("body") is not None else None,
        audience=audience,
        identity=identity,
        retry=_retry(name, inputs.get("retryPolicy")),
        follows=options is None,
    )


def _authentication(name: str, section: Any) -> tuple[str | None, str | None]:
    if section is None:
        return None, None
    kind = section.get("type")
    if kind != "ManagedServiceIdentity":
        raise not_emulated(f"the authentication {kind} of the action '{name}'")
    if not section.get("audience"):
        raise not_emulated(f"the authentication of the action '{name}' without an audience")
    return str(section["audience"]), section.get("identity")


def _retry(name: str, policy: Any) -> Retry:
    """Return the policy, by default up to four more attempts at growing intervals of 5 to 45 seconds."""
    kind = "default" if policy is None else policy.get("type")
    if kind == "none":
        return Retry(())
    if kind == "default":
        return Retry(tuple(min(max(7.5 * 2**attempt, 5.0), 45.0) for attempt in range(4)))
    if kind != "fixed":
        raise not_emulated(f"the retryPolicy {kind} of the action '{name}'")
    count = _bounded(policy.get("count"), f"retryPolicy.count of the action '{name}'", 90)
    try:
        seconds = isodate.parse_duration(policy["interval"]).total_seconds()
    except (KeyError, TypeError, ValueError) as error:
        raise invalid(f"retryPolicy.interval of the action '{name}' is not an ISO 8601 duration.") from error
    if not 5 <= seconds <= 86400:
        raise invalid(f"retryPolicy.interval of the action '{name}' must be from PT5S to P1D.")
    return Retry((seconds,) * count)


def _wait(name: str, content: Json) -> Wait:
    interval = (content.get("inputs") or {}).get("interval") or {}
    unit, count = interval.get("unit"), interval.get("count")
    if unit not in _UNITS:
        raise not_emulated(f"the interval {interval} of the action '{name}': a count of {', '.join(_UNITS)}")
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise invalid(f"The interval's count of the action '{name}' is {count!r:.40}: it must be an integer above 0.")
    return Wait(count * _UNITS[unit])


def _if(name: str, content: Json) -> If:
    expression = content.get("expression")
    if isinstance(expression, dict):
        raise not_emulated(f"the expression of the action '{name}' as an object: write it as a text")
    if not isinstance(expression, str):
        raise invalid(f"The expression of the action '{name}' is missing.")
    where = f"the action '{name}'"
    otherwise = (content.get("else") or {}).get("actions") or {}
    return If(
        condition=expressions.parse(expression, where),
        then=_actions(content.get("actions") or {}, where),
        otherwise=_actions(otherwise, where),
    )


def _terminate(name: str, content: Json) -> Terminate:
    inputs = content.get("inputs") or {}
    status = inputs.get("runStatus")
    if status not in {"Succeeded", "Failed", "Cancelled"}:
        raise invalid(f"The runStatus {status!r:.40} of the action '{name}' must be Succeeded, Failed or Cancelled.")
    error = inputs.get("runError") or {}
    where = f"the action '{name}'"
    return Terminate(
        status, expressions.parse(error.get("code") or "", where), expressions.parse(error.get("message") or "", where)
    )
