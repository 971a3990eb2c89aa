"""Pipeline jobs, by azure-ai-ml's DSL, and by plain requests where the DSL cannot make the mistake.

No `from __future__ import annotations` here: the DSL reads the annotations of pipeline functions.
"""

from pathlib import Path
from typing import Any

import pytest
import requests
from azure.ai.ml import Input, Output
from azure.ai.ml.entities import BatchEndpoint, Component, PipelineComponentBatchDeployment
from azure.ai.ml.exceptions import JobException
from localcloud.testing.azure_session import unique
from localcloud.testing.job_sources import (
    code,
    component,
    details,
    error_of_run,
    log_of,
    pipeline,
    steps,
)
from localcloud.testing.pipeline_steps import step as step
from localcloud.testing.workspace_session import MlWorkspace, wait_for
from localcloud.testing.workspace_session import ml as ml


def run(ml: MlWorkspace, job: Any) -> Any:
    submitted = ml.client.jobs.create_or_update(job, experiment_name="pipelines")
    return ml.finished(submitted.name)


def words(ml: MlWorkspace, job: str, output: str, folder: Path) -> str:
    ml.client.jobs.download(job, download_path=str(folder), output_name=output)
    return (folder / "named-outputs" / output / "words.txt").read_text()


def test_steps_run_in_the_order_of_their_data_and_the_output_is_the_last_one_s(
    ml: MlWorkspace, step: Component, tmp_path: Path
) -> None:
    @pipeline(default_compute="cpu")
    def chain(first: str) -> dict[str, Any]:
        first_step = step(word=first)
        two = step(word="two-", before=first_step.outputs.words)
        three = step(word="three", before=two.outputs.words)
        return {"all": three.outputs.words}

    job = run(ml, chain(first="one-"))

    assert job.status == "Completed", error_of_run(ml, job.name)
    assert steps(ml, job.name) == {"first_step": "Completed", "two": "Completed", "three": "Completed"}
    assert words(ml, job.name, "all", tmp_path) == "one-two-three"


def test_independent_steps_run_at_once_up_to_the_cluster_s_nodes(ml: MlWorkspace, tmp_path: Path) -> None:
    wait = component(ml, code(tmp_path / "src", unused=""), "sleep 60")

    @pipeline(default_compute="cpu")
    def wide() -> None:
        wait()
        wait()
        wait()

    job = ml.client.jobs.create_or_update(wide(), experiment_name="pipelines")
    statuses = wait_for(
        lambda: sorted(steps(ml, job.name).values()), lambda states: states == ["Queued", "Running", "Running"]
    )

    assert statuses == ["Queued", "Running", "Running"], "two nodes run two steps"
    ml.client.jobs.begin_cancel(job.name).result()
    assert ml.client.jobs.get(job.name).status == "Canceled"
    assert set(steps(ml, job.name).values()) == {"Canceled"}


def test_a_failing_step_fails_the_pipeline_and_its_dependents_do_not_run(ml: MlWorkspace, step: Component) -> None:
    @pipeline(default_compute="cpu")
    def breaks() -> None:
        bad = step(word="boom")
        after = step(word="never", before=bad.outputs.words)
        after.name = "after"

    job = run(ml, breaks())

    assert job.status == "Failed"
    assert steps(ml, job.name) == {"bad": "Failed", "after": "Canceled"}
    assert "Failed nodes: /bad." in error_of_run(ml, job.name)[1]
    bad = next(child for child in ml.client.jobs.list(parent_job_name=job.name) if child.display_name == "bad")
    assert "ValueError: boom happened" in error_of_run(ml, bad.name)[1]
    assert "boom happened" in log_of(ml, bad.name)
    headers = {"Authorization": f"Bearer {ml.token('https://management.azure.com')}"}
    page = requests.get(job.studio_url, headers=headers, timeout=60).text
    reasons = page.split("<h2>Why it failed</h2>")[1].split("<table>")[0]
    assert "<pre class='error'>ValueError: boom happened</pre>" in reasons
    index = requests.get(job.studio_url.split("/runs/")[0], headers=headers, timeout=60).text
    row = next(row for row in index.split("<tr>") if f"<small>{job.name}</small>" in row)
    assert "<small>bad: ValueError: boom happened</small>" in row


def test_stream_shows_the_steps_states_and_raises_the_pipeline_s_error(
    ml: MlWorkspace, step: Component, capsys: pytest.CaptureFixture[str]
) -> None:
    @pipeline(default_compute="cpu")
    def breaks() -> None:
        step(word="boom")

    job = ml.client.jobs.create_or_update(breaks(), experiment_name="pipelines")
    with pytest.raises(JobException, match="PipelineHasStepJobFailed"):
        ml.client.jobs.stream(job.name)

    assert "is Failed: Execution failed. User process 'bash' exited with status code 1." in capsys.readouterr().out


@pytest.mark.parametrize(("goes_on", "other"), [(True, "Completed"), (False, "Canceled")])
def test_the_pipeline_decides_whether_other_steps_continue_after_a_failure(
    ml: MlWorkspace, step: Component, tmp_path: Path, goes_on: bool, other: str
) -> None:
    """The slow step waits until the other has failed, so that the outcome does not depend on time."""
    marker = tmp_path / "failed"
    fails = component(ml, code(tmp_path / "a", unused=""), f"touch {marker}; exit 1")
    waits = component(ml, code(tmp_path / "b", unused=""), f"until test -f {marker}; do sleep 0.05; done; sleep 2")

    @pipeline(default_compute="cpu")
    def both() -> None:
        fails()
        slow = waits()
        slow.name = "slow"

    pipeline_job = both()
    pipeline_job.settings.continue_on_step_failure = goes_on
    job = run(ml, pipeline_job)

    assert job.status == "Failed"
    assert steps(ml, job.name)["slow"] == other


def test_a_pipeline_component_is_a_step_with_steps_of_its_own(ml: MlWorkspace, step: Component, tmp_path: Path) -> None:
    @pipeline()
    def inner(word: str, before: Input(type="uri_folder")) -> dict[str, Any]:  # type: ignore[valid-type]
        first_step = step(word=word, before=before)
        two = step(word="inner2-", before=first_step.outputs.words)
        return {"words": two.outputs.words}

    @pipeline(default_compute="cpu")
    def outer() -> dict[str, Any]:
        start = step(word="start-")
        middle = inner(word="inner1-", before=start.outputs.words)
        end = step(word="end", before=middle.outputs.words)
        return {"all": end.outputs.words}

    job = run(ml, outer())

    assert job.status == "Completed", error_of_run(ml, job.name)
    assert words(ml, job.name, "all", tmp_path) == "start-inner1-inner2-end"
    children = {child.display_name: child.name for child in ml.client.jobs.list(parent_job_name=job.name)}
    assert set(children) == {"start", "middle", "end"}
    assert steps(ml, children["middle"]) == {"first_step": "Completed", "two": "Completed"}


def test_literals_reach_the_command_by_their_types(ml: MlWorkspace, tmp_path: Path) -> None:
    line = (
        "echo text=${{inputs.text}} count=${{inputs.count}} share=${{inputs.share}} flag=${{inputs.flag}} "
        "kind=${{inputs.kind}} $[[more=${{inputs.more}}]]"
    )
    typed = component(
        ml, code(tmp_path / "src", unused=""), line,
        inputs={
            "text": Input(type="string", default="x"), "count": Input(type="integer", default=3),
            "share": Input(type="number"), "flag": Input(type="boolean", default=True),
            "kind": Input(type="string", enum=["a", "b"], default="a"), "more": Input(type="string", optional=True),
        },
    )  # fmt: skip

    @pipeline(default_compute="cpu")
    def literals(share: float, name: str) -> None:
        typed(share=share, text=f"hello-{name}")

    job = run(ml, literals(share=0.25, name="you"))

    assert job.status == "Completed", error_of_run(ml, job.name)
    (child,) = ml.client.jobs.list(parent_job_name=job.name)
    assert log_of(ml, child.name).strip() == "text=hello-you count=3 share=0.25 flag=True kind=a"


def test_an_output_is_written_to_the_pipeline_s_path(ml: MlWorkspace, step: Component) -> None:
    place = f"azureml://datastores/workspaceblobstore/paths/asked/{unique('p')}/${{{{name}}}}/"

    @pipeline(default_compute="cpu")
    def placed() -> dict[str, Any]:
        producer = step(word="here")
        return {"out": producer.outputs.words}

    pipeline_job = placed()
    pipeline_job.outputs.out = Output(type="uri_folder", path=place, mode="upload")
    job = run(ml, pipeline_job)

    assert job.status == "Completed", error_of_run(ml, job.name)
    uri = ml.client.jobs.get(job.name).outputs["out"].path
    assert "/asked/" in uri
    assert "${{" not in uri
    blob = uri.split("/paths/")[1] + "words.txt"
    container = ml.client.datastores.get_default().container_name
    assert ml.blobs().get_blob_client(container, blob).download_blob().readall() == b"here"


def test_a_step_s_timeout_cancels_it_and_fails_the_pipeline(ml: MlWorkspace, tmp_path: Path) -> None:
    sleeps = component(ml, code(tmp_path / "src", unused=""), "sleep 60")

    @pipeline(default_compute="cpu")
    def slow() -> None:
        sleeper = sleeps()
        sleeper.set_limits(timeout=1)

    job = run(ml, slow())

    assert job.status == "Failed"
    (child,) = ml.client.jobs.list(parent_job_name=job.name)
    assert child.status == "Canceled"
    assert "longer than its timeout" in error_of_run(ml, child.name)[1]


def test_an_unregistered_component_may_be_used_twice(ml: MlWorkspace, tmp_path: Path) -> None:
    source = code(tmp_path / "src", unused="")

    for _ in range(2):
        same = component(ml, source, "true")

        @pipeline(default_compute="cpu")
        def once() -> None:
            same()  # noqa: B023

        job = run(ml, once())
        assert job.status == "Completed", error_of_run(ml, job.name)


def test_cancelling_a_pipeline_reaches_the_commands_of_its_steps(ml: MlWorkspace, tmp_path: Path) -> None:
    tidy = component(
        ml, code(tmp_path / "src", unused=""), "trap 'echo cleaning up; exit 1' TERM; echo ready; sleep 60 & wait"
    )

    @pipeline(default_compute="cpu")
    def one_step() -> None:
        tidy()

    job = ml.client.jobs.create_or_update(one_step(), experiment_name="pipelines")

    def log() -> str:
        children = list(ml.client.jobs.list(parent_job_name=job.name))
        ready = children and "user_logs/std_log.txt" in details(ml, children[0].name)["logFiles"]
        return log_of(ml, children[0].name) if ready else ""

    wait_for(log, lambda text: "ready" in text)
    ml.client.jobs.begin_cancel(job.name).result()

    assert ml.client.jobs.get(job.name).status == "Canceled"
    assert "cleaning up" in log()


def test_a_batch_endpoint_runs_its_pipeline_without_the_optional_inputs(ml: MlWorkspace, step: Component) -> None:
    @pipeline(name=unique("published"))
    def published(word: str, before: Input(type="uri_folder", optional=True) = None) -> dict[str, Any]:  # type: ignore[valid-type]
        first_step = step(word=word, before=before)
        return {"all": first_step.outputs.words}

    component_ = ml.client.components.create_or_update(published().component)
    endpoint = BatchEndpoint(name=unique("be")[:20])
    ml.client.batch_endpoints.begin_create_or_update(endpoint).result()
    deployment = PipelineComponentBatchDeployment(
        name="version-1", endpoint_name=endpoint.name, component=component_, settings={"default_compute": "cpu"}
    )
    ml.client.batch_deployments.begin_create_or_update(deployment).result()

    job = ml.client.batch_endpoints.invoke(
        endpoint_name=endpoint.name, deployment_name="version-1", inputs={"word": Input(type="string", default="hello")}
    )

    assert ml.finished(job.name).status == "Completed", error_of_run(ml, job.name)
    assert steps(ml, job.name) == {"first_step": "Completed"}
