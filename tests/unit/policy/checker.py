"""Runs the pack's rules as the engine does, over resources that the tests give."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from infra.stack_file import ROOT
from policy.pack import RULES

CONFIG = ROOT / "policy" / "config"


def configuration(environment: str) -> dict[str, Any]:
    """Return the `--policy-pack-config` of an environment."""
    content: dict[str, Any] = json.loads((CONFIG / f"{environment}.json").read_text(encoding="utf-8"))
    return content


def resource(
    type_: str,
    props: Mapping[str, Any],
    *,
    name: str = "it",
    urn: str | None = None,
    protect: bool = False,
    secret_outputs: Iterable[str] = (),
    reads: Mapping[str, Iterable[PolicyResource]] | None = None,
) -> PolicyResource:
    """Return a resource in a stack rule's form; `reads`: input to the resources that it was made from."""
    return PolicyResource(
        type_,
        props,
        urn or f"urn:pulumi:dev::dataopsml::{type_}::{name}",
        name,
        _options(protect=protect, secret_outputs=secret_outputs),
        None,
        None,
        [],
        {key: list(value) for key, value in (reads or {}).items()},
    )


def violations(
    resources: Iterable[PolicyResource], config: Mapping[str, Any] | None = None
) -> list[tuple[str, str, str]]:
    """Return (rule, name of the resource or empty, fault). `config` as the engine reads it: by rule, and "all"."""
    checked, violated = list(resources), []
    for rule in RULES:
        configured = (config or {}).get(rule.name, {})
        if configured == "disabled":
            continue
        settings = dict(rule.config_schema.properties) if rule.config_schema else {}
        values = {key: schema["default"] for key, schema in settings.items() if "default" in schema}
        values |= {key: value for key, value in configured.items() if key != "enforcementLevel"}
        names = {resource.urn: resource.name for resource in checked}

        def report(message: str, urn: str | None = None, *, rule: Any = rule, names: Any = names) -> None:
            violated.append((rule.name, names.get(urn or "", urn or ""), message))

        if isinstance(rule, ResourceValidationPolicy):
            for resource in checked:
                arguments = ResourceValidationArgs(
                    resource.resource_type, resource.props, resource.urn, resource.name, resource.opts, None, values
                )
                rule.validate(arguments, lambda text, _=None, urn=resource.urn: report(text, urn))  # type: ignore[misc]
        elif isinstance(rule, StackValidationPolicy):
            rule.validate(StackValidationArgs(checked, values), report)
    return violated


def _options(*, protect: bool, secret_outputs: Iterable[str]) -> PolicyResourceOptions:
    return PolicyResourceOptions(protect, [], None, [], PolicyCustomTimeouts(0, 0, 0), list(secret_outputs), None)
