"""Registrations of resource providers per subscription, and a registration that takes too long."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from localcloud.arm.registrations import REGISTERED_BY_DEFAULT
from localcloud.plugins.azure_native.types import TYPES

from bootstrap import resource_providers
from bootstrap.engine import BootstrapError
from bootstrap.resource_providers import Registration, compare
from contract.resource_providers import RESOURCE_PROVIDERS
from tests.unit.bootstrap.recorder import deploy as deploy_bootstrap
from tests.unit.bootstrap.recorder import settings
from tests.unit.infra.recorder import Deployment, deploy
from tests.unit.infra.test_platform import FULL, NETWORKS


@dataclass
class _Provider:
    namespace: str | None
    registration_state: str | None


@dataclass
class _Subscription:
    """Registers a namespace after `polls` requests for it."""

    polls: int
    registrations: list[str] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)

    def get(self, resource_provider_namespace: str) -> _Provider:
        if resource_provider_namespace not in self.registrations:
            return _Provider(resource_provider_namespace, "NotRegistered")
        self.requests[resource_provider_namespace] = self.requests.get(resource_provider_namespace, 0) + 1
        registered = self.requests[resource_provider_namespace] > self.polls
        return _Provider(resource_provider_namespace, "Registered" if registered else "Registering")

    def register(self, resource_provider_namespace: str) -> _Provider:
        self.registrations.append(resource_provider_namespace)
        return _Provider(resource_provider_namespace, "Registering")


def test_missing_namespaces_are_registered_once_and_awaited() -> None:
    subscription = _Subscription(polls=3)
    registration = compare("s", subscription)
    assert tuple(registration.missing) == RESOURCE_PROVIDERS
    registration.complete(pause=0)
    assert tuple(subscription.registrations) == RESOURCE_PROVIDERS
    assert compare("s", subscription).missing == []


def test_a_registration_without_end_is_named() -> None:
    slow = Registration("s-1", _Subscription(polls=10**9), ["Microsoft.Databricks"])
    with pytest.raises(BootstrapError, match=r"^Azure has not registered Microsoft\.Databricks in subscription s-1"):
        slow.complete(longest=0, pause=0)


def _namespaces(deployment: Deployment) -> set[str]:
    tokens = {
        resource.type.removeprefix("azure-native:")
        for resource in deployment
        if resource.type.startswith("azure-native:")
    }
    paths = {TYPES[token].template for token in tokens if token in TYPES}
    return {path.split("/providers/")[1].split("/")[0] for path in paths if "/providers/" in path}


@pytest.mark.parametrize("profile", NETWORKS)
def test_the_list_has_every_namespace_of_a_stack(profile: str) -> None:
    new_data = {} if profile == "private" else {"new_data": '{"train": ["diabetes"]}'}
    used = _namespaces(deploy("prod", network=NETWORKS[profile], **FULL, **new_data)) - set(REGISTERED_BY_DEFAULT)
    assert used and used <= set(RESOURCE_PROVIDERS)
    if profile == "restricted":
        assert set(RESOURCE_PROVIDERS) - used == {"Microsoft.Compute"}, "no more than is needed"


def test_the_list_has_every_namespace_of_the_bootstrap() -> None:
    used = _namespaces(deploy_bootstrap()) - set(REGISTERED_BY_DEFAULT)
    assert used and used <= set(RESOURCE_PROVIDERS)


def test_every_environment_s_subscription_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    other = "77777777-7777-7777-7777-777777777777"
    monkeypatch.setenv("ARM_SUBSCRIPTION_ID", "own")
    backends: list[str] = []

    def recorded(subscription: str, providers: object) -> Registration:
        backends.append(subscription)
        return Registration(subscription, _Subscription(0), [])

    monkeypatch.setattr(resource_providers, "compare", recorded)
    environments = [
        {"name": "dev"}, {"name": "staging", "subscription_id": other},
        {"name": "prod", "subscription_id": other, "unapproved": True},
    ]  # fmt: skip
    list(resource_providers.registrations(settings(environments=environments), None))
    assert backends == ["own", other]


def _az(folder: Path, script: str) -> None:
    file = folder / "az"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)


def test_the_subscription_defaults_to_that_of_az_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ARM_SUBSCRIPTION_ID", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setattr(resource_providers, "compare", lambda subscription, _: Registration(subscription, _, []))
    _az(tmp_path, 'echo \'{"id": "from-az"}\'')
    assert [registration.subscription_id for registration in resource_providers.registrations(settings(), None)] == [
        "from-az"
    ]
    assert next(resource_providers.registrations(settings(), "configured")).subscription_id == "configured"
    _az(tmp_path, "echo 'Please run az login' >&2; exit 1")
    with pytest.raises(BootstrapError, match=r"`az account show` failed: Please run az login"):
        next(resource_providers.registrations(settings(), None))
    (tmp_path / "az").unlink()
    with pytest.raises(BootstrapError, match=r"sign in with `az login`, or set ARM_SUBSCRIPTION_ID"):
        next(resource_providers.registrations(settings(), None))
