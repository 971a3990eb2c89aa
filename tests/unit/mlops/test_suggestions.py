"""Unknown names are answered with the closest ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlops import candidates, jobs, publish, published_components, runs, specifications
from mlops.errors import InvalidError, MissingError
from mlops.jobs import Job
from mlops.suggestions import hint
from tests import samples


@pytest.mark.parametrize(
    ("name", "known", "sentence"),
    [
        ("stagin", ["dev", "staging"], "Did you mean staging?"),
        ("x", ["dev", "staging"], "There are: dev, staging."),
        ("x", [], "There are: none."),
        ("x", [str(number) for number in range(9)], "There are: 0, 1, 2, 3, 4, 5, 6, 7 …."),
    ],
)
def test_a_hint_has_the_closest_names_or_the_first_ones(name: str, known: list[str], sentence: str) -> None:
    assert hint(name, known) == sentence


def _clients() -> Any:
    outputs = SimpleNamespace(environment="dev", batch_endpoint="bep")
    pipeline = specifications.load("diabetes", samples.PIPELINES)
    return SimpleNamespace(pipeline=pipeline, outputs=outputs, endpoint="bep", options="--stack dev")


def test_an_unknown_version_or_run_is_answered_with_the_existing_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = [publish.Published("v-417", {"code_version": "20261125.3"}, "id")]
    monkeypatch.setattr(publish, "deployments", lambda clients: deployed)
    monkeypatch.setattr(jobs, "get_job", lambda clients, name: None)
    monkeypatch.setattr(jobs, "recent", lambda clients: iter([Job("batchjob-12ab", "Failed", "1", "2", "")]))
    monkeypatch.setattr(candidates, "versions", lambda ml, name: [SimpleNamespace(version="4", tags={})])
    clients = _clients()
    clients.ml = None

    with pytest.raises(MissingError, match=r"Version 20261125\.2 is not published .* Did you mean 20261125\.3\?"):
        publish.of_version(clients, "20261125.2")
    with pytest.raises(
        MissingError, match=r"no run 'batchjob-12ac' of diabetes on stack dev\. Did you mean batchjob-12ab"
    ):
        runs.job(clients, "batchjob-12ac")
    with pytest.raises(MissingError, match=r"There is no version 7 of diabetes on dev to promote\. There are: 4\."):
        candidates.tested(clients, "7")
    monkeypatch.setattr(candidates, "versions", lambda ml, name: [])
    with pytest.raises(
        MissingError, match=r"run the pipeline on that stack first, with `python -m mlops up --stack dev`"
    ):
        candidates.tested(clients, None)


def test_a_run_of_another_pipeline_is_unknown_to_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Job("run-1", "Failed", "1", "2", "", component="/…/components/breast_cancer_training/versions/1")
    monkeypatch.setattr(jobs, "get_job", lambda clients, name: other)
    monkeypatch.setattr(jobs, "recent", lambda clients: iter([]))

    with pytest.raises(MissingError, match="There is no run 'run-1' of diabetes"):
        runs.job(_clients(), "run-1")


def test_a_component_of_a_step_that_no_pipeline_has_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "diabetes"
    shutil.copytree(samples.PIPELINES / "diabetes", folder)
    shutil.copytree(folder / "components/train", folder / "components/evalute")

    with pytest.raises(InvalidError, match=r"a component for a step 'evalute', .* Did you mean evaluate\?"):
        published_components.folders(specifications.load("diabetes", tmp_path))
