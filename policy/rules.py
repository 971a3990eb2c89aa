"""Building blocks of rules: a rule is a function from a resource to its problems, each a text with the mend."""

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
Findings = Iterator[tuple[str, str | None]]
"""Problems with the URNs of their resources, None for a problem of the stack."""


@dataclass(frozen=True)
class Subject:
    """A resource with the inputs of its program, under the engine's property names."""

    type: str
    props: Mapping[str, Any]
    config: Mapping[str, Any]
    secret_outputs: Sequence[str] = ()
    """Outputs that the program marks as secret."""


def get(value: Any, *path: str) -> Any:
    """Return the value at `path`, or None. A value that a preview cannot know raises, as in the SDK."""
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def targets(resources: Sequence[PolicyResource], kinds: Sequence[str], name: str) -> set[str]:
    """Return the URNs of resources to which resources of `kinds` refer by their input `name`."""
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
    """Return a policy on each resource of `types`. `settings`: the JSON schema of its configuration in the pack."""
    expected = frozenset(types)

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type in expected:
            config = args.get_config() if settings else {}
            sealed = tuple(args.opts.additional_secret_outputs or ())
            for problem in check(Subject(args.resource_type, args.props, config, sealed)):
                report(problem, None)

    return ResourceValidationPolicy(name, description, validate, config_schema=_schema(settings))


def stack_rule(
    name: str,
    description: str,
    check: Callable[[Sequence[PolicyResource], Mapping[str, Any]], Findings],
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> StackValidationPolicy:
    """Return a policy on all resources at once."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for problem, urn in check(args.resources, args.get_config() if settings else {}):
            report(problem, urn)

    return StackValidationPolicy(name, description, validate, config_schema=_schema(settings))


def _schema(settings: Mapping[str, Mapping[str, Any]] | None) -> PolicyConfigSchema | None:
    return None if settings is None else PolicyConfigSchema({key: dict(value) for key, value in settings.items()})
