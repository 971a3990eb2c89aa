"""Contract of the bootstrap with stacks and pipelines: names, roles and variables that they use."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
import yaml
from localcloud.arm.conditions import parse
from localcloud.arm.roles import BY_ID

from bootstrap.conditions import only_these
from bootstrap.naming import Names
from bootstrap.pipelines import connection_names, specs
from declarations.roles import ASSIGNED_BY_STACKS, CustomRole, Role
from infra.naming import Names as StackNames
from tests.unit.bootstrap.recorder import deploy
from tests.unit.environments import ENVIRONMENTS

ROOT = Path(__file__).resolve().parents[3]
_WRITE = "Microsoft.Authorization/roleAssignments/write"
_DELETE = "Microsoft.Authorization/roleAssignments/delete"
_ATTRIBUTE = "microsoft.authorization/roleassignments:roledefinitionid"


def _pipelines() -> dict[str, str]:
    """Text of every pipeline file by its path."""
    files = [ROOT / "azure-pipelines.yml", *sorted((ROOT / "pipelines").rglob("*.yml"))]
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def _used(pattern: str) -> set[str]:
    """Return the matches of a pattern's group in the pipelines, with their parameters set for every environment."""
    names = set()
    for text in _pipelines().values():
        for value in re.findall(pattern, text, re.MULTILINE):
            filled = [re.sub(r"\$\{\{[^}]*\}\}", environment, value).strip() for environment in ENVIRONMENTS]
            names |= set(filled)
    return names


def test_deployers_may_assign_only_the_roles_of_stacks() -> None:
    sources = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "infra").glob("*.py"))
    assert {role.name for role in ASSIGNED_BY_STACKS} == set(re.findall(r"\bRole\.([A-Z_]+)", sources))
    assert all(role.value in BY_ID for role in Role)


def test_deployers_may_assign_a_role_of_the_organisation_s_own_where_the_bootstrap_names_it() -> None:
    own = "99999999-8888-7777-6666-555555555555"
    condition = parse(only_these([*ASSIGNED_BY_STACKS, CustomRole(name="ONLINE_CALLER", value=own)]))

    assert condition.holds(_WRITE, {"request": {_ATTRIBUTE: [own]}})
    assert not parse(only_these(ASSIGNED_BY_STACKS)).holds(_WRITE, {"request": {_ATTRIBUTE: [own]}})


@pytest.mark.parametrize(("action", "source"), [(_WRITE, "request"), (_DELETE, "resource")])
def test_the_condition_names_only_those_roles(action: str, source: str) -> None:
    condition = parse(only_these(ASSIGNED_BY_STACKS))
    for role in ASSIGNED_BY_STACKS:
        assert condition.holds(action, {source: {_ATTRIBUTE: [role.value]}})
    for name in ("Owner", "User Access Administrator", "Role Based Access Control Administrator"):
        other = next(role.id for role in BY_ID.values() if role.name == name)
        assert not condition.holds(action, {source: {_ATTRIBUTE: [other]}}), name
    assert condition.holds("Microsoft.Authorization/roleAssignments/read", {}), "reading is not constrained"


def test_names_of_stacks_equal_the_program_s() -> None:
    for base, environment in product(("a", "dataops", "a123456789"), ENVIRONMENTS):
        ours, theirs = Names(base), StackNames(base, environment)
        assert ours.stack_group(environment) == theirs.resource_group
        assert ours.stack_workspace(environment) == theirs.workspace
        others = {theirs.key_vault, theirs.workspace_storage, theirs.training_storage, theirs.container_registry}
        assert not others & {ours.vault, ours.account, ours.container_registry}


def test_names_are_within_azures_limits() -> None:
    names = Names("a" * 10)
    assert re.fullmatch(r"[a-z0-9]{3,24}", names.account)
    assert re.fullmatch(r"[a-z][a-z0-9-]{2,23}", names.vault)
    assert re.fullmatch(r"[a-z0-9]{5,50}", names.container_registry)
    assert len(names.identity("deploy-" + "e" * 10)) <= 128


def test_every_variable_group_and_environment_of_the_pipelines_is_made() -> None:
    deployment = deploy()
    groups = {str(group.inputs["name"]) for group in deployment.of("VariableGroup")}
    assert _used(r"- group: (\S.*)$") <= groups, groups
    environments = {str(environment.inputs["name"]) for environment in deployment.of("Environment")}
    assert _used(r"^\s+environment: (dataopsml-.*)$") - {"dataopsml-prod-runs"} <= environments, environments


def test_every_service_connection_of_the_pipelines_is_made() -> None:
    connections = {
        str(resource.inputs["serviceEndpointName"]) for resource in deploy() if "serviceEndpointName" in resource.inputs
    }
    used = _used(r"(DataOpsML [A-Z][A-Za-z ]*[A-Za-z](?: - (?:\$\{\{[^}]*\}\}|[a-z]+))?)$")
    assert used - connections == set(), connections
    assert {"DataOpsML ARM Connection", *connection_names(ENVIRONMENTS)} <= connections


def test_every_macro_that_no_pipeline_sets_is_in_its_variable_group() -> None:
    macros = {name for text in _pipelines().values() for name in re.findall(r"\$\(([A-Z][A-Z_]+)\)", text)}
    set_by_jobs = {name for text in _pipelines().values() for name in re.findall(r"^\s+([A-Z_]+): \$\[", text, re.M)}
    own = {"LOCALCLOUD_CACHE", *set_by_jobs}
    groups = {
        str(group.inputs["name"]): {variable["name"] for variable in group.inputs["variables"]}
        for group in deploy().of("VariableGroup")
    }
    assert macros - own <= groups["dataopsml-dev"] | groups["dataopsml-ci"], macros
    assert groups["dataopsml-dev"] == groups["dataopsml-prod"]


def test_every_pipeline_file_has_a_pipeline() -> None:
    tops = {
        path for path, text in _pipelines().items()
        if "/" not in path.removeprefix("pipelines/") and "trigger" in (yaml.safe_load(text) or {})
    }  # fmt: skip
    assert tops == {spec.path for spec in specs(ENVIRONMENTS)}
