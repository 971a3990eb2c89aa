"""Scope of one template's expressions: parameters, variables, place of the deployment, deployed resources."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from localcloud.arm import metadata, subscriptions
from localcloud.arm.deployments import expressions
from localcloud.arm.deployments.expressions import Node, invalid
from localcloud.arm.deployments.functions import PURE, resource_id
from localcloud.core.errors import not_emulated
from localcloud.core.json import Json
from localcloud.core.resource import Resource
from localcloud.core.settings import TENANT_ID

_OWN = frozenset(
    {
        "parameters", "variables", "subscription", "tenant", "resourcegroup", "deployment", "environment", "resourceid",
        "subscriptionresourceid", "tenantresourceid", "extensionresourceid", "reference", "copyindex", "newguid",
        "utcnow",
    }
)  # fmt: skip
"""Functions that are methods of TemplateScope."""
_ENVIRONMENT = {"keyVaultDns": "keyvaultDns", "azureDataLakeStoreFileSystem": "azureDatalakeStoreFileSystem"}


@dataclass(frozen=True)
class Place:
    """The scope of a deployment: a resource group, or (None) the subscription."""

    subscription: str
    group: Resource | None
    name: str

    @property
    def id(self) -> str:
        return self.subscription if self.group is None else self.group.id


class NeededError(Exception):
    """An expression needs a value that is to be fetched, or deployed, first."""

    def __init__(self, key: tuple[str, ...]) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True)
class TemplateScope:
    """`resolved` holds the results of reference() and list…(), by key; another key raises NeededError."""

    place: Place
    parameters: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)
    resolved: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    runs: bool = False
    """Whether resources are being deployed, so that they can be referred to."""
    defaults: bool = False
    """Whether these are the default values of parameters, where newGuid() and utcNow() are allowed."""
    loops: Mapping[str, int] = field(default_factory=dict)

    def looping(self, name: str, index: int) -> TemplateScope:
        return replace(self, loops={**self.loops, name.lower(): index, "": index})

    def invoke(self, name: str, arguments: tuple[Node, ...], evaluate: Callable[[Node], Any]) -> Any:
        if name == "if":
            return evaluate(arguments[1] if evaluate(arguments[0]) else arguments[2])
        if name == "and":
            return all(evaluate(argument) for argument in arguments)
        if name == "or":
            return any(evaluate(argument) for argument in arguments)
        if name == "coalesce":
            return next((value for argument in arguments if (value := evaluate(argument)) is not None), None)
        values = [evaluate(argument) for argument in arguments]
        try:
            if name in _OWN:
                return getattr(self, f"_{name}")(*values)
            if name in PURE:
                return PURE[name](*values)
        except (TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
            raise invalid(f"Unable to evaluate template language function '{name}': {error}") from error
        if name.startswith("list") and len(values) >= 2:
            return self._fetched("list", str(values[0]), name, str(values[1]))
        raise not_emulated(f"the template function {name}()")

    def _parameters(self, name: str) -> Any:
        for known, value in self.parameters.items():
            if known.lower() == name.lower():
                return value
        raise invalid(f"The template parameter '{name}' is not found")

    def _variables(self, name: str) -> Any:
        for known, value in self.variables.items():
            if known.lower() == name.lower():
                return expressions.evaluate(value, self)
        raise invalid(f"The template variable '{name}' is not found")

    def _subscription(self) -> Json:
        return subscriptions.subscription()

    def _tenant(self) -> Json:
        return {"tenantId": TENANT_ID, "displayName": "localcloud", "countryCode": "US"}

    def _resourcegroup(self) -> Json:
        if self.place.group is None:
            raise invalid("The template function 'resourceGroup' is not expected at this location")
        return self.place.group.to_json()

    def _deployment(self) -> Json:
        return {"name": self.place.name}

    def _environment(self) -> Json:
        cloud = metadata.cloud("https://management.azure.com")
        suffixes = {_ENVIRONMENT.get(name, name): value for name, value in cloud["suffixes"].items()}
        return {**cloud, "suffixes": suffixes}

    def _resourceid(self, *values: str) -> str:
        """[subscription,] [group,] type, names: the type is the first with a slash."""
        at = next(index for index, value in enumerate(values) if "/" in value)
        before, type_, names = values[:at], values[at], values[at + 1 :]
        subscription = f"/subscriptions/{before[0]}" if len(before) == 2 else self.place.subscription
        root = f"{subscription}/resourceGroups/{before[-1]}" if before else self.place.id
        return resource_id(root, type_, names)

    def _subscriptionresourceid(self, *values: str) -> str:
        root = self.place.subscription
        if "/" not in values[0]:
            root, values = f"/subscriptions/{values[0]}", values[1:]
        return resource_id(root, values[0], values[1:])

    def _tenantresourceid(self, type_: str, *names: str) -> str:
        return resource_id("", type_, names)

    def _extensionresourceid(self, scope: str, type_: str, *names: str) -> str:
        return resource_id(scope, type_, names)

    def _reference(self, target: str, version: str = "", full: str = "") -> Any:
        resource = self._fetched("reference", target)
        return resource if full.lower() == "full" else resource.get("properties") or {}

    def _fetched(self, *key: str) -> Any:
        if not self.runs:
            raise invalid(f"The template function '{key[0]}' is not expected at this location")
        if key not in self.resolved:
            raise NeededError(key)
        return self.resolved[key]

    def _copyindex(self, *values: Any) -> int:
        name = str(values[0]).lower() if values and isinstance(values[0], str) else ""
        offset = next((value for value in values if isinstance(value, int)), 0)
        if name not in self.loops:
            raise invalid("The template function 'copyIndex' is not expected at this location")
        return self.loops[name] + offset

    def _newguid(self) -> str:
        return str(uuid.uuid4()) if self.defaults else self._only_in_defaults("newGuid")

    def _utcnow(self, form: str = "yyyyMMddTHHmmssZ") -> str:
        if not self.defaults:
            return self._only_in_defaults("utcNow")
        pairs = (("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"))
        for theirs, ours in pairs:
            form = form.replace(theirs, ours)
        return datetime.now(UTC).strftime(form)

    def _only_in_defaults(self, name: str) -> str:
        raise invalid(f"The template function '{name}' is not expected at this location: use it in a defaultValue")
