"""Resources of the pipelines, which the bootstrap opens to them: none waits for a permission, and none has too much."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pipeline_runner import organisation
from pipeline_runner.templates import compile_pipeline

from bootstrap.naming import deployment_environment
from bootstrap.pipelines import PipelineSpec, specs
from pipelines.rehearsal import ORGANISATION
from tests.unit.environments import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[3]
_CONNECTIONS = {
    "azureSubscription", "containerRegistry", "azureServiceConnection", "serviceConnection", "endpoint", "connection",
}  # fmt: skip
_SPECS = {spec.path: spec for spec in specs(ENVIRONMENTS)}
_STARTS = organisation.read(ORGANISATION).pipelines


def _texts(node: Any, keys: set[str]) -> Iterator[str]:
    """Texts under these keys, anywhere."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in keys and isinstance(value, str):
                yield value
            yield from _texts(value, keys)
    elif isinstance(node, list):
        for member in node:
            yield from _texts(member, keys)


def _used(path: str, keys: set[str]) -> set[str]:
    """Compile every start of the pipeline: with every value of its parameters that have a few."""
    used: set[str] = set()
    for start in _STARTS:
        for environment in ENVIRONMENTS[:-1] if path == "pipelines/retrain.yml" else ("",):
            if start.file == path:
                parameters = {**start.parameters} | ({"environment": environment} if environment else {})
                predefined = {"Build.Reason": start.reason, "Build.SourceBranch": "refs/heads/main"}
                used |= set(_texts(compile_pipeline(ROOT / path, ROOT, parameters, predefined), keys))
    return used


def test_the_bootstrap_makes_every_pipeline_and_no_other() -> None:
    assert {start.file for start in _STARTS} == set(_SPECS)


@pytest.mark.parametrize("spec", _SPECS.values(), ids=list(_SPECS))
def test_a_pipeline_may_use_the_resources_that_its_yaml_names(spec: PipelineSpec) -> None:
    assert _used(spec.path, _CONNECTIONS) == set(spec.connections)
    assert _used(spec.path, {"group"}) == set(spec.groups)
    assert _used(spec.path, {"environment"}) == {
        deployment_environment(environment) for environment in spec.environments
    }
