"""A pipeline's online endpoint: two deployments, blue and green, and the traffic between them.

The whole state of a rollout is here, in tags and traffic, so that a killed verb can be run again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops import failures, fingerprints
from mlops.clients import Clients
from mlops.errors import MissingError, RemoteError
from mlops.terminal import quiet_polling, quiet_uploads
from steps.serving import Online

COLOURS = ("blue", "green")
VERSION_TAG, FINGERPRINT_TAG, REPLACES_TAG = "model_version", "fingerprint", "replaces"
"""Tags of a deployment: the model's version, a digest of version and settings, and the replaced one's digest."""
_UNDER_WAY = frozenset({"Creating", "Updating", "Scaling", "Deleting"})
_SUCCEEDED = "Succeeded"
_POLL_SECONDS, _LONGEST_SECONDS = 2.0, 3600
_LOG_LINES = 30
_WORKERS = "WORKER_COUNT"
"""Variable of Azure ML's inference server: requests that it answers at the same time (learn.microsoft.com/azure/
machine-learning/reference-yaml-deployment-managed-online, `max_concurrent_requests_per_instance`)."""


@dataclass(frozen=True)
class Deployment:
    """A colour of the endpoint. `version` and `fingerprint` are empty for another maker's deployment."""

    colour: str
    version: str
    fingerprint: str
    replaces: str
    state: str
    traffic: int

    @property
    def under_way(self) -> bool:
        return self.state in _UNDER_WAY

    @property
    def succeeded(self) -> bool:
        return self.state == _SUCCEEDED


@dataclass(frozen=True)
class Endpoint:
    """`deployments` by colour; `uses_keys`: callers sign in with a key instead of a token."""

    name: str
    scoring_uri: str
    uses_keys: bool
    deployments: Mapping[str, Deployment]

    @property
    def serving(self) -> Deployment | None:
        """The deployment that answers: during a rollout, the replaced one."""
        answering = [deployment for deployment in self.deployments.values() if deployment.traffic > 0]
        replaced = {deployment.replaces for deployment in answering}
        stable = [deployment for deployment in answering if deployment.fingerprint in replaced - {""}]
        return max(stable or answering, key=lambda deployment: deployment.traffic, default=None)

    @property
    def state(self) -> str:
        """Return one line for people."""
        deployments = [
            f"{known.colour} has version {known.version or 'unknown'} and {known.traffic} % of the requests"
            f"{'' if known.succeeded else f' ({known.state})'}"
            for known in sorted(self.deployments.values(), key=lambda known: (-known.traffic, known.colour))
        ]
        return f"{self.name}, {'; '.join(deployments) or 'nothing is deployed'}"

    def of(self, fingerprint: str) -> Deployment | None:
        """Return the deployment of a version with its settings."""
        return next((known for known in self.deployments.values() if known.fingerprint == fingerprint), None)


def fingerprint(version: str, settings: Online) -> str:
    """Return the fingerprint that tells deployments apart. Traffic steps and sign-in are not the deployment's."""
    parts = settings.model_dump(mode="json", exclude={"traffic_steps", "auth"})
    return fingerprints.of_values({"version": version} | {key: str(value) for key, value in parts.items()})[:16]


def read(clients: Clients) -> Endpoint:
    """Return the endpoint's current state. Raises MissingError when the stack has none."""
    name = clients.online_endpoint
    resource = clients.arm.get(_id(clients))
    if resource is None:
        raise MissingError(f"The online endpoint {name} does not exist: bring the stack up with `pulumi up`.")
    properties = resource["properties"]
    traffic = properties.get("traffic") or {}
    listed = clients.arm.list(f"{_id(clients)}/deployments")
    deployments = (_deployment(deployment, traffic) for deployment in listed)
    return Endpoint(
        name=name,
        scoring_uri=str(properties.get("scoringUri") or ""),
        uses_keys=str(properties.get("authMode")).lower() != "aadtoken",
        deployments={deployment.colour: deployment for deployment in deployments},
    )


def create(clients: Clients, colour: str, version: str, settings: Online, replaces: str) -> None:
    """Deploy a version without traffic, and wait until it is there. Raises the clients' errors."""
    from azure.ai.ml.entities import ManagedOnlineDeployment, OnlineRequestSettings

    parallel = settings.requests_per_instance
    deployment = ManagedOnlineDeployment(
        name=colour,
        endpoint_name=clients.online_endpoint,
        model=f"azureml:{clients.pipeline.model}:{version}",
        instance_type=settings.instance_type,
        instance_count=settings.instances,
        request_settings=OnlineRequestSettings(
            request_timeout_ms=settings.request_timeout * 1000, max_concurrent_requests_per_instance=parallel
        ),
        environment_variables={_WORKERS: str(parallel)} if parallel > 1 else None,
        tags={VERSION_TAG: version, FINGERPRINT_TAG: fingerprint(version, settings), REPLACES_TAG: replaces},
    )
    with quiet_uploads(), quiet_polling():
        clients.ml.online_deployments.begin_create_or_update(deployment).result()


def wait(clients: Clients, colour: str) -> Deployment | None:
    """Return a deployment when no operation on it is active, None when it is gone. Raises RemoteError."""
    limit = time.monotonic() + _LONGEST_SECONDS
    while True:
        deployment = read(clients).deployments.get(colour)
        if deployment is None or not deployment.under_way:
            return deployment
        if time.monotonic() > limit:
            raise RemoteError(
                f"The deployment {colour} of {clients.online_endpoint} has been {deployment.state} for an hour."
            )
        time.sleep(_POLL_SECONDS)


def set_traffic(clients: Clients, traffic: Mapping[str, int]) -> None:
    """Divide the requests among the deployments, in percent. Raises the clients' errors."""
    endpoint = clients.ml.online_endpoints.get(clients.online_endpoint)
    endpoint.traffic = {colour: share for colour, share in traffic.items() if share}
    with quiet_polling():
        clients.ml.online_endpoints.begin_create_or_update(endpoint).result()


def delete(clients: Clients, colour: str) -> None:
    """Delete a deployment, which has no traffic, and wait until it is gone. Raises the clients' errors."""
    clients.arm.delete(f"{_id(clients)}/deployments/{colour}")


def log(clients: Clients, colour: str) -> str:
    """Return the last lines of a deployment's log, or why there are none."""
    try:
        text = clients.ml.online_deployments.get_logs(colour, clients.online_endpoint, _LOG_LINES)
    except Exception as error:
        reason = failures.message(error)
        if reason is None:
            raise
        return f"(no log: {reason})"
    return text.rstrip() or "(the log is empty)"


def _id(clients: Clients) -> str:
    return f"{clients.workspace_id}/onlineEndpoints/{clients.online_endpoint}"


def _deployment(resource: dict[str, Any], traffic: Mapping[str, Any]) -> Deployment:
    tags, colour = resource.get("tags") or {}, str(resource["name"])
    return Deployment(
        colour=colour,
        version=str(tags.get(VERSION_TAG, "")),
        fingerprint=str(tags.get(FINGERPRINT_TAG, "")),
        replaces=str(tags.get(REPLACES_TAG, "")),
        state=str(resource["properties"].get("provisioningState") or ""),
        traffic=int(traffic.get(colour) or 0),
    )
