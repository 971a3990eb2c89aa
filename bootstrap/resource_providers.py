"""Registration of resource providers, in every subscription that the bootstrap or a stack makes resources in.

A subscription accepts resources of registered providers only, and azure-native registers none
(pulumi/pulumi-azure-native#3479). Registering takes minutes at most and is safe to repeat. Both the operator of the
bootstrap and deployers need Contributor or Owner there; so deployers may register providers that a later version adds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from azure.core.exceptions import AzureError

from bootstrap.engine import BootstrapError
from bootstrap.settings import Settings
from contract.resource_providers import RESOURCE_PROVIDERS

_REGISTERED = "registered"
_LONGEST_SECONDS = 900
_POLL_SECONDS = 5.0


class Provider(Protocol):
    """A resource provider as the client returns it: azure.mgmt.resource.resources.models.Provider."""

    namespace: str | None
    registration_state: str | None


class ProviderOperations(Protocol):
    """The part of azure.mgmt.resource.resources.operations.ProvidersOperations that is used here."""

    def get(self, resource_provider_namespace: str) -> Provider: ...

    def register(self, resource_provider_namespace: str) -> Provider: ...


@dataclass(frozen=True)
class Registration:
    """Providers of one subscription that are not registered yet."""

    subscription_id: str
    providers: ProviderOperations
    missing: Sequence[str]

    def complete(self, *, longest: float = _LONGEST_SECONDS, pause: float = _POLL_SECONDS) -> None:
        """Register the missing providers and wait until Azure has done so. Raises BootstrapError."""
        for namespace in self.missing:
            _call(self.subscription_id, partial(self.providers.register, namespace))
        deadline = time.monotonic() + longest
        waiting = list(self.missing)
        while waiting := [name for name in waiting if not _is_registered(self, name)]:
            if time.monotonic() > deadline:
                raise BootstrapError(
                    f"Azure has not registered {', '.join(waiting)} in subscription {self.subscription_id} after "
                    f"{longest:.0f} s. Run it again: it goes on from here."
                )
            time.sleep(pause)


def registrations(settings: Settings, provider_subscription: str | None) -> Iterator[Registration]:
    """Yield the missing providers of every subscription. Raises BootstrapError.

    `provider_subscription` is the subscription in azure-native's settings, if there is one.
    """
    from azure.identity import DefaultAzureCredential
    from azure.mgmt.resource.resources import ResourceManagementClient

    own = _own_subscription(provider_subscription)
    subscriptions = {own: None, **{environment.subscription_id or own: None for environment in settings.environments}}
    credential = DefaultAzureCredential()
    for subscription in subscriptions:
        providers: ProviderOperations = ResourceManagementClient(credential, subscription).providers
        yield compare(subscription, providers)


def compare(subscription: str, providers: ProviderOperations) -> Registration:
    """Return the missing providers of a subscription. Raises BootstrapError."""
    registration = Registration(subscription, providers, ())
    missing = [name for name in RESOURCE_PROVIDERS if not _is_registered(registration, name)]
    return Registration(subscription, providers, missing)


def _is_registered(registration: Registration, namespace: str) -> bool:
    provider = _call(registration.subscription_id, partial(registration.providers.get, namespace))
    return (provider.registration_state or "").lower() == _REGISTERED


def _call(subscription: str, work: Callable[[], Provider]) -> Provider:
    try:
        return work()
    except AzureError as error:
        raise BootstrapError(
            f"Cannot register resource providers in subscription {subscription}: {str(error.message).splitlines()[0]} "
            "It takes Contributor or Owner there."
        ) from error


def _own_subscription(configured: str | None) -> str:
    """Return the subscription that azure-native uses: its setting, ARM_SUBSCRIPTION_ID, or `az login`'s."""
    subscription = configured or os.environ.get("ARM_SUBSCRIPTION_ID")
    if subscription:
        return subscription
    if shutil.which("az") is None:
        raise BootstrapError("No subscription: sign in with `az login`, or set ARM_SUBSCRIPTION_ID.")
    printed = subprocess.run(["az", "account", "show", "--output", "json"], capture_output=True, text=True, check=False)
    if printed.returncode != 0:
        raise BootstrapError(f"No subscription: `az account show` failed: {printed.stderr.strip()}")
    account: Mapping[str, str] = json.loads(printed.stdout)
    return account["id"]
