"""The identity that starts retrainings: its rights, and its absence without a pipeline that needs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from declarations import invoker_role
from declarations.training_pipelines import retraining_pipelines
from tests.unit.infra.recorder import Deployment, deploy

IDENTITY = "principal-of-id-dataops-dev-retraining"


@pytest.fixture(params=["bootstrap", "stack"])
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def deployment(role: str, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """Return a deployment of pipelines of which breast_cancer and the default one are trained again."""
    for module in ("foundation", "workspaces"):
        monkeypatch.setattr(f"infra.{module}.retraining_pipelines", lambda: ["breast_cancer", "diabetes"])
    # Settings that no other test has: deployments are kept by their settings.
    return deploy(access=json.dumps({"invoker_role": role}), cost_center=f"retraining-{role}")


def _granted(deployment: Deployment) -> set[tuple[str, str]]:
    return {
        (
            str(assignment.inputs["roleDefinitionId"]).rpartition("/")[2],
            "/".join(assignment.inputs["scope"].split("/")[-2:]),
        )
        for assignment in deployment.of("RoleAssignment")
        if assignment.inputs["principalId"] == IDENTITY
    }


def test_it_may_invoke_the_endpoints_of_its_pipelines_and_submit_runs(deployment: Deployment, role: str) -> None:
    owner = ("dataops",) if role == "bootstrap" else ("dataops", "dev")
    invoker, submitter = (invoker_role.custom_role(name, *owner).value for name in invoker_role.ROLES)
    endpoints = {str(endpoint.inputs["endpointName"]) for endpoint in deployment.of("BatchEndpoint")}
    assert len(endpoints) == 2
    assert _granted(deployment) == {
        (submitter, "Workspace/aml-dataops-dev"), *((invoker, f"BatchEndpoint/{name}") for name in endpoints)
    }  # fmt: skip


def test_the_stack_makes_the_roles_where_the_bootstrap_does_not(deployment: Deployment, role: str) -> None:
    roles = deployment.of("RoleDefinition")
    if role == "bootstrap":
        assert roles == []
        return
    assert {role.inputs["roleName"] for role in roles} == {
        "dataopsml training invoker dataops dev", "dataopsml run submitter dataops dev"
    }  # fmt: skip
    for definition in roles:
        (scope,) = definition.inputs["assignableScopes"]
        assert scope.endswith("/ResourceGroup/rg-dataops-dev")


def test_jobs_run_as_the_pipeline_s_identity_by_default(deployment: Deployment) -> None:
    identities = deployment.resource("Compute").inputs["identity"]["userAssignedIdentities"]
    names = [identity.rpartition("/")[2] for identity in identities]
    assert names == ["id-dataops-dev-pipeline", "id-dataops-dev-retraining"]
    assert names == sorted(names), "in ARM they are keys of an object, and the first one is the default"
    assert deployment.outputs["retraining_client_id"] == "44444444-4444-4444-4444-444444444444"


def test_no_action_promotes_registers_or_reads_secrets() -> None:
    actions = [*invoker_role.ENDPOINT_ACTIONS, *invoker_role.WORKSPACE_ACTIONS]
    assert not [action for action in actions if "*" in action or "ecret" in action or "Keys" in action]
    writes = {action.split("workspaces/")[1] for action in actions if not action.endswith("/read")}
    assert writes == {
        "batchEndpoints/jobs/write", "batchEndpoints/deployments/jobs/write", "experiments/runs/submit/action",
        "experiments/runs/write",
    }  # fmt: skip


def test_without_such_a_pipeline_there_is_no_such_identity() -> None:
    deployment = deploy()
    assert not [identity for identity in deployment.of("UserAssignedIdentity") if "retraining" in identity.name]
    assert len(deployment.resource("Compute").inputs["identity"]["userAssignedIdentities"]) == 1
    assert deployment.outputs["retraining_client_id"] is None


@pytest.mark.parametrize(
    ("watch", "names"),
    [("{retrain: on_drift}", ["own"]), ("{retrain: work_item}", []), ("{}", []), ("null", []), ("[1]", [])],
)
def test_pipelines_ask_for_it_in_their_specification(tmp_path: Path, watch: str, names: list[str]) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/pipeline.yml").write_text(f"model: m\nwatch: {watch}\n", encoding="utf-8")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/pipeline.yml").write_text("- no mapping\n", encoding="utf-8")
    assert retraining_pipelines(tmp_path) == names
