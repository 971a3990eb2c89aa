"""Candidates of a promotion, and the target of a rollback."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mlops import candidates
from mlops.errors import GateError
from mlops.jobs import Job
from mlops.lineage import check_lineage, check_tested, choose_deployment
from mlops.promote import previous_deployment, serving
from mlops.publish import NO_COMMIT, Published

LINEAGE = {"commit": "c1", "code_version": "417", "data_version": "d1", "training_run": "t", "pipeline_run": "p"}


def _job(status: str = "Completed", code: str = "417", data: str = "d1") -> Job:
    return Job("p", status, code, data, "https://page")


def _deployment(version: str, commit: str) -> Published:
    return Published(f"v-{version}", {"code_version": version, "commit": commit}, "/component")


def test_a_model_without_lineage_is_refused_with_its_missing_tags() -> None:
    tags = {name: value for name, value in LINEAGE.items() if name != "pipeline_run"}

    with pytest.raises(GateError, match=r"pipeline_run missing"):
        check_lineage(tags | {"other": "x"}, "diabetes", "3")
    assert check_lineage(LINEAGE | {"other": "x"}, "diabetes", "3") == LINEAGE


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (_job(status="Failed"), "is Failed, not Completed"),
        (_job(code="416"), "code_version of the model is 417, but p tested 416"),
        (_job(data="d2"), "data_version of the model is d1, but p tested d2"),
    ],
)
def test_a_lineage_that_the_run_did_not_test_is_refused(job: Job, message: str) -> None:
    with pytest.raises(GateError, match=message):
        check_tested(LINEAGE, job)


def test_the_run_s_own_code_and_data_pass() -> None:
    check_tested(LINEAGE, _job())


def test_the_deployment_of_the_same_version_and_commit_is_chosen() -> None:
    deployments = [_deployment("416", "c0"), _deployment("417", "c1")]

    assert choose_deployment(deployments, LINEAGE, "prod").deployment == "v-417"


def test_without_build_ids_the_commit_decides() -> None:
    assert choose_deployment([_deployment("c1-prod", "c1")], LINEAGE, "prod").deployment == "v-c1-prod"


def test_without_a_commit_only_the_same_version_is_the_same_code() -> None:
    lineage = LINEAGE | {"code_version": "nogit-1", "commit": NO_COMMIT}
    other, same = _deployment("nogit-2", NO_COMMIT), _deployment("nogit-1", NO_COMMIT)

    assert choose_deployment([other, same], lineage, "prod") is same
    with pytest.raises(GateError, match="Version nogit-1 was not published from a git checkout"):
        choose_deployment([other], lineage, "prod")


def test_versions_are_the_numbered_ones_newest_first() -> None:
    there = [SimpleNamespace(version=version) for version in ("2", "by-hand", "10", "9")]
    ml = SimpleNamespace(models=SimpleNamespace(list=lambda name: iter(there)))

    assert [model.version for model in candidates.versions(ml, "diabetes")] == ["10", "9", "2"]


def test_the_same_version_of_another_commit_is_refused() -> None:
    with pytest.raises(GateError, match="published from commit c9, but the tested model comes from c1"):
        choose_deployment([_deployment("417", "c9")], LINEAGE, "prod")


def test_code_that_the_target_has_not_published_is_refused() -> None:
    with pytest.raises(GateError, match=r"Commit c1 \(version 417\) is not published on prod"):
        choose_deployment([_deployment("416", "c0")], LINEAGE, "prod")


def test_a_rollback_restores_the_default_that_the_promotion_replaced() -> None:
    assert previous_deployment("v-416", "v-417", []) == "v-416"


def test_a_rollback_restores_the_last_promotion_where_publishing_moved_the_default() -> None:
    old = {"promoted_from": "staging:diabetes:1", "promoted_at": "2026-11-01", "deployment": "v-415"}
    newer = {"promoted_from": "staging:diabetes:2", "promoted_at": "2026-11-02", "deployment": "v-416"}
    undone = {**newer, "promoted_at": "2026-11-03", "deployment": "v-400", "rolled_back_at": "2026-11-04"}

    assert previous_deployment("v-417", "v-417", [old, newer, undone, {}]) == "v-416"
    assert previous_deployment("v-417", "v-417", []) == ""
    assert serving(newer)
    assert not serving(undone)
