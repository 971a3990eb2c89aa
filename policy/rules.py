"""How a rule is written: a function from a resource to what is wrong with it, in words that say what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pulumi_policy import (
    PolicyConfigSchema,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

Problems = Iterator[str]
Found = Iterator[tuple[str, str | None]]
"""What is wrong, and the URN that it is wrong with."""


@dataclass(frozen=True)
class Subject:
    """One resource as its program asked for it; property names as the engine has them."""

    type: str
    props: Mapping[str, Any]
    config: Mapping[str, Any]
    secret_outputs: Sequence[str] = ()
    """Outputs that the program has sealed in the state."""


def get(value: Any, *path: str) -> Any:
    """The value below `path`, None where there is none. A value that a preview cannot know raises, as the SDK's do."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def targets(resources: Sequence[PolicyResource], kinds: Sequence[str], name: str) -> set[str]:
    """URNs of the resources that resources of `kinds` refer to by their input `name`."""
    return {
        target.urn
        for resource in resources
        if resource.resource_type in kinds
        for target in resource.property_dependencies.get(name, [])
    }


def rule(
    name: str,
    description: str,
    types: Sequence[str],
    check: Callable[[Subject], Iterable[str]],
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> ResourceValidationPolicy:
    """A policy over each resource of `types`. `settings`: JSON schema of what the pack's configuration may say."""
    wanted = frozenset(types)

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type in wanted:
            config = args.get_config() if settings else {}
            sealed = tuple(args.opts.additional_secret_outputs or ())
            for problem in check(Subject(args.resource_type, args.props, config, sealed)):
                report(problem, None)

    return ResourceValidationPolicy(name, description, validate, config_schema=_schema(settings))


def stack_rule(
    name: str,
    description: str,
    check: Callable[[Sequence[PolicyResource], Mapping[str, Any]], Found],
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> StackValidationPolicy:
    """A policy over all resources at once."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for problem, urn in check(args.resources, args.get_config() if settings else {}):
            report(problem, urn)

    return StackValidationPolicy(name, description, validate, config_schema=_schema(settings))


def _schema(settings: Mapping[str, Mapping[str, Any]] | None) -> PolicyConfigSchema | None:
    return None if settings is None else PolicyConfigSchema({key: dict(value) for key, value in settings.items()})
