"""Reuse of steps, by azure-ai-ml's DSL. Steps append their word to their input's text.

No `from __future__ import annotations` here: the DSL reads the annotations of pipeline functions.
"""

from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import Input, command
from azure.ai.ml.entities import Component
from azure.core.exceptions import ResourceNotFoundError
from localcloud.testing.azure_session import unique
from localcloud.testing.job_sources import STEP, code, error_of_run, log_of, pipeline
from localcloud.testing.pipeline_steps import step as step
from localcloud.testing.workspace_session import ML, MlWorkspace
from localcloud.testing.workspace_session import ml as ml


class Chain:
    """Runs of a pipeline of two steps, `first` and `second`, with a word of this test's own."""

    def __init__(self, ml: MlWorkspace, step: Component, second: Component | None = None) -> None:
        self._ml, self._word = ml, f"{unique('w')}-"

        @pipeline(default_compute=ml.compute)
        def chain(word: str, last: str) -> dict[str, Any]:
            first = step(word=word)
            then = (second or step)(word=last, before=first.outputs.words)
            then.name = "second"
            return {"all": then.outputs.words}

        self._chain = chain

    def run(self, last: str = "end", **settings: Any) -> tuple[str, dict[str, Any]]:
        """Return the completed job's name and its steps by name."""
        pipeline_job = self._chain(word=self._word, last=last)
        for name, value in settings.items():
            setattr(pipeline_job.settings, name, value)
        job = self._ml.finished(self._ml.client.jobs.create_or_update(pipeline_job, experiment_name="reuse").name)
        assert job.status == "Completed", error_of_run(self._ml, job.name)
        children = self._ml.client.jobs.list(parent_job_name=job.name)
        return job.name, {child.display_name: self._ml.client.jobs.get(child.name) for child in children}

    def text(self, job: str, output: str, folder: Path) -> str:
        """Return the text of an output, without the word of this test."""
        self._ml.client.jobs.download(job, download_path=str(folder / job), output_name=output)
        return (folder / job / "named-outputs" / output / "words.txt").read_text().removeprefix(self._word)


def reused(steps: dict[str, Any]) -> dict[str, bool]:
    return {name: job.properties["azureml.isreused"] == "true" for name, job in steps.items()}


def page(ml: MlWorkspace, job: str) -> str:
    address = ml.client.jobs.get(job).services["Studio"].endpoint
    token = ml.token("https://management.azure.com")
    answer = requests.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_unchanged_steps_are_reused_and_shown_with_their_results(
    ml: MlWorkspace, step: Component, tmp_path: Path
) -> None:
    chain = Chain(ml, step)
    first_job, first = chain.run()
    second_job, second = chain.run()
    third_job, third = chain.run(last="other")

    assert reused(first) == {"first": False, "second": False}
    assert reused(second) == {"first": True, "second": True}
    assert reused(third) == {"first": True, "second": False}, "another parameter is another step"
    assert second["second"].properties["azureml.reusedrunid"] == first["second"].name
    assert second["second"].properties["azureml.reusedpipelinerunid"] == first_job
    assert third["first"].properties["azureml.reusedrunid"] == first["first"].name, "of the step that ran"
    assert chain.text(second_job, "all", tmp_path) == "end"
    assert chain.text(second["second"].name, "words", tmp_path) == "end", "azure-ai-ml follows reusedrunid"
    assert chain.text(third_job, "all", tmp_path) == "other", "the second step read the reused step's output"
    assert log_of(ml, second["second"].name) == log_of(ml, first["second"].name)
    assert "</b>, reused" in page(ml, second_job)
    assert first["first"].name in page(ml, second["first"].name)


def test_force_rerun_runs_all_steps_and_leaves_nothing_to_reuse(ml: MlWorkspace, step: Component) -> None:
    chain = Chain(ml, step)

    assert reused(chain.run(force_rerun=True)[1]) == {"first": False, "second": False}
    assert reused(chain.run()[1]) == {"first": False, "second": False}, "a forced job's steps cannot be reused"
    assert reused(chain.run(force_rerun=True)[1]) == {"first": False, "second": False}
    assert reused(chain.run()[1]) == {"first": True, "second": True}


def test_a_component_that_is_not_deterministic_always_runs_and_so_do_the_steps_after_it(
    ml: MlWorkspace, step: Component, tmp_path: Path
) -> None:
    builder = command(
        name=unique("step"), command="python step.py ${{inputs.word}} ${{outputs.words}}",
        code=str(code(tmp_path / "src", step=STEP)), environment=ml.environment,
        inputs={"word": Input(type="string")}, outputs={"words": {"type": "uri_folder"}}, is_deterministic=False,
    ).component  # fmt: skip
    chain = Chain(ml, builder, step)
    chain.run()

    assert reused(chain.run()[1]) == {"first": False, "second": False}


@pytest.mark.parametrize("damage", ["deleted", "changed", "job deleted"])
def test_reuse_does_not_outlive_the_data_or_the_job(ml: MlWorkspace, step: Component, damage: str) -> None:
    """Lifecycle rules delete blobs as this test does."""
    chain = Chain(ml, step)
    job, steps = chain.run()
    if damage == "job deleted":
        ml.azure.finish(ml.azure.arm("DELETE", f"{ml.id}/jobs/{job}", ML))
    else:
        container = next(item.name for item in ml.blobs().list_containers() if "blobstore" in item.name)
        blob = ml.blobs().get_blob_client(container, f"azureml/{steps['first'].name}/words/words.txt")
        if damage == "deleted":
            blob.delete_blob()
        else:
            blob.upload_blob(b"something else", overwrite=True)

    assert reused(chain.run()[1]) == {"first": False, "second": False}


def test_an_input_changed_in_place_is_another_input(ml: MlWorkspace, step: Component, tmp_path: Path) -> None:
    container = next(item.name for item in ml.blobs().list_containers() if "blobstore" in item.name)
    blob = ml.blobs().get_blob_client(container, f"{unique('given')}/words.txt")
    address = f"azureml://datastores/workspaceblobstore/paths/{blob.blob_name.rpartition('/')[0]}/"

    @pipeline(default_compute=ml.compute)
    def reads(before: Input(type="uri_folder")) -> None:  # type: ignore[valid-type]
        step(word="end", before=before)

    def flags() -> list[str]:
        pipeline_job = reads(before=Input(type="uri_folder", path=address))
        job = ml.finished(ml.client.jobs.create_or_update(pipeline_job, experiment_name="reuse").name)
        children = list(ml.client.jobs.list(parent_job_name=job.name))
        return [ml.client.jobs.get(child.name).properties["azureml.isreused"] for child in children]

    blob.upload_blob(b"one-")
    assert flags() == ["false"]
    assert flags() == ["true"]
    blob.upload_blob(b"two-", overwrite=True)
    assert flags() == ["false"], "the address is the same, its content is not"


def compute_of_another_identity(ml: MlWorkspace, name: str) -> str:
    """Make a compute like the workspace's with an identity of its own. Return the identity's role assignment."""
    identity = f"{ml.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-{unique(name)}"
    principal = ml.azure.put(identity, "2023-01-31", {"location": "westeurope"})["properties"]["principalId"]
    assignment = ml.azure.assign(ml.account_id, "Storage Blob Data Contributor", principal)
    cluster = ml.azure.arm("GET", f"{ml.id}/computes/{ml.compute}", ML).json()
    compute = {
        "location": cluster["location"], "properties": cluster["properties"],
        "identity": {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}},
    }  # fmt: skip
    ml.azure.put(f"{ml.id}/computes/{name}", ML, compute)
    return assignment


def test_another_identity_does_not_reuse(ml: MlWorkspace, step: Component) -> None:
    compute_of_another_identity(ml, "other")
    chain = Chain(ml, step)
    chain.run()

    assert reused(chain.run(default_compute="other")[1]) == {"first": False, "second": False}


def test_an_identity_that_lost_its_role_does_not_reuse_its_outputs(ml: MlWorkspace, step: Component) -> None:
    assignment = compute_of_another_identity(ml, "revoked")
    chain = Chain(ml, step)
    chain.run(default_compute="revoked")
    assert ml.azure.arm("DELETE", assignment, "2022-04-01").ok

    with pytest.raises(AssertionError, match="Failed nodes: /first"):
        chain.run(default_compute="revoked")


def test_a_deleted_job_leaves_the_mlflow_run_that_it_reused(ml: MlWorkspace, step: Component) -> None:
    chain = Chain(ml, step)
    _, first = chain.run()
    job, _ = chain.run()
    ml.azure.finish(ml.azure.arm("DELETE", f"{ml.id}/jobs/{job}", ML))

    with pytest.raises(ResourceNotFoundError):
        ml.client.jobs.get(job)
    assert "MLflow" in page(ml, first["first"].name)
    assert reused(chain.run()[1]) == {"first": True, "second": True}
