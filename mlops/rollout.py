"""Rollout of the serving version to a pipeline's online endpoint: beside the old one, tested, with traffic in steps.

Every step reads the result of the step before from the endpoint, so that a killed verb can be run again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from mlops import failures, online_endpoints, served_model, serving_version
from mlops.clients import Clients
from mlops.errors import GateError, RemoteError
from mlops.invoke import Caller, InvocationError
from mlops.online_endpoints import COLOURS, Deployment, Endpoint
from mlops.publish import Say

_ALL = 100
_REQUESTS = 5
"""Requests to the new deployment after each step of the traffic."""
_NOT_YET = frozenset({404, 429, 503})
"""Answers of a deployment that has just changed, or that others use as well."""
_PATIENCE_SECONDS, _PAUSE_SECONDS = 60.0, 1.0


@dataclass(frozen=True)
class Served:
    """The deployment that answers, and whether it did before."""

    colour: str
    version: str
    unchanged: bool = False


def serve(clients: Clients, say: Say, *, at_once: bool = False) -> Served:
    """Let the version that serves answer the pipeline's online requests; `at_once`: without steps, to go back.

    Raises MissingError when no version serves or the stack has no endpoint, InvalidError for a version that cannot be
    served, and GateError when it does not answer. The old deployment answers then, as before.
    """
    steps = (_ALL,) if at_once else clients.pipeline.online.traffic_steps
    endpoint = online_endpoints.read(clients)
    version = serving_version.require(clients, "there is nothing to deploy").version
    return _bring(clients, endpoint, version, steps, say)


def _bring(clients: Clients, endpoint: Endpoint, version: str, steps: tuple[int, ...], say: Say) -> Served:
    """Bring a version to the endpoint in its current state, by these steps of the traffic."""
    wanted = online_endpoints.fingerprint(version, clients.pipeline.online)
    deployed = endpoint.of(wanted)
    if deployed is not None and deployed.succeeded and deployed.traffic == _ALL:
        say(f"online: {deployed.colour} answers with version {version}, unchanged")
        return Served(deployed.colour, version, unchanged=True)
    model = served_model.read(clients, version)
    endpoint = _take_back_another(clients, endpoint, wanted, say)
    rollout = _Rollout(clients, version, wanted, model.example, say)
    return rollout.run(endpoint, steps)


def answers_with(clients: Clients, version: str) -> bool:
    """Whether a deployment of this version gets all requests."""
    endpoint = online_endpoints.read(clients)
    return any(known.version == version and known.traffic == _ALL for known in endpoint.deployments.values())


def serve_if_any(clients: Clients, say: Say) -> None:
    """Serve, if the pipeline serves online and a version serves."""
    if clients.pipeline.specification.serve is None:
        return
    serving = serving_version.find(clients)
    if serving is None:
        say(f"online: no version of {clients.pipeline.model} serves yet, so that nothing is deployed")
    else:
        steps = clients.pipeline.online.traffic_steps
        _bring(clients, online_endpoints.read(clients), serving.version, steps, say)


def _take_back_another(clients: Clients, endpoint: Endpoint, fingerprint_: str, say: Say) -> Endpoint:
    """End a rollout of another version that was cut off: the deployment that it was to replace gets all requests."""
    answering = [known for known in endpoint.deployments.values() if known.traffic > 0]
    serving = endpoint.serving
    if serving is None or len(answering) < 2 or endpoint.of(fingerprint_) in answering:
        return endpoint
    say(f"online: a rollout was cut off, {serving.colour} gets all requests again")
    online_endpoints.set_traffic(clients, {serving.colour: _ALL})
    return online_endpoints.read(clients)


class _Rollout:
    """The rollout of one version to an endpoint."""

    def __init__(self, clients: Clients, version: str, wanted: str, example: dict[str, Any] | None, say: Say) -> None:
        self._clients, self._version, self._wanted, self._say = clients, version, wanted, say
        self._example = example

    def run(self, endpoint: Endpoint, steps: tuple[int, ...]) -> Served:
        """Deploy, test and move the traffic.

        Raises GateError, with nothing changed, when the version does not answer.
        """
        colour = self._colour(endpoint)
        old = self._replaced(endpoint, colour)
        try:
            self._deploy(colour, old.fingerprint if old else "")
            caller = Caller(self._clients, endpoint)
            self._try(caller, colour)
            self._move(endpoint, caller, colour, old, steps)
        except Exception as error:
            reason = failures.message(error)
            if reason is None:
                raise
            raise self._failure(colour, old, reason) from error
        stays = f", {old.colour} with version {old.version} stays to go back to" if old else ""
        self._say(f"online: {colour} answers with version {self._version}{stays}")
        return Served(colour, self._version)

    def _colour(self, endpoint: Endpoint) -> str:
        """Return the colour that has the version already, else one without traffic."""
        deployed = endpoint.of(self._wanted)
        if deployed is not None:
            return deployed.colour
        idle = [colour for colour in COLOURS if not self._traffic(endpoint, colour)]
        if not idle:
            raise GateError(
                f"Deployments of others answer on {endpoint.name} as well: give one of {', '.join(COLOURS)} no traffic."
            )
        return next((colour for colour in idle if colour not in endpoint.deployments), idle[0])

    @staticmethod
    def _traffic(endpoint: Endpoint, colour: str) -> int:
        deployment = endpoint.deployments.get(colour)
        return 0 if deployment is None else deployment.traffic

    @staticmethod
    def _replaced(endpoint: Endpoint, colour: str) -> Deployment | None:
        """Return the deployment whose requests the colour takes over, None without another deployment."""
        serving = endpoint.serving
        if serving is None or serving.colour != colour:
            return serving
        others = (known for known in endpoint.deployments.values() if known.traffic > 0 and known is not serving)
        return next(others, None)

    def _deploy(self, colour: str, replaces: str) -> None:
        """Deploy the version without traffic; delete another version's or a failed deployment first."""
        existing = online_endpoints.wait(self._clients, colour)
        if existing is not None and existing.fingerprint == self._wanted and existing.succeeded:
            self._say(f"online: {colour} has version {self._version} already")
            return
        if existing is not None:
            self._say(f"online: deleting {colour}, version {existing.version or 'unknown'}")
            online_endpoints.delete(self._clients, colour)
        settings = self._clients.pipeline.online
        self._say(f"online: deploying version {self._version} of {self._clients.pipeline.model} to {colour} …")
        online_endpoints.create(self._clients, colour, self._version, settings, replaces)

    def _try(self, caller: Caller, colour: str | None) -> None:
        """Send the example, and expect an answer for its row. Without a colour, the traffic decides who answers."""
        if self._example is None:
            raise RemoteError("The model has no example that could be sent to it: train it with one.")
        limit = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = caller.ask(self._example, colour)
                break
            except InvocationError as error:
                # Without an address, the old version may still get it, and its inputs may differ.
                passing = colour is None or error.status in _NOT_YET
                if not passing or time.monotonic() > limit:
                    raise
                time.sleep(_PAUSE_SECONDS)
        predictions = answer.get("predictions", answer) if isinstance(answer, dict) else answer
        if not isinstance(predictions, list) or len(predictions) != 1:
            raise RemoteError(f"One row was asked for, and {colour or 'the endpoint'} answered {str(answer)[:200]}.")

    def _move(
        self, endpoint: Endpoint, caller: Caller, colour: str, old: Deployment | None, steps: tuple[int, ...]
    ) -> None:
        now = self._traffic(endpoint, colour)
        for share in steps if old is not None else (_ALL,):
            if share <= now:
                continue
            rest = {} if old is None else {old.colour: _ALL - share}
            online_endpoints.set_traffic(self._clients, {colour: share, **rest})
            self._say(f"online: {colour} gets {share} % of the requests")
            for _ in range(_REQUESTS):
                self._try(caller, colour)
        self._try(caller, None)

    def _failure(self, colour: str, old: Deployment | None, reason: str) -> GateError:
        """Take the traffic back and delete the deployment; return the error with its log's last lines."""
        head = f"Version {self._version} of {self._clients.pipeline.model} does not serve online"
        log = online_endpoints.log(self._clients, colour)
        try:
            self._take_back(colour, old)
        except Exception as error:
            again = failures.message(error)
            if again is None:
                raise
            return GateError(
                f"{head}, and {colour} could not be taken back: {again}\nRun `python -m mlops serve "
                f"{self._clients.options}` again.\n{reason}\nThe end of its log:\n{log}"
            )
        after = f"{old.colour} answers with version {old.version or 'unknown'}" if old else "nothing answers"
        return GateError(f"{head}: {colour} was deleted, {after}.\n{reason}\nThe end of its log:\n{log}")

    def _take_back(self, colour: str, old: Deployment | None) -> None:
        endpoint = online_endpoints.read(self._clients)
        if self._traffic(endpoint, colour):
            online_endpoints.set_traffic(self._clients, {} if old is None else {old.colour: _ALL})
        if colour in endpoint.deployments:
            online_endpoints.wait(self._clients, colour)
            online_endpoints.delete(self._clients, colour)
