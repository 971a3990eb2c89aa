"""Cluster policies: the parsing of definitions and the checks of cluster specifications.

A definition maps attribute paths ("spark_conf.spark.x", "autoscale.max_workers", "custom_tags.team") to rules.
Source: docs.databricks.com "Compute policy reference"; message texts as Terraform users quote them.
"""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import Any

from localcloud.core.json import Json
from localcloud.databricks import errors

_TYPES = {"fixed", "forbidden", "allowlist", "blocklist", "regex", "range", "unlimited"}
_MAPS = ("spark_conf", "spark_env_vars", "custom_tags")
_VIRTUAL = ("cluster_type", "dbus_per_hour", "max_clusters_per_user")
_ABSENT = object()


@dataclass(frozen=True)
class Rule:
    """The rule of one attribute, unchanged."""

    path: str
    body: Json

    @property
    def type(self) -> str:
        return str(self.body["type"])


def parse(definition: str) -> list[Rule]:
    """Raise INVALID_PARAMETER_VALUE for a definition that no cluster could be checked against."""
    try:
        body = json.loads(definition)
    except ValueError as error:
        raise errors.invalid(f"Policy definition is not valid JSON: {error}") from None
    if not isinstance(body, dict):
        raise errors.invalid("Policy definition must be a JSON object of attribute paths and rules.")
    rules = []
    for path, rule in body.items():
        if not isinstance(rule, dict) or rule.get("type") not in _TYPES:
            raise errors.invalid(
                f"Policy definition of {path} must be an object whose type is one of {', '.join(sorted(_TYPES))},"
                f" got {rule!r}."
            )
        needed = {"fixed": "value", "allowlist": "values", "blocklist": "values", "regex": "pattern"}.get(rule["type"])
        if needed is not None and needed not in rule:
            raise errors.invalid(f"Policy definition of {path} is of type {rule['type']} and lacks {needed}.")
        if rule["type"] == "range" and not {"minValue", "maxValue"} & set(rule):
            raise errors.invalid(f"Policy definition of {path} is of type range and lacks minValue or maxValue.")
        if rule["type"] == "regex":
            try:
                re.compile(rule["pattern"])
            except re.error as error:
                raise errors.invalid(f"Policy definition of {path} has a broken pattern: {error}.") from None
        rules.append(Rule(path, rule))
    return rules


def apply(rules: list[Rule], cluster: Json, *, cluster_type: str, defaults: bool) -> Json:
    """Return the cluster with fixed values (and, if `defaults` is set, with defaults) filled in.

    Fixed values of missing attributes are set, as in job clusters of a policy. `defaults` is
    apply_policy_default_values. Raises INVALID_PARAMETER_VALUE with every violation.
    """
    cluster = copy.deepcopy(cluster)
    problems: list[str] = []
    for rule in rules:
        if rule.path == "cluster_type":
            problems += _check(rule, cluster_type)
            continue
        if rule.path in _VIRTUAL:
            continue  # limits on cost and count, which one machine has no use for
        value = _get(cluster, rule.path)
        if value is _ABSENT:
            if rule.type == "fixed":
                _set(cluster, rule.path, rule.body["value"])
                continue
            if defaults and "defaultValue" in rule.body:
                _set(cluster, rule.path, rule.body["defaultValue"])
                value = rule.body["defaultValue"]
            elif (
                rule.type == "forbidden"
                or rule.body.get("isOptional")
                or rule.type == "unlimited"
                or rule.type == "blocklist"
            ):
                continue
            else:
                problems.append(f"Validation failed for {_label(rule.path)} must be present")
                continue
        problems += _check(rule, value)
    if problems:
        raise errors.invalid("Cluster validation error: " + "; ".join(problems))
    return cluster


def _check(rule: Rule, value: Any) -> list[str]:
    body, failed = rule.body, f"Validation failed for {_label(rule.path)}"
    text = _text(value)
    if rule.type == "fixed" and not _same(value, body["value"]):
        return [f'{failed}, the value must be {_text(body["value"])} (is "{text}")']
    if rule.type == "forbidden":
        return [f"{failed}, the value must not be present"]
    if rule.type == "allowlist" and not any(_same(value, listed) for listed in body["values"]):
        return [f'{failed}, the value must be one of {", ".join(map(_text, body["values"]))} (is "{text}")']
    if rule.type == "blocklist" and any(_same(value, listed) for listed in body["values"]):
        return [f'{failed}, the value must not be one of {", ".join(map(_text, body["values"]))} (is "{text}")']
    if rule.type == "regex" and re.fullmatch(body["pattern"], text) is None:
        return [f'{failed}, the value must match the regular expression {body["pattern"]} (is "{text}")']
    if rule.type == "range":
        try:
            number = float(value)
        except (TypeError, ValueError):
            return [f'{failed}, the value must be a number (is "{text}")']
        if "minValue" in body and number < body["minValue"]:
            return [f'{failed}, the value must be at least {body["minValue"]} (is "{text}")']
        if "maxValue" in body and number > body["maxValue"]:
            return [f'{failed}, the value must be at most {body["maxValue"]} (is "{text}")']
    return []


def _label(path: str) -> str:
    head, _, rest = path.partition(".")
    return f"{head}, {rest}" if head in _MAPS else path


def _split(path: str) -> list[str]:
    head, _, rest = path.partition(".")
    return [head, rest] if head in _MAPS and rest else path.split(".")


def _get(cluster: Json, path: str) -> Any:
    value: Any = cluster
    for part in _split(path):
        if not isinstance(value, dict) or value.get(part) is None:
            return _ABSENT
        value = value[part]
    return value


def _set(cluster: Json, path: str, value: Any) -> None:
    *folders, last = _split(path)
    for part in folders:
        cluster = cluster.setdefault(part, {})
    cluster[last] = value


def _same(left: Any, right: Any) -> bool:
    # Policies write spark_conf values as strings or as JSON booleans and numbers; a cluster may use the other.
    return left == right or _text(left) == _text(right)


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
